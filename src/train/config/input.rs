//! Keys of what goes in: `[model]`, `[data]`, `[augment]`.
//!
//! The models and their preprocessing are those of the released code:
//! <https://github.com/google-deepmind/magiclens>.

use serde::{Deserialize, Serialize};

use crate::model::preprocess::Preprocess;

/// `[model]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// The sizes: `base` (ViT-B/16), `large` (ViT-L/14), `base32` (ViT-B/32) or a JSON file.
    pub config: String,
    /// What the weights begin as: a folder or file of any known format, or a repository of the
    /// Hugging Face Hub (`hf://owner/name@revision`); random where it is empty.
    pub weights: String,
    /// What is computed in; weights, logits, softmax and temperature stay in float32.
    pub precision: Precision,
    /// How images become tensors.
    pub preprocess: Preprocess,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            config: "base".into(),
            weights: "hf://openai/clip-vit-base-patch16".into(),
            precision: Precision::Bf16,
            preprocess: Preprocess::Released,
        }
    }
}

/// What matrix products are computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// float32.
    F32,
    /// bfloat16, with float32 master weights.
    Bf16,
}

/// `[data]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// Folders or files of training shards, local or in an object store.
    pub shards: Vec<String>,
    /// Rows that are shuffled among each other, over shards.
    pub shuffle_window: usize,
    /// Memory for batches that are read ahead, in MiB.
    pub prefetch_mib: usize,
    /// Threads that decode images; 0 = one a core.
    pub workers: usize,
    /// Whether two triplets of one page group may stand in a batch: they are false negatives often.
    pub allow_same_group: bool,
    /// Tokens of an instruction, both ends included; longer ones are cut and counted.
    pub max_tokens: usize,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            shards: Vec::new(),
            shuffle_window: 65_536,
            prefetch_mib: 4096,
            workers: 0,
            allow_same_group: false,
            max_tokens: 77,
        }
    }
}

/// `[augment]`. Nothing ever flips: instructions say left and right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Smallest share of an image's area that a random crop keeps; 1 = images are not cropped.
    pub crop_scale: f64,
    /// Factor by which a crop's aspect ratio may differ from its image's.
    pub crop_ratio: f64,
}

impl Default for Augment {
    fn default() -> Self {
        Self { crop_scale: 1.0, crop_ratio: 1.0 }
    }
}
