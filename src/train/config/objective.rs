//! Keys of what is minimised and how: `[batch]`, `[loss]`, `[optimizer]`, `[ema]`.
//!
//! The loss is equation 1 of <https://arxiv.org/abs/2403.19651>; chunks are those of GradCache,
//! <https://arxiv.org/abs/2101.06983>.

use serde::{Deserialize, Serialize};

use crate::train::loss::{HardNegatives, LossConfig};
use crate::train::mask::Mask;
use crate::train::optimizer::AdamWConfig;

/// `[batch]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// Triplets of a step over all ranks: all of them stand in one contrast.
    pub size: usize,
    /// Triplets encoded at once on a rank; changes memory and speed, not gradients.
    pub chunk: usize,
    /// Chunks whose first pass is kept for the backward pass: the rest is encoded twice.
    pub held_chunks: usize,
    /// Blocks of a tower of which only the first one's input is kept, and which are computed again in the
    /// backward pass; 0 = all blocks keep what they need. Changes memory and speed, not gradients.
    pub recompute_blocks: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self { size: 2048, chunk: 128, held_chunks: 0, recompute_blocks: 0 }
    }
}

/// `[loss]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Loss {
    /// Whether query images, with empty text, are negatives beside the targets of the batch.
    pub query_negatives: bool,
    /// Whether targets are also contrasted with the queries of the batch.
    pub symmetric: bool,
    /// Whose negatives the hard negatives of the shards are.
    pub hard_negatives: HardNegatives,
    /// Which logits are left out as false negatives.
    pub mask: Mask,
    /// The temperature τ to begin with.
    pub temperature: f64,
    /// Whether τ begins at `temperature` or as the weights have it.
    pub temperature_from: TemperatureFrom,
    /// Whether τ is learned.
    pub learn_temperature: bool,
}

impl Default for Loss {
    fn default() -> Self {
        Self {
            query_negatives: true,
            symmetric: false,
            hard_negatives: HardNegatives::Off,
            mask: Mask::Cluster,
            temperature: 0.07,
            temperature_from: TemperatureFrom::Recipe,
            learn_temperature: true,
        }
    }
}

impl From<&Loss> for LossConfig {
    fn from(loss: &Loss) -> Self {
        let Loss { query_negatives, symmetric, hard_negatives, mask, .. } = *loss;
        Self { query_negatives, symmetric, hard_negatives, mask }
    }
}

/// Where the temperature begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum TemperatureFrom {
    /// At `loss.temperature`.
    Recipe,
    /// Where CLIP's training left it.
    Weights,
}

/// `[optimizer]`: AdamW.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Optimizer {
    /// Peak learning rate of the fusion layers, the pooler and τ.
    pub lr_new: f64,
    /// Peak learning rate of the CLIP towers; 0 leaves them as they are.
    pub lr_reused: f64,
    /// Decoupled weight decay of matrices; τ, biases, LayerNorms and embeddings have none.
    pub weight_decay: f64,
    /// Decay of the two moments.
    pub betas: [f64; 2],
    /// What is added to the root of the second moment.
    pub eps: f64,
    /// Norm that gradients are clipped to; 0 = not clipped.
    pub clip_norm: f64,
    /// Steps in which learning rates rise to their peak.
    pub warmup_steps: u64,
    /// How learning rates fall from there.
    pub schedule: Schedule,
    /// The share of the peak that the last step has.
    pub lr_floor: f64,
}

impl Default for Optimizer {
    fn default() -> Self {
        Self {
            lr_new: 2e-5,
            lr_reused: 2e-6,
            weight_decay: 0.1,
            betas: [0.9, 0.98],
            eps: 1e-6,
            clip_norm: 1.0,
            warmup_steps: 1000,
            schedule: Schedule::Cosine,
            lr_floor: 0.0,
        }
    }
}

impl From<&Optimizer> for AdamWConfig {
    fn from(optimizer: &Optimizer) -> Self {
        let Optimizer { betas: [beta1, beta2], eps, weight_decay, .. } = *optimizer;
        Self { beta1, beta2, eps, weight_decay, ..Self::default() }
    }
}

/// How learning rates fall after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Half a cosine, down to `optimizer.lr_floor`.
    Cosine,
    /// Not at all.
    Constant,
}

/// `[ema]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ema {
    /// Decay of the running average of the weights a step; 0 = no average is kept.
    pub decay: f64,
}
