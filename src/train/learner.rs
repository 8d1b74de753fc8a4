//! What learns: the weights with their optimizer and their average, and how these are kept.
//!
//! A checkpoint's model is what was validated, so where an average is kept it is the average, and the
//! weights as they learn are a file beside it: whoever loads the best checkpoint has what was best.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tch::{Device, Tensor, no_grad};

use super::checkpoint::{Checkpoint, Keeper, Saved, TrainState, Writer};
use super::collective::Collective;
use super::config::{Recipe, TemperatureFrom};
use super::ema::Ema;
use super::error::TrainError;
use super::gradcache::Encode;
use super::loss::LossConfig;
use super::optimizer::{AdamWConfig, Rates, read_tensors, write_tensors};
use super::parameter::{Parameter, broadcast};
use super::step::{Report, Rows, StepConfig, Stepper};
use crate::model::{MagicLens, Origin, weights};

/// Files of a checkpoint: the model's own, and what only training needs.
const MODEL: &str = "model.safetensors";
const CONFIG: &str = "config.json";
const OPTIMIZER: &str = "optimizer.safetensors";
/// The weights as they learn, where those of the model are averages.
const LEARNING: &str = "learning.safetensors";

/// The name of the temperature among the parameters: `s`, with logits multiplied by `exp(s)`.
const SCALE: &str = "logit_scale";

/// What learns: weights with their optimizer and average.
pub struct Learner {
    stepper: Stepper,
    ema: Option<Ema>,
    device: Device,
}

impl Learner {
    /// Sets the temperature, gives all ranks the same weights, and takes over a checkpoint's state.
    pub fn new(
        model: &MagicLens,
        recipe: &Recipe,
        collective: Box<dyn Collective>,
        from: Option<&Checkpoint>,
    ) -> Result<Self, TrainError> {
        let scale =
            model.parameters().get(SCALE).expect("every model has one").tensor.shallow_clone();
        if from.is_none() && recipe.loss.temperature_from == TemperatureFrom::Recipe {
            let _ = no_grad(|| scale.shallow_clone().fill_(-recipe.loss.temperature.ln()));
        }
        let learned = |name: &str| name != SCALE || recipe.loss.learn_temperature;
        let parameters: Vec<Parameter> =
            model.parameters().iter().filter(|p| learned(&p.name)).map(parameter).collect();
        broadcast(&parameters, collective.as_ref())?;
        let ema = (recipe.ema.decay > 0.0).then(|| Ema::new(&parameters, recipe.ema.decay));
        let optimizer = AdamWConfig::from(&recipe.optimizer);
        let loss = LossConfig::from(&recipe.loss);
        let step = StepConfig {
            chunk_rows: recipe.batch.chunk,
            held_chunks: recipe.batch.held_chunks,
            clip_norm: recipe.optimizer.clip_norm,
            ..StepConfig::default()
        };
        let stepper = Stepper::new(parameters, scale, optimizer, loss, step, collective);
        let mut learner = Self { stepper, ema, device: model.device() };
        if let Some(checkpoint) = from {
            learner.restore(checkpoint)?;
        }
        Ok(learner)
    }

    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), TrainError> {
        let state = read_tensors(&checkpoint.file(OPTIMIZER)?)?;
        self.stepper.optimizer_mut().restore(state)?;
        if let Some(ema) = &mut self.ema {
            let mut averages = read_tensors(&checkpoint.file(MODEL)?)?;
            // What does not learn has no average.
            averages.retain(|name, _| ema.has(name));
            ema.restore(averages)?;
        }
        Ok(())
    }

    /// One step on a rank's part of a batch.
    pub fn step<'m>(
        &mut self,
        rows: &Rows,
        rates: Rates,
        encode: &impl Encode<'m>,
    ) -> Result<Report, TrainError> {
        let report = self.stepper.run(rows, rates, encode)?;
        if let Some(ema) = self.ema.as_mut().filter(|_| report.updated) {
            ema.update();
        }
        Ok(report)
    }

    /// Whether no other rank takes part.
    pub fn is_alone(&self) -> bool {
        self.stepper.collective().world() == 1
    }

    /// Whether any rank says so.
    pub fn any(&self, here: bool) -> Result<bool, TrainError> {
        Ok(self.total(here.into())? > 0)
    }

    /// Adds up a number over all ranks.
    pub fn total(&self, here: u64) -> Result<u64, TrainError> {
        if self.is_alone() {
            return Ok(here);
        }
        let mut all = Tensor::from_slice(&[here as i64]).to_device(self.device);
        self.stepper.collective().all_reduce_sum(&mut all)?;
        Ok(all.int64_value(&[0]) as u64)
    }

    /// Works with the averaged weights, where an average is kept.
    pub fn with_averages<T>(&mut self, work: impl FnOnce() -> T) -> T {
        match &mut self.ema {
            Some(ema) => ema.with_averages(work),
            None => work(),
        }
    }

    /// Writes a checkpoint.
    pub fn save(
        &self,
        keeper: &Keeper,
        model: &MagicLens,
        state: &TrainState,
        score: Option<f64>,
    ) -> Result<Saved, TrainError> {
        let averages: BTreeMap<String, Tensor> =
            self.ema.as_ref().map(Ema::state).unwrap_or_default().into_iter().collect();
        let validated = |path: &Path| {
            let folder = path.parent().expect("files of a checkpoint lie in its folder");
            let named = model.parameters().iter();
            let named =
                named.map(|p| (p.name.as_str(), averages.get(&p.name).unwrap_or(&p.tensor)));
            Ok(weights::save(folder, model.config(), named)?)
        };
        // Written with the weights.
        let config = |_: &Path| Ok(());
        let optimizer = |path: &Path| Ok(write_tensors(path, &self.stepper.optimizer().state())?);
        let learning = |path: &Path| {
            let named = model.parameters().iter();
            let named: Vec<_> = named.map(|p| (p.name.clone(), p.tensor.detach())).collect();
            Ok(write_tensors(path, &named)?)
        };
        let mut files: Vec<(&str, &Writer<'_>)> =
            vec![(MODEL, &validated), (CONFIG, &config), (OPTIMIZER, &optimizer)];
        if self.ema.is_some() {
            files.push((LEARNING, &learning));
        }
        Ok(keeper.save(state, score, &files)?)
    }
}

/// The file that a run goes on from: the weights as they learn.
pub fn learning(checkpoint: &Checkpoint) -> PathBuf {
    let name = if checkpoint.files.contains_key(LEARNING) { LEARNING } else { MODEL };
    checkpoint.path.join(name)
}

fn parameter(of_model: &crate::model::Parameter) -> Parameter {
    Parameter {
        name: of_model.name.clone(),
        tensor: of_model.tensor.shallow_clone(),
        // The temperature learns as fast as what is new.
        new: of_model.origin == Origin::New || of_model.name == SCALE,
        decay: of_model.decays,
    }
}
