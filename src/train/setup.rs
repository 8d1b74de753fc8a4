//! From a recipe to what the loop works with: shards and loaders, model, schedule.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tch::{Device, Kind};

use super::checkpoint::TrainState;
use super::config::{Augment, Precision, Recipe};
use super::data::{Dataset, LoadOptions, Loader, Prepare, Shards};
use super::error::TrainError;
use super::loss::HardNegatives;
use super::schedule::Schedule;
use crate::model::input::ImageInput;
use crate::model::preprocess::{ImageSpec, RandomCrop};
use crate::model::tokenizer::{END, Tokenizer};
use crate::model::weights::HubName;
use crate::model::{MagicLens, ModelConfig};
use crate::record::Split;

/// Hard negatives of a row that are read at most: the miner writes a few.
const HARD_A_ROW: usize = 4;

/// What the loop looks up at each step.
pub struct Course {
    /// Learning rates.
    pub schedule: Schedule,
    /// Whether query images are negatives.
    pub query_negatives: bool,
    /// Blocks of a tower that are computed again together; 0 for none.
    pub recompute_blocks: usize,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// Steps between two lines of the log.
    pub log_every: u64,
}

impl Course {
    /// Reads a recipe.
    pub fn of(recipe: &Recipe) -> Self {
        Self {
            schedule: Schedule::of(&recipe.optimizer, recipe.run.steps),
            query_negatives: recipe.loss.query_negatives,
            recompute_blocks: recipe.batch.recompute_blocks,
            checkpoint_every: recipe.checkpoint.every.max(1),
            log_every: recipe.log.every.max(1),
        }
    }
}

/// The shards of a run, and how they are read.
pub struct Data {
    train: Dataset,
    val: Option<Dataset>,
    options: LoadOptions,
    recipe: Recipe,
    limit: Option<u64>,
}

impl Data {
    /// Reads all footers.
    pub fn open(recipe: &Recipe, rank: usize, world: usize) -> Result<Self, TrainError> {
        let location = one(&recipe.data.shards, "data.shards")?;
        let shards = Shards::open(location)?;
        let val = match recipe.eval.shards.first() {
            Some(location) => Some(Shards::open(location)?.split(Split::Val)?),
            None => shards.split(Split::Val).ok(),
        };
        let hard = recipe.loss.hard_negatives != HardNegatives::Off;
        let options = LoadOptions {
            batch: recipe.batch.size,
            seed: recipe.run.seed.into(),
            shuffle_window_rows: recipe.data.shuffle_window,
            distinct_pages: !recipe.data.allow_same_group,
            rank,
            world,
            hard_negatives: if hard { HARD_A_ROW } else { 0 },
            prefetch_mib: recipe.data.prefetch_mib,
            threads: recipe.data.workers,
            ..LoadOptions::default()
        };
        let limit = (recipe.eval.limit > 0).then_some(recipe.eval.limit as u64);
        Ok(Self { train: shards.split(Split::Train)?, val, options, recipe: recipe.clone(), limit })
    }

    /// Triplets to train on.
    pub fn rows(&self) -> u64 {
        self.train.rows()
    }

    /// Batches from `step` on, without end.
    pub fn loader(&self, spec: ImageSpec, step: u64) -> Result<Loader, TrainError> {
        let prepare = prepare(&self.recipe, spec, true);
        Ok(Loader::start(&self.train, &self.options, prepare, step)?)
    }

    /// Held-out triplets in order, in chunks; nothing where there are none.
    pub fn validation(&self, spec: ImageSpec) -> Result<Option<Loader>, TrainError> {
        let Some(val) = &self.val else { return Ok(None) };
        let batch = self.recipe.batch.chunk.max(1);
        let options =
            LoadOptions { batch, rank: 0, world: 1, hard_negatives: 0, ..self.options.clone() };
        let prepare = prepare(&self.recipe, spec, false);
        Ok(Some(Loader::in_order(val, &options, prepare, self.limit)?))
    }

    /// Where the order of triplets is at a step, for a checkpoint.
    pub fn position(&self, step: u64) -> String {
        let position = self.options.position(&self.train, step);
        serde_json::to_string(&position).expect("a position is plain data")
    }

    /// Refuses to go on where triplets would be repeated or skipped.
    pub fn check(&self, state: &TrainState) -> Result<(), TrainError> {
        if state.data.is_empty() {
            return Ok(());
        }
        let kept: super::data::Position = serde_json::from_str(&state.data)
            .map_err(|error| TrainError::Position(error.to_string()))?;
        Ok(kept.check(&self.options.position(&self.train, state.step))?)
    }
}

fn one<'a>(locations: &'a [String], key: &'static str) -> Result<&'a str, TrainError> {
    match locations {
        [location] => Ok(location),
        [] => Err(TrainError::Recipe(format!("{key} is empty: name a folder of shards"))),
        _ => Err(TrainError::Recipe(format!(
            "{key}: one location, please, with all shards below it"
        ))),
    }
}

fn prepare(recipe: &Recipe, spec: ImageSpec, augment: bool) -> Prepare {
    let Augment { crop_scale, crop_ratio } = recipe.augment;
    let crop = (augment && crop_scale < 1.0)
        .then(|| RandomCrop { scale: (crop_scale, 1.0), ratio: (1.0 / crop_ratio, crop_ratio) });
    let input = ImageInput { spec, how: recipe.model.preprocess, crop };
    let (tokenizer, max) = (Tokenizer::clip(), recipe.data.max_tokens);
    Prepare {
        size: spec.size,
        image: Arc::new(move |bytes, seed, pixels| input.read(bytes, seed, pixels)),
        text: Arc::new(move |text| {
            let tokens = tokenizer.encode(text);
            within(tokens.ids, tokens.cut, max)
        }),
    }
}

/// At most `max` ids, the last of them still the end token.
fn within(mut ids: Vec<u32>, cut: bool, max: usize) -> (Vec<u32>, bool) {
    if ids.len() <= max {
        return (ids, cut);
    }
    ids.truncate(max.saturating_sub(1));
    ids.push(END);
    (ids, true)
}

/// The model that a run begins with.
pub fn model(recipe: &Recipe, device: Device) -> Result<MagicLens, TrainError> {
    let config = config(&recipe.model.config)?;
    let seed = i64::from(recipe.run.seed);
    if recipe.model.weights.is_empty() {
        return Ok(MagicLens::new(&config, device, seed));
    }
    let source = match HubName::parse(&recipe.model.weights) {
        Some(name) => name.fetch()?,
        None => PathBuf::from(&recipe.model.weights),
    };
    if !source.exists() {
        return Err(TrainError::Recipe(format!(
            "model.weights: {} is not there; name a folder or file of weights, a repository of the \
             Hugging Face Hub (hf://openai/clip-vit-base-patch16), or \"\" to begin from random ones",
            source.display()
        )));
    }
    Ok(MagicLens::initialise_from(&source, Some(&config), device, seed)?)
}

/// A preset by its name, or a file.
pub fn config(name: &str) -> Result<ModelConfig, TrainError> {
    match ModelConfig::preset(name) {
        Some(config) => Ok(config),
        None => Ok(ModelConfig::read(Path::new(name))?),
    }
}

impl Precision {
    /// What matrix products are computed in. bfloat16 on a CPU is slower than float32 and only there to
    /// be tried.
    pub fn kind(self) -> Kind {
        match self {
            Self::F32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
        }
    }
}
