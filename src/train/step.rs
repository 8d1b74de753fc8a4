//! One step of training, from a batch that is ready to be encoded to changed weights.
//!
//! Knows neither pixels nor files: the caller encodes. Everything here happens on all ranks alike.

use magiclens_torch::shim;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};
use thiserror::Error;

use super::collective::{Collective, CollectiveError};
use super::gradcache::{Encode, Encoded, chunks};
use super::loss::{Loss, LossConfig, MAX_SCALE};
use super::mask::Labels;
use super::optimizer::{AdamW, AdamWConfig, Guard, NotFinite, Rates};
use super::parameter::Parameter;
use super::ranks::{contrast_over_ranks, reduce_gradients};

/// How a step is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepConfig {
    /// Rows that are encoded in one go; 0 for the whole batch of a rank. Changes memory and speed,
    /// not the result.
    pub chunk_rows: usize,
    /// Chunks whose graph is kept instead of being encoded twice: as many as memory bears.
    pub held_chunks: usize,
    /// Largest norm of all gradients taken as one vector; 0 for any.
    pub clip_norm: f64,
    /// Size of the messages in which ranks exchange gradients.
    pub bucket_bytes: usize,
    /// Steps in a row that may be skipped for numbers that are not finite.
    pub patience: u32,
}

impl Default for StepConfig {
    fn default() -> Self {
        Self { chunk_rows: 0, held_chunks: 1, clip_norm: 1.0, bucket_bytes: 25 << 20, patience: 10 }
    }
}

/// What the step has to know of a rank's part of a batch beside how to encode it.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// One label a row; every rank has as many.
    pub labels: Labels,
    /// The row that each hard negative belongs to. Ranks may have unequal numbers.
    pub hard_rows: Vec<usize>,
}

/// What became of a step, over all ranks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Mean over valid rows.
    pub loss: f64,
    /// Share of valid rows whose target ranks first among all columns.
    pub accuracy: f64,
    /// Valid rows.
    pub rows: usize,
    /// Logits left out as false negatives.
    pub masked: u64,
    /// Before clipping.
    pub gradient_norm: f64,
    /// `exp(s)`, what logits were multiplied by.
    pub scale: f64,
    /// Whether weights changed: not without a valid row, nor where numbers were not finite.
    pub updated: bool,
}

/// A step could not be carried out.
#[derive(Debug, Error)]
pub enum StepError {
    /// Other ranks are gone or out of step.
    #[error(transparent)]
    Collective(#[from] CollectiveError),
    /// The run diverged.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
}

/// Everything that lives from step to step.
pub struct Stepper {
    parameters: Vec<Parameter>,
    scale: Tensor,
    optimizer: AdamW,
    guard: Guard,
    loss: LossConfig,
    config: StepConfig,
    collective: Box<dyn Collective>,
}

impl Stepper {
    /// Takes the weights to train. `scale` is `s`, an f32 scalar with logits multiplied by
    /// `exp(s)`: one of the parameters where it is learned, any other tensor where it is fixed. It
    /// is clamped here and after each update, not in use, where the clamp would take its gradient
    /// away for good.
    pub fn new(
        parameters: Vec<Parameter>,
        scale: Tensor,
        optimizer: AdamWConfig,
        loss: LossConfig,
        config: StepConfig,
        collective: Box<dyn Collective>,
    ) -> Self {
        let optimizer = AdamW::new(&parameters, optimizer);
        let guard = Guard::new(config.patience);
        let mut stepper = Self { parameters, scale, optimizer, guard, loss, config, collective };
        stepper.clamp_scale();
        stepper
    }

