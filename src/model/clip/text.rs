//! The text transformer (arXiv 2103.00020, section 2.4): ids in, the row of the end of text out.

use tch::{Kind, Tensor};

use super::Encoder;
use super::block::{Masks, Row};
use crate::model::config::ClipConfig;
use crate::model::nn::{LayerNorm, Linear};
use crate::model::parameters::Parameters;
use crate::model::tape::Tape;

/// What a masked logit becomes. Like the original's least float it leaves a row of nothing but
/// masked keys uniform, where -∞ would make it NaN; unlike that, it stays finite in bfloat16 and
/// when a kernel multiplies it by log₂ e.
const MASKED: f64 = -1e30;

/// CLIP's text side with its projection.
#[derive(Debug)]
pub(crate) struct TextTower {
    pub(crate) tokens: Tensor,
    positions: Tensor,
    pub(crate) encoder: Encoder,
    pub(crate) final_norm: LayerNorm,
    pub(crate) projection: Linear,
}

impl TextTower {
    pub fn new(parameters: &Parameters, clip: &ClipConfig) -> Self {
        let tower = parameters.scope("text_model");
        Self {
            tokens: tower.tensor("embeddings.token_embedding.weight"),
            positions: tower.tensor("embeddings.position_embedding.weight"),
            encoder: Encoder::new(&tower, clip.text_num_layers, clip.text_num_heads),
            final_norm: LayerNorm::clip(&tower.scope("final_layer_norm")),
            projection: Linear::without_bias(&parameters.scope("text_projection")),
        }
    }

    /// `[B, L]` ids to `[B, E]` of this kind.
    pub fn forward<'m>(&'m self, ids: &Tensor, kind: Kind, tape: Option<&mut Tape<'m>>) -> Tensor {
        let (batch, length) = ids.size2().expect("ids come as [B, L]");
        // The end of text has the greatest id; the first of them counts.
        let end = ids.argmax(-1, false);
        let places = &end + Tensor::arange(batch, (Kind::Int64, ids.device())) * length;
        let all = mask(ids, kind);
        let picked = end.view([batch, 1, 1, 1]).expand([batch, 1, 1, length], false);
        let row = all.gather(2, &picked, false);
        let masks = Masks { all: Some(all), row: Some(row) };
        let x = self.embed(ids, kind);
        let rows = self.encoder.forward(x, batch, Row::At(places), masks, tape);
        self.projection.forward(&self.final_norm.forward(&rows))
    }

    /// The sequences that the blocks work on, one after the other: `[B·L, width]`.
    pub(crate) fn embed(&self, ids: &Tensor, kind: Kind) -> Tensor {
        let length = ids.size()[1];
        let tokens = Tensor::embedding(&self.tokens, ids, -1, false, false);
        let x = tokens + self.positions.narrow(0, 0, length);
        x.to_kind(kind).flatten(0, 1)
    }
}

/// What is added to the logits, `[B, 1, L, L]`: a token sees itself and those before it. Id 0
/// neither sees nor is seen: padding, but also the original's treatment of the token with that id.
pub(crate) fn mask(ids: &Tensor, kind: Kind) -> Tensor {
    let (batch, length) = ids.size2().expect("ids come as [B, L]");
    let real = ids.gt(0);
    let earlier = Tensor::ones([length, length], (Kind::Bool, ids.device())).tril(0);
    let seen = real.view([batch, 1, 1, length]).logical_and(&real.view([batch, 1, length, 1]));
    let hidden = seen.logical_and(&earlier).logical_not();
    Tensor::zeros([batch, 1, length, length], (kind, ids.device())).masked_fill(&hidden, MASKED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_sees_what_is_before_it_and_is_not_zero() {
        let ids = Tensor::from_slice(&[9i64, 0, 4, 5, 0]).view([1, 5]);
        let seen = mask(&ids, Kind::Float).isfinite().logical_and(&mask(&ids, Kind::Float).eq(0.0));
        let rows = Vec::<i64>::try_from(seen.flatten(0, -1).to_kind(Kind::Int64)).unwrap();
        #[rustfmt::skip]
        assert_eq!(rows, [
            1, 0, 0, 0, 0,
            0, 0, 0, 0, 0,
            1, 0, 1, 0, 0,
            1, 0, 1, 1, 0,
            0, 0, 0, 0, 0,
        ]);
    }

    #[test]
    fn what_is_hidden_is_finite_in_every_kind() {
        let ids = Tensor::zeros([1, 3], (Kind::Int64, tch::Device::Cpu));
        for kind in [Kind::Float, Kind::BFloat16] {
            let scaled = mask(&ids, kind) * std::f64::consts::LOG2_E;
            assert!(bool::try_from(scaled.isfinite().all()).unwrap(), "{kind:?}");
        }
    }
}
