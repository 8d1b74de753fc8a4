//! CLIP by itself (arXiv 2103.00020): unit vectors of images and of texts, to tell by their cosines how
//! alike two images look and two texts read. No fusion and no pooler: weights of CLIP alone will do.

use std::path::Path;

use tch::{Device, Kind, Tensor, no_grad};
use thiserror::Error;

use super::MagicLens;
use super::input::ImageInput;
use super::preprocess::Preprocess;
use super::tokenizer::{CONTEXT, Tokenizer, VOCABULARY};
use super::weights::WeightsError;

/// Why no towers could be had.
#[derive(Debug, Error)]
pub enum TowersError {
    /// The weights could not be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The text tower is for another tokenizer.
    #[error(
        "its text tower knows {vocabulary} tokens and reads {context}, where CLIP's tokenizer has \
         {VOCABULARY} and gives up to {CONTEXT}"
    )]
    Tokenizer {
        /// Rows of the token embedding.
        vocabulary: i64,
        /// Positions.
        context: i64,
    },
}

/// The two towers with their tokenizer and preprocessing.
pub struct ClipTowers {
    model: MagicLens,
    tokenizer: Tokenizer,
}

impl ClipTowers {
    /// Loads weights of CLIP, or of MagicLens, whose towers are taken: a folder or file as
    /// [`MagicLens::initialise_from`] reads it.
    pub fn load(source: &Path, device: Device) -> Result<Self, TowersError> {
        let model = MagicLens::initialise_from(source, None, device, 0)?;
        let (vocabulary, context) = (model.config().clip.vocab_size, model.config().context_length);
        if vocabulary < i64::from(VOCABULARY) || context < CONTEXT as i64 {
            return Err(TowersError::Tokenizer { vocabulary, context });
        }
        Ok(Self::around(model))
    }

    /// The towers of a model, whatever its tokenizer.
    pub(crate) fn around(model: MagicLens) -> Self {
        Self { model, tokenizer: Tokenizer::clip() }
    }

    /// How images become tensors: CLIP's own way, which its weights were trained with.
    pub fn input(&self) -> ImageInput {
        ImageInput { spec: self.model.image_spec(), how: Preprocess::Clip, crop: None }
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.model.config().clip.embed_dim as usize
    }

    /// Vectors of images, `[images, 3, S, S]` one after the other.
    pub fn embed_images(&self, pixels: &[f32]) -> Vec<f32> {
        let size = self.model.config().image_size;
        let rows = pixels.len() as i64 / (3 * size * size);
        if rows == 0 {
            return Vec::new();
        }
        let pixels = Tensor::from_slice(pixels).reshape([rows, 3, size, size]);
        no_grad(|| unit(&self.model.image_features(&pixels.to_device(self.model.device()))))
    }

    /// Vectors of texts; what is longer than the tower reads is cut.
    pub fn embed_texts(&self, texts: &[&str]) -> Vec<f32> {
        if texts.is_empty() {
            return Vec::new();
        }
        self.embed_ids(&self.tokenizer.batch(texts).0)
    }

    /// Vectors of ids `[texts, longest]`.
    pub(crate) fn embed_ids(&self, ids: &Tensor) -> Vec<f32> {
        no_grad(|| unit(&self.model.text_features(&ids.to_device(self.model.device()))))
    }
}

/// Rows of length 1, one after the other.
fn unit(features: &Tensor) -> Vec<f32> {
    let features = features.to_kind(Kind::Float);
    let lengths = features.square().sum_dim_intlist([-1].as_slice(), true, Kind::Float).sqrt();
    let rows = (features / lengths.clamp_min(1e-12)).reshape([-1]).to_device(Device::Cpu);
    Vec::try_from(&rows).expect("floats on the CPU")
}
