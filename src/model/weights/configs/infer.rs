//! Sizes out of the tensors alone. Heads cannot be seen in flattened projections: unless the file
//! keeps them apart, towers get one for each 64 features and the added layers the paper's.

use std::path::Path;

use super::around;
use crate::model::config::{ClipConfig, ModelConfig};
use crate::model::weights::error::WeightsError;
use crate::model::weights::naming::Found;

/// The sizes that the tensors show.
pub(in crate::model::weights) fn infer(
    path: &Path,
    found: &Found,
) -> Result<ModelConfig, WeightsError> {
    sizes(found).map_err(|problem| WeightsError::Unsized { path: path.to_owned(), problem })
}

fn sizes(found: &Found) -> Result<ModelConfig, String> {
    let [vision_features, _, patch, _] =
        shape(found, "vision_model.embeddings.patch_embedding.weight")?;
    let [places, _] = shape(found, "vision_model.embeddings.position_embedding.weight")?;
    let [vocab_size, text_features] = shape(found, "text_model.embeddings.token_embedding.weight")?;
    let [context_length, _] = shape(found, "text_model.embeddings.position_embedding.weight")?;
    let [embed_dim, _] = shape(found, "visual_projection.weight")?;
    let clip = ClipConfig {
        embed_dim,
        vocab_size,
        vision_num_layers: layers(found, "vision_model.encoder.layers."),
        vision_features,
        vision_patch_size: patch,
        text_features,
        text_num_heads: heads(found, "text_model.").unwrap_or((text_features / 64).max(1)),
        text_num_layers: layers(found, "text_model.encoder.layers."),
        vision_head_dim: 0,
        vision_num_heads: heads(found, "vision_model.").unwrap_or((vision_features / 64).max(1)),
    };
    let image_size = (places - 1).max(0).isqrt().saturating_mul(patch);
    let mut config = around(image_size, context_length, clip)?;
    if found.has_head() {
        head(&mut config, found)?;
    }
    Ok(config)
}

fn head(config: &mut ModelConfig, found: &Found) -> Result<(), String> {
    let [hidden, _] = shape(found, "fusion.layers.0.mlp.fc1.weight")?;
    let head = &mut config.magiclens;
    head.ff_hidden_size = hidden;
    head.num_layers = layers(found, "fusion.layers.");
    if let Some(heads) = heads(found, "fusion.").filter(|&heads| heads > 0) {
        head.num_heads = heads;
        head.fusion_dim_per_head = head.embed_dim / heads;
        head.pooler_dim_per_head = head.pooler_hidden_dim / heads;
    }
    config.check().map_err(|impossible| impossible.to_string())
}

fn shape<const N: usize>(found: &Found, name: &str) -> Result<[i64; N], String> {
    let entry = found.tensors.get(name).ok_or_else(|| format!("{name} is missing"))?;
    let size = entry.tensor.size();
    <[i64; N]>::try_from(size)
        .map_err(|size| format!("{} is {size:?}, not of {N} dimensions", entry.from))
}

/// One more than the greatest number after `prefix`.
fn layers(found: &Found, prefix: &str) -> i64 {
    let numbers = found
        .tensors
        .keys()
        .filter_map(|name| name.strip_prefix(prefix)?.split('.').next()?.parse::<i64>().ok());
    numbers.max().map_or(0, |last| last.saturating_add(1))
}

fn heads(found: &Found, prefix: &str) -> Option<i64> {
    found.heads.iter().find(|(name, _)| name.starts_with(prefix)).map(|(_, &heads)| heads)
}
