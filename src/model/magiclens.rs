//! MagicLens (arXiv 2403.19651): (image, text) to one unit vector, the same weights for queries and
//! targets. What the towers give and what fusion takes are apart, so that a trainer encodes an image
//! once for all its roles and the empty text once for all targets.

use tch::{Device, Kind, Tensor};

use super::casts::{Casts, Hold};
use super::clip::{TextTower, VisionTower};
use super::config::ModelConfig;
use super::fusion::Fusion;
use super::parameters::Parameters;
use super::pooler::{Pooler, normalize};
use super::preprocess::{ImageSpec, Preprocess};
use super::tape::Tape;

/// Embeds images with texts. Owns its parameters, which learn in place.
///
/// The forward methods panic as libtorch's operators do where shapes or devices do not fit.
#[derive(Debug)]
pub struct MagicLens {
    config: ModelConfig,
    parameters: Parameters,
    compute: Kind,
    device: Device,
    pub(crate) vision: VisionTower,
    pub(crate) text: TextTower,
    pub(crate) fusion: Fusion,
    pub(crate) pooler: Pooler,
}

impl MagicLens {
    /// Starts a model from random numbers, which depend on the seed alone.
    ///
    /// # Panics
    ///
    /// Where [`ModelConfig::check`] does not hold.
    pub fn new(config: &ModelConfig, device: Device, seed: i64) -> Self {
        config.check().expect("a model of impossible sizes was asked for");
        Self::with_parameters(config, Parameters::random(config, device, seed), device)
    }

    /// Puts the layers together around parameters that fit the config.
    pub(crate) fn with_parameters(
        config: &ModelConfig,
        parameters: Parameters,
        device: Device,
    ) -> Self {
        Self {
            vision: VisionTower::new(&parameters, &config.clip),
            text: TextTower::new(&parameters, &config.clip),
            fusion: Fusion::new(&parameters, &config.magiclens),
            pooler: Pooler::new(&parameters, &config.magiclens),
            config: config.clone(),
            compute: Kind::Float,
            device,
            parameters,
        }
    }

    /// Returns the specification of input images.
    pub fn image_spec(&self) -> ImageSpec {
        ImageSpec::from(&self.config)
    }

    /// The sizes.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Returns the device that holds the parameters and must hold the inputs.
    pub fn device(&self) -> Device {
        self.device
    }

    /// All learned tensors, ordered by name.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Chooses what the layers compute in: `Float`, as the model starts, `BFloat16`, or `Double` to see
    /// what is rounding.
    ///
    /// Parameters stay float32 and are cast on use; so their gradients are float32 too.
    pub fn set_compute(&mut self, kind: Kind) {
        self.compute = kind;
    }

    /// Casts weights once for all passes until the guard goes, instead of once a pass; their gradients are
    /// there after [`Casts::collect`]. Weights must not change meanwhile. With float32 nothing is to be cast.
    pub fn hold_casts(&self) -> Option<Hold<'_>> {
        (self.compute != Kind::Float).then(|| self.parameters.casts().hold(self.compute))
    }

    /// What layers get their weights from.
    pub(crate) fn casts(&self) -> &Casts {
        self.parameters.casts()
    }

    /// Records the preprocessing in the config, so that a program that loads the saved model uses the
    /// same one.
    pub fn set_preprocess(&mut self, how: Preprocess) {
        self.config.preprocess = Some(how);
    }

    /// Returns the kind that the layers compute in.
    pub fn compute(&self) -> Kind {
        self.compute
    }

    /// CLIP's image embeddings: pixels `[B, 3, S, S]`, less mean over deviation, to `[B, E]` in the
    /// compute kind. Not normalised.
    pub fn image_features(&self, pixels: &Tensor) -> Tensor {
        self.vision.forward(&pixels.to_kind(self.compute), None)
    }

    /// The same, with what the backward pass computes again on a tape.
    pub fn image_features_on<'m>(&'m self, tape: &mut Tape<'m>, pixels: &Tensor) -> Tensor {
        self.vision.forward(&pixels.to_kind(self.compute), Some(tape))
    }

    /// CLIP's text embeddings: ids `[B, L]` (int64, padded with 0) to `[B, E]` in the compute kind. Not
    /// normalised.
    ///
    /// Cut columns that are padding in every row: the result is the same and the work less.
    pub fn text_features(&self, ids: &Tensor) -> Tensor {
        self.text.forward(ids, self.compute, None)
    }

    /// The same, with what the backward pass computes again on a tape.
    pub fn text_features_on<'m>(&'m self, tape: &mut Tape<'m>, ids: &Tensor) -> Tensor {
        self.text.forward(ids, self.compute, Some(tape))
    }

    /// The joint embeddings: `[B, E]` of images and of texts to `[B, E]` of length 1, float32
    /// unless the model computes in float64.
    ///
    /// `text` may be one row `[1, E]` for all images: that of the empty text, say.
    pub fn fuse(&self, image: &Tensor, text: &Tensor) -> Tensor {
        normalize(&self.pooler.forward(&self.fusion.forward(self.pair(image, text))))
    }

    /// `[B, 2, E]`: an image and its text as two tokens.
    pub(crate) fn pair(&self, image: &Tensor, text: &Tensor) -> Tensor {
        let text = text.expand_as(image);
        Tensor::stack(&[image.to_kind(self.compute), text.to_kind(self.compute)], 1)
    }
}
