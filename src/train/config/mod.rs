//! The recipe: everything that decides over a training run, and where its values come from.
//!
//! From strong to weak: flag, the file given with `--recipe`, the recipe of the checkpoint that is
//! resumed, default. The environment has no say: a run is to be read off its files. Unknown keys are
//! refused. `recipes/base.toml` lists every key at its default; a test holds the two together.
//! Defaults are those of the paper where it gives them, <https://arxiv.org/abs/2403.19651>.

mod care;
mod check;
mod input;
mod objective;
mod resume;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::{ConfigError, Layers, Settings};

pub use care::{Checkpointing, Evaluation, Logging, Run};
pub use input::{Augment, Data, Model, Precision};
pub use objective::{Batch, Ema, Loss, Optimizer, Schedule, TemperatureFrom};
pub use resume::Conflict;

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// How long, and with which random numbers.
    pub run: Run,
    /// What is trained.
    pub model: Model,
    /// What it is trained on.
    pub data: Data,
    /// What is done to training images beyond scaling them.
    pub augment: Augment,
    /// How triplets are put together to a step.
    pub batch: Batch,
    /// What is minimised.
    pub loss: Loss,
    /// How weights move.
    pub optimizer: Optimizer,
    /// The running average of the weights.
    pub ema: Ema,
    /// What is kept.
    pub checkpoint: Checkpointing,
    /// How good it is on held-out triplets.
    pub eval: Evaluation,
    /// What is written down.
    pub log: Logging,
}

/// Where the values of a recipe come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The recipe of the checkpoint that is resumed, as TOML.
    pub kept: Option<String>,
    /// The file named with `--recipe`; it must exist.
    pub file: Option<PathBuf>,
    /// `section.key=value` of `--set` and of the flags that stand for one.
    pub flags: Vec<String>,
}

impl Recipe {
    /// Merges the sources and checks ranges; errors name the source and the key.
    pub fn load(sources: Sources) -> Result<Self, ConfigError> {
        let Sources { kept: run_dir, file, flags } = sources;
        Layers { found: None, run_dir, file, flags }.load_plain()
    }

    /// Writes all keys as TOML, in the order of this file: what a checkpoint keeps.
    pub fn text(&self) -> String {
        toml::to_string(self).expect("a recipe is valid TOML")
    }

    /// Names the recipe: sha256 of [`Self::text`], hex.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.text()))
    }
}

impl Settings for Recipe {
    const LISTED: &'static str = "recipes/base.toml";

    fn check(&self) -> Result<(), crate::config::OutOfRange> {
        check::check(self)
    }
}
