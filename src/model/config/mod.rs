//! The sizes of a model: what `config.json` beside the weights says. No weights and no training
//! options. The form is that of the original's three tables; arXiv 2403.19651, section 4.1.

mod check;
mod presets;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use check::Impossible;

use super::preprocess::Preprocess;

/// Per-channel mean of the pixels that CLIP was trained on (OpenAI's `clip/clip.py`).
pub const CLIP_MEAN: [f64; 3] = [0.48145466, 0.4578275, 0.40821073];
/// Per-channel standard deviation that goes with [`CLIP_MEAN`].
pub const CLIP_STD: [f64; 3] = [0.26862954, 0.26130258, 0.27577711];

/// Holds every size of a MagicLens model, so that weights alone need no code to be rebuilt.
///
/// Reading one (serde) fills in what follows from the rest and refuses sizes that cannot be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "check::Unchecked")]
pub struct ModelConfig {
    /// For people only.
    pub name: String,
    /// Height and width of the input in pixels.
    pub image_size: i64,
    /// Positions of the text tower: the most ids a text may have.
    pub context_length: i64,
    /// What preprocessing subtracts, for pixels of 0..1.
    pub image_mean: [f64; 3],
    /// What preprocessing divides by.
    pub image_std: [f64; 3],
    /// How images become tensors, where whoever trained it said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preprocess: Option<Preprocess>,
    /// The two towers.
    pub clip: ClipConfig,
    /// What comes after them.
    pub magiclens: HeadConfig,
}

/// Holds the sizes of CLIP's two towers (arXiv 2103.00020).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipConfig {
    /// Width of both towers' outputs.
    pub embed_dim: i64,
    /// Rows of the token embedding.
    pub vocab_size: i64,
    /// Blocks of the vision tower.
    pub vision_num_layers: i64,
    /// Width of the vision tower.
    pub vision_features: i64,
    /// Height and width of a patch in pixels.
    pub vision_patch_size: i64,
    /// Width of the text tower.
    pub text_features: i64,
    /// Attention heads of the text tower.
    pub text_num_heads: i64,
    /// Blocks of the text tower.
    pub text_num_layers: i64,
    /// Width of one vision head. Follows from the heads.
    #[serde(default)]
    pub vision_head_dim: i64,
    /// Attention heads of the vision tower. One for each 64 features unless stated.
    #[serde(default)]
    pub vision_num_heads: i64,
}

/// Holds the sizes of the fusion layers and the pooler, the part that MagicLens adds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadConfig {
    /// Width of tokens and of the result: CLIP's `embed_dim`.
    pub embed_dim: i64,
    /// Width between a fusion layer's two linear maps.
    pub ff_hidden_size: i64,
    /// Fusion layers.
    pub num_layers: i64,
    /// Attention heads of fusion layers and pooler alike.
    pub num_heads: i64,
    /// Learned queries of the pooler: one.
    pub num_query_token: i64,
    /// What the original calls its CLIP. For people only.
    pub clip_model_name: String,
    /// Width of one fusion head. Follows from the rest.
    #[serde(default)]
    pub fusion_dim_per_head: i64,
    /// Width of all pooler heads together: 4 × `embed_dim`.
    #[serde(default)]
    pub pooler_hidden_dim: i64,
    /// Width of one pooler head. Follows from the rest.
    #[serde(default)]
    pub pooler_dim_per_head: i64,
}

/// Says why a config file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Not JSON, not of this form, or of sizes that cannot be.
    #[error("{}: {source}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
}

impl ModelConfig {
    /// Reads a file of this form; the error names the file and what is wrong in it.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        serde_json::from_str(&text)
            .map_err(|source| ConfigError::Form { path: path.to_owned(), source })
    }

    /// Tokens of one image: a class token and the patches, row by row.
    pub fn vision_tokens(&self) -> i64 {
        let side = self.image_size / self.clip.vision_patch_size;
        side * side + 1
    }

    /// Counts the model's numbers, CLIP's unused `logit_scale` included.
    pub fn parameter_count(&self) -> i64 {
        crate::model::parameters::element_count(self)
    }
}

#[cfg(test)]
mod tests {
    use magiclens_testing::{conformance, shared};

    use super::*;

    #[test]
    fn the_golden_form_is_read_and_written_unchanged() {
        let Some(folder) = shared("golden/tiny-base") else { return };
        let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
        let config: ModelConfig = serde_json::from_str(&text).unwrap();
        let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
        let written = serde_json::to_string(&config).unwrap();
        let again: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(again, golden);
        assert_eq!((config.vision_tokens(), config.clip.vision_num_heads), (10, 1));
        conformance("model-config", 1);
    }

    #[test]
    fn how_images_become_tensors_is_kept_where_it_is_known() {
        let mut config = ModelConfig::base();
        let written = serde_json::to_string(&config).unwrap();
        assert!(!written.contains("preprocess"), "{written}");
        config.preprocess = Some(Preprocess::Clip);
        let written = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ModelConfig>(&written).unwrap(), config);
    }

    #[test]
    fn what_follows_from_the_rest_may_be_left_out() {
        let mut value = serde_json::to_value(ModelConfig::large()).unwrap();
        for (table, key) in [
            ("clip", "vision_head_dim"),
            ("clip", "vision_num_heads"),
            ("magiclens", "fusion_dim_per_head"),
            ("magiclens", "pooler_hidden_dim"),
            ("magiclens", "pooler_dim_per_head"),
        ] {
            value[table].as_object_mut().unwrap().remove(key).unwrap();
        }
        let config: ModelConfig = serde_json::from_value(value).unwrap();
        assert_eq!(config, ModelConfig::large());
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let mut value = serde_json::to_value(ModelConfig::base()).unwrap();
        value["clip"]["text_layers"] = 3.into();
        let error = serde_json::from_value::<ModelConfig>(value).unwrap_err().to_string();
        assert!(error.contains("text_layers"), "{error}");
    }
}
