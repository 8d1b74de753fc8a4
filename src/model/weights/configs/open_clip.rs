//! `open_clip_config.json`, as OpenCLIP puts it beside its weights:
//! <https://github.com/mlfoundations/open_clip>, `src/open_clip/model_configs/`.

use serde::Deserialize;

use super::{around, require};
use crate::model::config::{CLIP_MEAN, CLIP_STD, ClipConfig, ModelConfig};

/// Of the file what decides the sizes, and what would have to be computed otherwise.
#[derive(Deserialize)]
pub(super) struct Config {
    model_cfg: Model,
    #[serde(default)]
    preprocess_cfg: Preprocess,
}

#[derive(Deserialize)]
struct Model {
    embed_dim: i64,
    #[serde(default)]
    quick_gelu: bool,
    vision_cfg: Vision,
    text_cfg: Text,
}

#[derive(Deserialize)]
struct Vision {
    image_size: i64,
    layers: i64,
    width: i64,
    patch_size: i64,
    #[serde(default = "head_width")]
    head_width: i64,
    #[serde(default = "mlp_ratio")]
    mlp_ratio: f64,
}

#[derive(Deserialize)]
struct Text {
    #[serde(default = "context_length")]
    context_length: i64,
    #[serde(default = "vocab_size")]
    vocab_size: i64,
    width: i64,
    heads: i64,
    layers: i64,
}

#[derive(Default, Deserialize)]
struct Preprocess {
    mean: Option<[f64; 3]>,
    std: Option<[f64; 3]>,
}

fn head_width() -> i64 {
    64
}

fn mlp_ratio() -> f64 {
    4.0
}

fn context_length() -> i64 {
    77
}

fn vocab_size() -> i64 {
    49_408
}

impl Config {
    /// The same sizes in our form, with the paper's head added.
    pub fn into_ours(self) -> Result<ModelConfig, String> {
        let Model { embed_dim, quick_gelu, vision_cfg: vision, text_cfg: text } = self.model_cfg;
        require(quick_gelu, || {
            "model_cfg.quick_gelu is not true, but this model computes quick_gelu".to_owned()
        })?;
        require(vision.mlp_ratio == 4.0, || {
            format!("model_cfg.vision_cfg.mlp_ratio = {}, not 4", vision.mlp_ratio)
        })?;
        let clip = ClipConfig {
            embed_dim,
            vocab_size: text.vocab_size,
            vision_num_layers: vision.layers,
            vision_features: vision.width,
            vision_patch_size: vision.patch_size,
            text_features: text.width,
            text_num_heads: text.heads,
            text_num_layers: text.layers,
            vision_head_dim: 0,
            vision_num_heads: vision.width.checked_div(vision.head_width).unwrap_or(0),
        };
        let ours = around(vision.image_size, text.context_length, clip)?;
        let image_mean = self.preprocess_cfg.mean.unwrap_or(CLIP_MEAN);
        let image_std = self.preprocess_cfg.std.unwrap_or(CLIP_STD);
        Ok(ModelConfig { image_mean, image_std, ..ours })
    }
}
