//! `train --dry-run`: what a recipe takes, by formula, before anything is begun.

use super::config::{Precision, Recipe};
use super::device::Machine;
use super::error::TrainError;
use super::estimate::size::Tower;
use super::estimate::{Flops, Footprint, Memory, ModelSize, Report, Work};
use super::loss::HardNegatives;
use super::setup::{Data, config};
use crate::model::ModelConfig;

/// Tokens of an instruction after trimming, assumed: mined ones have some 12, the longest of 2048 more.
const TEXT_TOKENS: f64 = 24.0;

/// Hard negatives a row, assumed where they are used.
const HARD_A_ROW: f64 = 1.0;

/// Estimates a recipe on one rank of this machine; counts the triplets of its shards, where it names any.
pub fn dry_run(recipe: &Recipe) -> Result<Report, TrainError> {
    let config = config(&recipe.model.config)?;
    let size = size_of(&config);
    let hard = if recipe.loss.hard_negatives == HardNegatives::Off { 0.0 } else { HARD_A_ROW };
    let batch = recipe.batch.size as u64;
    let flops = flops(recipe, &config, TEXT_TOKENS, hard);
    let machine = Machine::measure(magiclens_torch::device()?, recipe.model.precision.kind());
    let footprint = Footprint {
        rows: batch,
        batch,
        chunk: recipe.batch.chunk as u64,
        held: recipe.batch.held_chunks as u64,
        images: 2.0 + hard,
        text_tokens: TEXT_TOKENS,
        element: if recipe.model.precision == Precision::Bf16 { 2 } else { 4 },
        recompute_blocks: recipe.batch.recompute_blocks as u64,
        ema: recipe.ema.decay > 0.0,
    };
    let chunks = recipe.batch.size.div_ceil(recipe.batch.chunk);
    let held = recipe.batch.held_chunks as f64 / chunks as f64;
    let triplets = match recipe.data.shards.is_empty() {
        true => None,
        false => Some(Data::open(recipe, 0, 1)?.rows()),
    };
    Ok(Report {
        parameters: size.parameters(),
        computed: flops.with_recomputation(held, recipe.batch.recompute_blocks > 0),
        flops,
        memory: Memory::of(&size, &footprint),
        device_bytes: machine.memory().map(|memory| memory.total),
        peak: Some(machine.peak),
        steps: recipe.run.steps,
        batch,
        triplets,
    })
}

/// FLOPs of a triplet with an instruction of so many tokens, and so many hard negatives.
pub fn flops(
    recipe: &Recipe,
    config: &ModelConfig,
    text_tokens: f64,
    hard_negatives: f64,
) -> Flops {
    let work = Work {
        text_tokens,
        hard_negatives,
        query_negatives: recipe.loss.query_negatives,
        batch: recipe.batch.size as u64,
    };
    Flops::of(&size_of(config), &work)
}

fn size_of(config: &ModelConfig) -> ModelSize {
    let (clip, magiclens) = (&config.clip, &config.magiclens);
    ModelSize {
        image: config.image_size as u64,
        patch: clip.vision_patch_size as u64,
        vision: Tower { layers: clip.vision_num_layers as u64, width: clip.vision_features as u64 },
        text: Tower { layers: clip.text_num_layers as u64, width: clip.text_features as u64 },
        vocabulary: clip.vocab_size as u64,
        context: config.context_length as u64,
        embed: clip.embed_dim as u64,
        fusion: magiclens.num_layers as u64,
        pooler_heads: magiclens.num_heads as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_the_model_has() {
        for config in [ModelConfig::base(), ModelConfig::large(), ModelConfig::base32()] {
            assert_eq!(size_of(&config).parameters().total(), config.parameter_count() as u64);
        }
    }
}