    /// Carries out a step: encodes `rows` in chunks with `encode`, contrasts them over all ranks
    /// and changes the weights.
    pub fn run<'m>(
        &mut self,
        rows: &Rows,
        rates: Rates,
        encode: &impl Encode<'m>,
    ) -> Result<Report, StepError> {
        let sums = self.accumulate(rows, encode)?;
        let norm = self.gradient_norm();
        let scale = self.scale.double_value(&[]).exp();
        let updated = sums.rows > 0 && self.guard.admit(sums.loss, norm)?;
        if updated {
            let clip = self.config.clip_norm;
            self.optimizer.update(rates, if clip > 0.0 { (norm / clip).max(1.0) } else { 1.0 });
            self.clamp_scale();
        }
        self.drop_gradients();
        let valid = sums.rows.max(1) as f64;
        Ok(Report {
            loss: sums.loss,
            accuracy: sums.first / valid,
            rows: sums.rows,
            masked: sums.masked as u64,
            gradient_norm: norm,
            scale,
            updated,
        })
    }

    /// Leaves the gradients of the whole batch's loss in the weights of every rank.
    fn accumulate<'m>(
        &self,
        rows: &Rows,
        encode: &impl Encode<'m>,
    ) -> Result<Sums, CollectiveError> {
        let collective = self.collective.as_ref();
        let labels = rows.labels.gather(collective)?;
        let size = match self.config.chunk_rows {
            0 => rows.labels.len(),
            size => size,
        };
        let chunks = chunks(rows.labels.len(), rows.hard_rows.len(), size);
        let negatives = self.loss.query_negatives;
        let encoded = Encoded::new(chunks, self.config.held_chunks, negatives, encode);
        let contrast = contrast_over_ranks(
            &encoded.roles(),
            &labels,
            &rows.hard_rows,
            &self.scale,
            &self.loss,
            collective,
        )?;
        encoded.backward(&contrast.gradients, encode);
        reduce_gradients(&self.parameters, self.config.bucket_bytes, collective)?;
        Sums::over_ranks(&contrast.loss, collective)
    }

    fn gradient_norm(&self) -> f64 {
        let gradients = self.parameters.iter().map(|parameter| parameter.tensor.grad());
        let gradients: Vec<Tensor> = gradients.filter(Tensor::defined).collect();
        let norm = shim::global_norm(&gradients.iter().collect::<Vec<_>>());
        norm.expect("gradients are f32 and on one device").double_value(&[])
    }

    fn clamp_scale(&mut self) {
        let _ = no_grad(|| self.scale.clamp_max_(MAX_SCALE.ln()));
    }

    fn drop_gradients(&self) {
        let tensors: Vec<&Tensor> = self.parameters.iter().map(|p| &p.tensor).collect();
        shim::drop_gradients(&tensors).expect("weights are leaves");
    }

    /// The weights, in the order they were given.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The optimizer, whose state goes into checkpoints.
    pub fn optimizer(&self) -> &AdamW {
        &self.optimizer
    }

    /// The optimizer, to take over a state.
    pub fn optimizer_mut(&mut self) -> &mut AdamW {
        &mut self.optimizer
    }

    /// The ranks, for what the caller does together with them.
    pub fn collective(&self) -> &dyn Collective {
        self.collective.as_ref()
    }

    /// Steps skipped because numbers were not finite.
    pub fn skipped(&self) -> u64 {
        self.guard.skipped()
    }
}

/// Numbers of a step, added up over all ranks.
struct Sums {
    loss: f64,
    first: f64,
    masked: f64,
    rows: usize,
}

impl Sums {
    fn over_ranks(loss: &Loss, collective: &dyn Collective) -> Result<Self, CollectiveError> {
        let own = [&loss.share, &loss.first, &loss.masked];
        let own = own.map(|value| value.detach().to_kind(Kind::Double));
        let mut all = Tensor::stack(&own, 0).to_device(Device::Cpu);
        collective.all_reduce_sum(&mut all)?;
        let value = |index| all.double_value(&[index]);
        Ok(Self { loss: value(0), first: value(1), masked: value(2), rows: loss.rows })
    }
}

#[cfg(test)]
mod tests;
