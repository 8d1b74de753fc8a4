//! Ranges of the recipe's keys, each with the key's name and what would be right.
//!
//! It looks at no file and no device: shards and weights that are not there are found by who reads
//! them. Ranges of the optimizer are those of AdamW, <https://arxiv.org/abs/1711.05101>.

use super::{Batch, Loss, Optimizer, Recipe};
use crate::config::OutOfRange;
use crate::train::loss::MAX_SCALE;

/// Refuses values out of range.
pub(super) fn check(recipe: &Recipe) -> Result<(), OutOfRange> {
    at_least_one(recipe)?;
    batch(&recipe.batch)?;
    loss(&recipe.loss)?;
    optimizer(&recipe.optimizer)?;
    let Recipe { run, data, augment, ema, .. } = recipe;
    ensure("data.max_tokens", "must be between 3 and 77", (3..=77).contains(&data.max_tokens))?;
    let fits = run.steps == 0 || recipe.optimizer.warmup_steps <= run.steps;
    ensure("optimizer.warmup_steps", "must be run.steps or less", fits)?;
    let crops = augment.crop_scale > 0.0 && augment.crop_scale <= 1.0;
    ensure("augment.crop_scale", "must be above 0 and at most 1", crops)?;
    let ratio = (1.0..=10.0).contains(&augment.crop_ratio);
    ensure("augment.crop_ratio", "must be between 1 and 10", ratio)?;
    ensure("ema.decay", "must be 0 or more and below 1", (0.0..1.0).contains(&ema.decay))
}

fn at_least_one(recipe: &Recipe) -> Result<(), OutOfRange> {
    for (key, value) in [
        ("data.shuffle_window", recipe.data.shuffle_window as u64),
        ("data.prefetch_mib", recipe.data.prefetch_mib as u64),
        ("checkpoint.every", recipe.checkpoint.every),
        ("checkpoint.keep", recipe.checkpoint.keep as u64),
        ("log.every", recipe.log.every),
    ] {
        ensure(key, "must be 1 or more", value > 0)?;
    }
    ensure("model.config", "must name a size or a file", !recipe.model.config.is_empty())
}

fn batch(batch: &Batch) -> Result<(), OutOfRange> {
    ensure("batch.size", "must be 2 or more: one triplet has no contrast", batch.size >= 2)?;
    let fits = (1..=batch.size).contains(&batch.chunk);
    ensure("batch.chunk", "must be between 1 and batch.size", fits)
}

fn loss(loss: &Loss) -> Result<(), OutOfRange> {
    let fits = loss.temperature.is_finite() && loss.temperature >= 1.0 / MAX_SCALE;
    ensure("loss.temperature", "must be at least 0.01", fits)
}

fn optimizer(optimizer: &Optimizer) -> Result<(), OutOfRange> {
    let positive = |value: f64| value > 0.0 && value <= 1.0;
    ensure("optimizer.lr_new", "must be above 0 and at most 1", positive(optimizer.lr_new))?;
    ensure("optimizer.eps", "must be above 0 and at most 1", positive(optimizer.eps))?;
    for (key, value) in [
        ("optimizer.lr_reused", optimizer.lr_reused),
        ("optimizer.weight_decay", optimizer.weight_decay),
        ("optimizer.lr_floor", optimizer.lr_floor),
    ] {
        ensure(key, "must be between 0 and 1", (0.0..=1.0).contains(&value))?;
    }
    let decays = optimizer.betas.iter().all(|beta| (0.0..1.0).contains(beta));
    ensure("optimizer.betas", "must both be 0 or more and below 1", decays)?;
    let clips = optimizer.clip_norm >= 0.0 && optimizer.clip_norm.is_finite();
    ensure("optimizer.clip_norm", "must be 0 or more", clips)
}

fn ensure(key: &'static str, problem: &'static str, holds: bool) -> Result<(), OutOfRange> {
    if holds { Ok(()) } else { Err(OutOfRange { key, problem }) }
}
