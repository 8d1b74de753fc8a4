//! Keys of the run itself: `[run]`, `[checkpoint]`, `[eval]`, `[log]`.
//!
//! The number of steps is the paper's: <https://arxiv.org/abs/2403.19651>.

use serde::{Deserialize, Serialize};

/// `[run]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// Steps of the optimizer; 0 only writes the weights that training would begin with.
    pub steps: u64,
    /// Seed of the order of triplets, of crops, and of weights that begin random.
    pub seed: u32,
}

impl Default for Run {
    fn default() -> Self {
        Self { steps: 50_000, seed: 0 }
    }
}

/// `[checkpoint]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Checkpointing {
    /// Steps between two checkpoints.
    pub every: u64,
    /// Checkpoints that are kept beside the best one.
    pub keep: usize,
}

impl Default for Checkpointing {
    fn default() -> Self {
        Self { every: 1000, keep: 3 }
    }
}

/// `[eval]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evaluation {
    /// Folders or files of validation shards; the split `val` below `data.shards` where it is empty.
    pub shards: Vec<String>,
    /// Steps between two evaluations; 0 = never.
    pub every: u64,
    /// Validation triplets that are used, at most; 0 = all.
    pub limit: usize,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self { shards: Vec::new(), every: 1000, limit: 5000 }
    }
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logging {
    /// Steps between two lines of the JSONL log and two points of TensorBoard's curves.
    pub every: u64,
}

impl Default for Logging {
    fn default() -> Self {
        Self { every: 10 }
    }
}
