//! Which keys may change when a run is resumed: those that leave its curve as it is.
//!
//! Chunks change rounding only, see GradCache: <https://arxiv.org/abs/2101.06983>, section 3.

use std::fmt;

use toml::{Table, Value};

use super::Recipe;

/// Keys that may change, and sections of such keys, which end in a dot.
const FREE: &[&str] = &[
    "batch.chunk",
    "batch.held_chunks",
    "batch.recompute_blocks",
    "checkpoint.",
    "data.prefetch_mib",
    "data.shards",
    "data.workers",
    "eval.",
    "log.",
    "model.weights",
];

/// A key that cannot change in the middle of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// Dotted key.
    pub key: String,
    /// What the run was begun with.
    pub kept: Value,
    /// What is asked for now.
    pub asked: Value,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, kept, asked } = self;
        write!(f, "{key} is {kept} in the run that is resumed and cannot become {asked}")
    }
}

impl Recipe {
    /// The first key, in the order of the recipe, in which `kept`, the recipe of a checkpoint, gives
    /// another curve. Where shards lie is free to change: what is in them has a fingerprint of its
    /// own; and initial weights are no longer read.
    pub fn conflict_with(&self, kept: &Self) -> Option<Conflict> {
        let (asked, kept) = (flat(self), flat(kept));
        let pairs = asked.into_iter().zip(kept);
        let mut changed = pairs.filter(|((key, asked), (_, kept))| !is_free(key) && asked != kept);
        changed.next().map(|((key, asked), (_, kept))| Conflict { key, kept, asked })
    }
}

fn is_free(key: &str) -> bool {
    FREE.iter().any(|free| *free == key || free.ends_with('.') && key.starts_with(free))
}

/// Dotted keys and their values: the same keys in the same order for every recipe.
fn flat(recipe: &Recipe) -> Vec<(String, Value)> {
    let table = Table::try_from(recipe).expect("a recipe is valid TOML");
    let sections = table.into_iter().flat_map(|(section, keys)| {
        let keys = keys.as_table().cloned().unwrap_or_default();
        keys.into_iter().map(move |(key, value)| (format!("{section}.{key}"), value))
    });
    sections.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_curve_cannot_change() {
        let kept = Recipe::default();
        let mut asked = kept.clone();
        assert_eq!(asked.conflict_with(&kept), None);
        asked.batch.chunk = 16;
        asked.checkpoint.keep = 9;
        asked.data.shards = vec!["elsewhere".into()];
        assert_eq!(asked.conflict_with(&kept), None);
        asked.optimizer.betas = [0.9, 0.999];
        assert_eq!(
            asked.conflict_with(&kept).unwrap().to_string(),
            "optimizer.betas is [0.9, 0.98] in the run that is resumed and cannot become [0.9, 0.999]"
        );
    }

    #[test]
    fn every_free_key_exists() {
        let keys = flat(&Recipe::default());
        for free in FREE {
            assert!(keys.iter().any(|(key, _)| key.starts_with(free)), "{free}");
        }
        let bound = keys.iter().filter(|(key, _)| !is_free(key)).count();
        assert!((20..keys.len()).contains(&bound), "{bound} of {}", keys.len());
    }
}
