//! Finds a model's sizes: in the config beside its weights, whoever wrote it, or in the tensors.

mod hugging_face;
mod infer;
mod open_clip;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

pub(super) use infer::infer;

use super::error::WeightsError;
use super::naming::Layout;
use super::source::read_error;
use crate::model::config::{CLIP_MEAN, CLIP_STD, ClipConfig, ConfigError, HeadConfig, ModelConfig};

/// Names of configs; the first is OpenCLIP's own.
const NAMES: [&str; 2] = ["open_clip_config.json", "config.json"];

/// Every file in the folder of the weights that may be their config.
pub(super) fn all_beside(folder: &Path) -> Vec<PathBuf> {
    NAMES.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect()
}

/// The config in the folder of the weights, if there is one.
pub(super) fn beside(folder: &Path, layout: Layout) -> Result<Option<ModelConfig>, WeightsError> {
    let names: &[&str] = match layout {
        Layout::OpenClip => &NAMES,
        Layout::HuggingFace | Layout::Flax => &NAMES[1..],
    };
    let there = names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    there.map(|path| read(&path)).transpose()
}

/// Reads a config of any form, told apart by the tables in it.
fn read(path: &Path) -> Result<ModelConfig, WeightsError> {
    let text = std::fs::read_to_string(path).map_err(|source| read_error(path, source))?;
    let value: Value = serde_json::from_str(&text).map_err(|source| ours(path, source))?;
    let foreign = |problem| WeightsError::ForeignConfig { path: path.to_owned(), problem };
    if value.get("magiclens").is_some() {
        serde_json::from_value(value).map_err(|source| ours(path, source))
    } else if value.get("model_cfg").is_some() {
        parse(value).and_then(open_clip::Config::into_ours).map_err(foreign)
    } else if value.get("text_config").is_some() && value.get("vision_config").is_some() {
        parse(value).and_then(hugging_face::Config::into_ours).map_err(foreign)
    } else {
        let keys = value.as_object().map(|table| table.keys().cloned().collect::<Vec<_>>());
        let found = keys.unwrap_or_default().join(", ");
        let problem = "neither ours (magiclens), Hugging Face's of a CLIPModel (text_config, \
                       vision_config) nor OpenCLIP's (model_cfg)";
        Err(foreign(format!("{problem}; it has: {found}")))
    }
}

fn ours(path: &Path, source: serde_json::Error) -> WeightsError {
    ConfigError::Form { path: path.to_owned(), source }.into()
}

fn parse<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// A MagicLens around these towers, with the paper's head for their width.
fn around(
    image_size: i64,
    context_length: i64,
    mut clip: ClipConfig,
) -> Result<ModelConfig, String> {
    clip.vision_head_dim = clip.vision_features.checked_div(clip.vision_num_heads).unwrap_or(0);
    let name = tower_name(clip.vision_features, clip.vision_patch_size);
    let config = ModelConfig {
        magiclens: HeadConfig::for_embed_dim(clip.embed_dim.clamp(0, 1 << 32), &name),
        name,
        image_size,
        context_length,
        image_mean: CLIP_MEAN,
        image_std: CLIP_STD,
        preprocess: None,
        clip,
    };
    config.check().map_err(|impossible| impossible.to_string())?;
    Ok(config)
}

fn tower_name(features: i64, patch: i64) -> String {
    match features {
        768 => format!("vit_b{patch}"),
        1024 => format!("vit_l{patch}"),
        _ => format!("vit_{features}_{patch}"),
    }
}

/// What the layers compute and a config may ask otherwise.
fn require(holds: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem()) }
}
