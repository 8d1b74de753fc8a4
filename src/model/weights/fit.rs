//! Compares tensors with what a config needs, and says all that does not fit at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tch::Tensor;

use super::error::{Mismatch, WeightsError, WrongShape};
use super::naming::Found;
use crate::model::config::ModelConfig;
use crate::model::parameters::{Origin, layout};

/// The tensors by our names, all of them of the right shape. The added layers may be missing
/// altogether where `head_may_miss`.
pub(super) fn fit(
    path: &Path,
    found: Found,
    config: &ModelConfig,
    head_may_miss: bool,
) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let has_head = found.has_head();
    if !has_head && !head_may_miss {
        return Err(WeightsError::NoHead { path: path.to_owned() });
    }
    let mut mismatch = compare(&found, config, has_head);
    mismatch.wrong.extend(wrong_heads(&found, config));
    if !mismatch.is_empty() {
        let mismatch = Box::new(mismatch);
        return Err(WeightsError::Mismatch { path: path.to_owned(), mismatch });
    }
    Ok(found.tensors.into_iter().map(|(name, entry)| (name, entry.tensor)).collect())
}

fn compare(found: &Found, config: &ModelConfig, has_head: bool) -> Mismatch {
    let mut mismatch = Mismatch { extra: found.unknown.clone(), ..Mismatch::default() };
    let mut known = BTreeSet::new();
    for spec in layout(config) {
        match found.tensors.get(&spec.name) {
            Some(entry) if entry.tensor.size() != spec.shape => mismatch.wrong.push(WrongShape {
                name: entry.from.clone(),
                found: entry.tensor.size(),
                expected: spec.shape,
            }),
            None if has_head || spec.origin == Origin::Reused => {
                mismatch.missing.push(spec.name.clone());
            }
            _ => {}
        }
        known.insert(spec.name);
    }
    let extra = found.tensors.iter().filter(|(name, _)| !known.contains(*name));
    mismatch.extra.extend(extra.map(|(_, entry)| entry.from.clone()));
    mismatch
}

/// Flattened heads fit any number of heads, so the file's own number is compared as well.
fn wrong_heads(found: &Found, config: &ModelConfig) -> Vec<WrongShape> {
    let (clip, head) = (&config.clip, &config.magiclens);
    let heads = found.heads.iter().filter_map(|(name, &found)| {
        let expected = match name {
            name if name.starts_with("vision_model.") => clip.vision_num_heads,
            name if name.starts_with("text_model.") => clip.text_num_heads,
            _ => head.num_heads,
        };
        let name = format!("heads of {name}");
        (found != expected).then(|| WrongShape {
            name,
            expected: vec![expected],
            found: vec![found],
        })
    });
    heads.collect()
}
