//! The vision transformer (arXiv 2010.11929): patches in, the class token's row out.

use tch::Tensor;

use super::Encoder;
use super::block::{Masks, Row};
use crate::model::config::ClipConfig;
use crate::model::nn::{LayerNorm, Linear};
use crate::model::parameters::Parameters;
use crate::model::tape::Tape;

/// CLIP's image side with its projection.
#[derive(Debug)]
pub(crate) struct VisionTower {
    patches: Tensor,
    class: Tensor,
    positions: Tensor,
    pub(crate) pre_norm: LayerNorm,
    pub(crate) encoder: Encoder,
    pub(crate) post_norm: LayerNorm,
    pub(crate) projection: Linear,
}

impl VisionTower {
    pub fn new(parameters: &Parameters, clip: &ClipConfig) -> Self {
        let tower = parameters.scope("vision_model");
        let embeddings = tower.scope("embeddings");
        Self {
            patches: embeddings.tensor("patch_embedding.weight"),
            class: embeddings.tensor("class_embedding"),
            positions: embeddings.tensor("position_embedding.weight"),
            // Hugging Face's spelling.
            pre_norm: LayerNorm::clip(&tower.scope("pre_layrnorm")),
            encoder: Encoder::new(&tower, clip.vision_num_layers, clip.vision_num_heads),
            post_norm: LayerNorm::clip(&tower.scope("post_layernorm")),
            projection: Linear::without_bias(&parameters.scope("visual_projection")),
        }
    }

    /// `[B, 3, S, S]`, of the kind to compute in, to `[B, E]`.
    pub fn forward<'m>(&'m self, pixels: &Tensor, tape: Option<&mut Tape<'m>>) -> Tensor {
        let (batch, x) = (pixels.size()[0], self.embed(pixels));
        let rows = self.encoder.forward(x, batch, Row::First, Masks::default(), tape);
        self.projection.forward(&self.post_norm.forward(&rows))
    }

    /// The sequences that the blocks work on, one after the other: `[B·T, width]`.
    pub(crate) fn embed(&self, pixels: &Tensor) -> Tensor {
        let patches = self.project_patches(pixels);
        let (batch, _, width) = patches.size3().expect("patches are [B, T - 1, width]");
        let class = self.class.to_kind(pixels.kind()).expand([batch, 1, width], false);
        let x = Tensor::cat(&[class, patches], 1) + self.positions.to_kind(pixels.kind());
        self.pre_norm.forward(&x.view([-1, width]))
    }

    /// The convolution whose stride is its size, as one product: `[B, 3, S, S]` to `[B, T - 1,
    /// width]`.
    pub(crate) fn project_patches(&self, pixels: &Tensor) -> Tensor {
        let (batch, _, height, _) = pixels.size4().expect("pixels come as [B, 3, S, S]");
        let (width, channels, patch, _) =
            self.patches.size4().expect("kernels are [width, 3, P, P]");
        let side = height / patch;
        let cut = pixels
            .view([batch, channels, side, patch, side, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch * side * side, channels * patch * patch]);
        let kernel = self.patches.view([width, -1]).to_kind(pixels.kind());
        cut.linear(&kernel, None::<Tensor>).view([batch, side * side, width])
    }
}
