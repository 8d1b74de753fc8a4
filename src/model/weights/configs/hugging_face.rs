//! `config.json` of a Hugging Face CLIPModel. Newer ones leave out what has the class's default:
//! <https://huggingface.co/docs/transformers/model_doc/clip>, `CLIPConfig`.

use serde::Deserialize;

use super::{around, require};
use crate::model::config::{ClipConfig, ModelConfig};

/// Of the file what decides the sizes, and what would have to be computed otherwise.
#[derive(Deserialize)]
pub(super) struct Config {
    #[serde(default = "default_projection")]
    projection_dim: i64,
    text_config: Text,
    vision_config: Vision,
}

#[derive(Deserialize)]
#[serde(default)]
struct Text {
    vocab_size: i64,
    hidden_size: i64,
    intermediate_size: i64,
    num_hidden_layers: i64,
    num_attention_heads: i64,
    max_position_embeddings: i64,
    hidden_act: String,
    layer_norm_eps: f64,
}

#[derive(Deserialize)]
#[serde(default)]
struct Vision {
    hidden_size: i64,
    intermediate_size: i64,
    num_hidden_layers: i64,
    num_attention_heads: i64,
    num_channels: i64,
    image_size: i64,
    patch_size: i64,
    hidden_act: String,
    layer_norm_eps: f64,
}

fn default_projection() -> i64 {
    512
}

impl Default for Text {
    fn default() -> Self {
        Self {
            vocab_size: 49_408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".to_owned(),
            layer_norm_eps: 1e-5,
        }
    }
}

impl Default for Vision {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: "quick_gelu".to_owned(),
            layer_norm_eps: 1e-5,
        }
    }
}

impl Config {
    /// The same sizes in our form, with the paper's head added.
    pub fn into_ours(self) -> Result<ModelConfig, String> {
        let (text, vision) = (&self.text_config, &self.vision_config);
        tower(
            "text_config",
            text.hidden_size,
            text.intermediate_size,
            &text.hidden_act,
            text.layer_norm_eps,
        )?;
        tower(
            "vision_config",
            vision.hidden_size,
            vision.intermediate_size,
            &vision.hidden_act,
            vision.layer_norm_eps,
        )?;
        require(vision.num_channels == 3, || {
            format!("vision_config.num_channels = {}, not 3", vision.num_channels)
        })?;
        let clip = ClipConfig {
            embed_dim: self.projection_dim,
            vocab_size: text.vocab_size,
            vision_num_layers: vision.num_hidden_layers,
            vision_features: vision.hidden_size,
            vision_patch_size: vision.patch_size,
            text_features: text.hidden_size,
            text_num_heads: text.num_attention_heads,
            text_num_layers: text.num_hidden_layers,
            vision_head_dim: 0,
            vision_num_heads: vision.num_attention_heads,
        };
        around(vision.image_size, text.max_position_embeddings, clip)
    }
}

/// What our blocks cannot be told: another activation, mlp or epsilon.
fn tower(table: &str, width: i64, mlp: i64, act: &str, epsilon: f64) -> Result<(), String> {
    require(act == "quick_gelu", || {
        format!("{table}.hidden_act = {act:?}, but this model computes quick_gelu")
    })?;
    require(Some(mlp) == width.checked_mul(4), || {
        format!("{table}.intermediate_size = {mlp}, not 4 × {width}")
    })?;
    require((epsilon - 1e-5).abs() < 1e-9, || {
        format!("{table}.layer_norm_eps = {epsilon}, not 1e-5")
    })
}
