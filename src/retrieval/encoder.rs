//! A model with all it needs to make unit vectors of image files and texts.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor, no_grad};
use thiserror::Error;

use crate::model::config::ConfigError;
use crate::model::input::ImageInput;
use crate::model::preprocess::{ImageSpec, Preprocess, RgbView, prepare_into};
use crate::model::tokenizer::Tokenizer;
use crate::model::weights::WeightsError;
use crate::model::{MagicLens, ModelConfig, Parameter};
use crate::train::CHECKPOINTS;
use crate::train::checkpoint::{CheckpointError, Checkpoints};
use crate::train::encode::empty_text;

/// Why a model could not be had.
#[derive(Debug, Error)]
pub enum EncoderError {
    /// libtorch's CUDA part is there and does not load.
    #[error(transparent)]
    Cuda(#[from] magiclens_torch::LoadError),
    /// Its weights are not what they should be.
    #[error("cannot load {path}: {1}", path = .0.display())]
    Weights(PathBuf, WeightsError),
    /// A run's checkpoints cannot be told.
    #[error(transparent)]
    Checkpoints(#[from] CheckpointError),
    /// A run without any.
    #[error("no checkpoint in {}", .0.display())]
    NoCheckpoint(PathBuf),
    /// The file of sizes is none.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Vectors of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vectors {
    /// `[rows, width]`, each row of length 1.
    pub rows: Vec<f32>,
    /// Texts that were longer than the model reads, and cut.
    pub cut_texts: usize,
}

/// Embeds images with texts.
pub struct Encoder {
    model: MagicLens,
    tokenizer: Tokenizer,
    input: ImageInput,
    weights: PathBuf,
}

impl Encoder {
    /// Loads a model on the first GPU, or on the CPU where there is none.
    ///
    /// `named` is a run of `train` (its best checkpoint, or else its latest), one of its checkpoints, the
    /// released `.pkl`, or safetensors. Sizes come from `config` where none lie beside the weights. Images
    /// are prepared as `how` says, else as the model was trained with, else as the released ones are.
    pub fn load(
        named: &Path,
        config: Option<&Path>,
        how: Option<Preprocess>,
    ) -> Result<Self, EncoderError> {
        magiclens_torch::load_cuda()?;
        let device = magiclens_torch::device()?;
        let failed = |path: &Path, error| EncoderError::Weights(path.to_owned(), error);
        let config = config.map(ModelConfig::read).transpose();
        let config = config.map_err(EncoderError::Config)?;
        let weights = weights_of(named)?;
        let model = MagicLens::load(&weights, config.as_ref(), device)
            .map_err(|error| failed(&weights, error))?;
        let how = how.or(model.config().preprocess).unwrap_or_default();
        let input = ImageInput { spec: model.image_spec(), how, crop: None };
        Ok(Self { model, tokenizer: Tokenizer::clip(), input, weights })
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.model.config().clip.embed_dim as usize
    }

    /// How images become tensors.
    pub fn input(&self) -> ImageInput {
        self.input
    }

    /// The file or folder that the weights came from.
    pub fn weights(&self) -> &Path {
        &self.weights
    }

    /// The model itself.
    pub fn model(&self) -> &MagicLens {
        &self.model
    }

    /// The sha256 of all parameters with their names and shapes, in hex: the same for the same weights,
    /// whichever format they came in.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for Parameter { name, tensor, .. } in self.model.parameters().iter() {
            hash.update(format!("{name} {:?}\n", tensor.size()));
            let numbers = Vec::<f32>::try_from(tensor.to_kind(Kind::Float).reshape([-1]))
                .expect("floats on the CPU");
            numbers.iter().for_each(|number| hash.update(number.to_le_bytes()));
        }
        hex::encode(hash.finalize())
    }

    /// What stands for the image of a query without one: a black one.
    pub fn no_image(&self) -> Vec<f32> {
        let ImageSpec { size, .. } = self.input.spec;
        let mut pixels = vec![0.0; self.numbers()];
        let black = vec![0; 3 * size * size];
        let view = RgbView::new(size, size, &black).expect("the model's size is not 0");
        prepare_into(view, None, &self.input.spec, self.input.how, &mut pixels);
        pixels
    }

    /// Numbers of one image's tensor.
    pub fn numbers(&self) -> usize {
        3 * self.input.spec.size * self.input.spec.size
    }

    /// Embeds images, `[rows, 3, S, S]`, each with its text.
    pub fn embed(&self, pixels: &[f32], texts: &[&str]) -> Vectors {
        if texts.is_empty() {
            return Vectors::default();
        }
        let (ids, cut_texts) = self.tokenizer.batch(texts);
        let rows = no_grad(|| {
            let texts = self.model.text_features(&ids.to_device(self.model.device()));
            floats(&self.model.fuse(&self.images(pixels, texts.size()[0]), &texts))
        });
        Vectors { rows, cut_texts }
    }

    /// Embeds images by themselves, as targets are: with the empty text, which is encoded once.
    pub fn embed_images(&self, pixels: &[f32]) -> Vec<f32> {
        let rows = (pixels.len() / self.numbers()) as i64;
        if rows == 0 {
            return Vec::new();
        }
        no_grad(|| floats(&self.model.fuse(&self.images(pixels, rows), &empty_text(&self.model))))
    }

    /// CLIP's embeddings of images, of length 1.
    pub fn image_tower(&self, pixels: &[f32]) -> Vec<f32> {
        let rows = (pixels.len() / self.numbers()) as i64;
        if rows == 0 {
            return Vec::new();
        }
        no_grad(|| floats(&unit(&self.images(pixels, rows))))
    }

    /// CLIP's embeddings of texts, of length 1.
    pub fn text_tower(&self, texts: &[&str]) -> Vectors {
        if texts.is_empty() {
            return Vectors::default();
        }
        let (ids, cut_texts) = self.tokenizer.batch(texts);
        let texts = || self.model.text_features(&ids.to_device(self.model.device()));
        Vectors { rows: no_grad(|| floats(&unit(&texts()))), cut_texts }
    }

    fn images(&self, pixels: &[f32], rows: i64) -> Tensor {
        let size = self.model.config().image_size;
        let pixels = Tensor::from_slice(pixels).reshape([rows, 3, size, size]);
        self.model.image_features(&pixels.to_device(self.model.device()))
    }
}

/// Rows of length 1.
fn unit(vectors: &Tensor) -> Tensor {
    let vectors = vectors.to_kind(Kind::Float);
    let squares = vectors.square().sum_dim_intlist([-1_i64].as_slice(), true, Kind::Float);
    vectors / squares.sqrt().clamp_min(1e-12)
}

fn floats(vectors: &Tensor) -> Vec<f32> {
    let vectors = vectors.to_kind(Kind::Float).reshape([-1]).to_device(Device::Cpu);
    Vec::try_from(&vectors).expect("floats on the CPU")
}

/// The checkpoint that is meant where a run's folder is named.
fn weights_of(named: &Path) -> Result<PathBuf, EncoderError> {
    let folder = named.join(CHECKPOINTS);
    if !folder.is_dir() {
        return Ok(named.to_owned());
    }
    let checkpoints = Checkpoints::at(&folder);
    let best = checkpoints.best().map(|best| best.step);
    let step = best.map_or_else(|| checkpoints.latest(), |step| Ok(Some(step)))?;
    Ok(checkpoints.path_of(step.ok_or(EncoderError::NoCheckpoint(folder))?))
}
