//! The trainer, from top to bottom: data, forward, loss, step, log, validation, checkpoint.
//!
//! Everything random is a function of (seed, step), so a run that is stopped and resumed takes the
//! same triplets in the same order. Equation 1 of arXiv 2403.19651; ranks and chunks as in
//! [`step`](super::step).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::MultiProgress;
use tch::Device;

use super::checkpoint::{Checkpoint, Checkpoints, Counters, TrainState};
use super::collective::{self, Backend, Collective, World};
use super::config::Recipe;
use super::desk::{CHECKPOINTS, Desk};
use super::device::{self, Machine};
use super::dry_run::flops;
use super::encode::encode_in_stretches;
use super::error::TrainError;
use super::feed::{Fed, Feed};
use super::gradcache::Chunk;
use super::learner::{Learner, learning};
use super::meter::{Meter, StepTime, mfu};
use super::optimizer::Rates;
use super::progress::Status;
use super::setup::{Course, Data};
use super::signal::Stop;
use super::step::Report;
use super::validate::{Recall, validate};
use crate::model::MagicLens;

/// How long a rank waits for the others: longer than a validation or a checkpoint takes.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Rates are those of this last while.
const WINDOW: Duration = Duration::from_secs(30);

/// A training run as it was asked for.
pub struct Options {
    /// What to do.
    pub recipe: Recipe,
    /// The run's folder.
    pub out: PathBuf,
    /// Where to go on, if there is a checkpoint.
    pub from: Option<Checkpoint>,
    /// Asks for an early end.
    pub stop: Stop,
    /// Where the progress line is drawn.
    pub bars: MultiProgress,
    /// Log lines instead of a progress line.
    pub json: bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Steps done.
    pub step: u64,
    /// The signal that ended it early, here or on another rank.
    pub stopped_by: Option<&'static str>,
    /// The checkpoint of the last step.
    pub checkpoint: PathBuf,
    /// The last validation.
    pub recall: Option<Recall>,
    /// What was left out or cut, over all sessions.
    pub counters: Counters,
}

/// Trains from the options' checkpoint, or from the beginning, to the recipe's last step.
pub fn run(options: Options) -> Result<Ended, TrainError> {
    let world = World::from_env()?;
    let device = device::of(&world)?;
    let collective = collective::open(&world, device, Backend::Auto, PATIENCE)?;
    Trainer::open(options, device, collective)?.train()
}

struct Trainer {
    options: Options,
    course: Course,
    data: Data,
    machine: Machine,
    model: MagicLens,
    learner: Learner,
    state: TrainState,
    /// That of the latest step of this session.
    loss: Option<f64>,
    /// Model FLOPs of a triplet as that step had them.
    flops: f64,
    /// Only on rank 0.
    desk: Option<Desk>,
    meter: Meter,
}

impl Trainer {
    fn open(
        options: Options,
        device: Device,
        collective: Box<dyn Collective>,
    ) -> Result<Self, TrainError> {
        let Options { recipe, from, .. } = &options;
        let (rank, world) = (collective.rank(), collective.world());
        let data = Data::open(recipe, rank, world)?;
        let mut model = match from {
            Some(checkpoint) => MagicLens::load(&learning(checkpoint), None, device)?,
            None => super::setup::model(recipe, device)?,
        };
        let kind = recipe.model.precision.kind();
        model.set_compute(kind);
        model.set_preprocess(recipe.model.preprocess);
        let machine = Machine::measure(device, kind);
        let learner = Learner::new(&model, recipe, collective, from.as_ref())?;
        let mut state = match from {
            Some(checkpoint) => checkpoint.state.clone(),
            None => TrainState::default(),
        };
        data.check(&state)?;
        state.recipe = recipe.text();
        state.recipe_hash = recipe.hash();
        state.seed = recipe.run.seed.into();
        state.world_size = world;
        state.software = TrainState::software();
        if let Some(checkpoint) = from.as_ref().filter(|_| rank == 0) {
            tracing::info!(step = state.step, "resuming from {}", checkpoint.path.display());
        }
        let desk = (rank == 0).then(|| Desk::open(&options, &state)).transpose()?;
        let meter = Meter::new(recipe.run.steps, state.step, WINDOW);
        let course = Course::of(recipe);
        Ok(Self {
            course,
            options,
            data,
            machine,
            model,
            learner,
            state,
            loss: None,
            flops: 0.0,
            desk,
            meter,
        })
    }

    fn train(mut self) -> Result<Ended, TrainError> {
        let spec = self.model.image_spec();
        let loader = self.data.loader(spec, self.state.step)?;
        let mut feed = Feed::start(loader, &self.model);
        let (mut validated, mut stopped) = (None, false);
        while self.state.step < self.options.recipe.run.steps {
            stopped = self.stop_together()?;
            if stopped {
                break;
            }
            // Data.
            let began = Instant::now();
            let fed = feed.next().ok_or(TrainError::NoData)??;
            let waited = began.elapsed();
            // Forward, loss, step.
            let rates = self.course.schedule.rates(self.state.step);
            let report = self.step(&fed, rates)?;
            self.state.step += 1;
            self.count(&fed, &report)?;
            let took = began.elapsed();
            let triplets = self.options.recipe.batch.size as u64;
            self.meter.step(StepTime { triplets, took, waited });
            self.state.seconds += took.as_secs_f64();
            self.log(&report, rates)?;
            // Validation and checkpoint.
            let pause = Instant::now();
            let is_last = self.state.step == self.options.recipe.run.steps;
            let recall = self.validate(is_last)?;
            validated = recall.map(|recall| (self.state.step, recall)).or(validated);
            let is_due = self.state.step.is_multiple_of(self.course.checkpoint_every);
            if !is_last && (is_due || recall.is_some_and(|recall| self.is_best(&recall))) {
                self.save_or_warn(recall);
            }
            if !is_last {
                self.meter.pause(pause.elapsed());
            }
        }
        self.finish(validated, stopped)
    }

    /// Ranks stop at the same step: where one of them was asked to.
    fn stop_together(&self) -> Result<bool, TrainError> {
        self.learner.any(self.options.stop.requested().is_some())
    }

    fn step(&mut self, fed: &Fed, rates: Rates) -> Result<Report, TrainError> {
        let (model, negatives) = (&self.model, self.course.query_negatives);
        let every = self.course.recompute_blocks;
        let encoder = |chunk: &Chunk| encode_in_stretches(model, fed, chunk, negatives, every);
        let _held = model.hold_casts();
        self.learner.step(&fed.rows, rates, &encoder)
    }

    fn count(&mut self, fed: &Fed, report: &Report) -> Result<(), TrainError> {
        for (triplet, failure) in &fed.failures {
            let (step, role) = (fed.step, failure.role);
            tracing::warn!(step, triplet, ?role, "left out: {}", failure.problem);
        }
        let recipe = &self.options.recipe;
        let rows = fed.ids.size()[0] as f64;
        let hard = fed.rows.hard_rows.len() as f64 / rows;
        let tokens = fed.ids.size()[1] as f64;
        self.flops = flops(recipe, self.model.config(), tokens, hard).training();
        let batch = recipe.batch.size as u64;
        self.state.triplets += batch;
        self.state.counters.add(&Counters {
            undecodable: batch.saturating_sub(report.rows as u64),
            cut_texts: self.learner.total(fed.cut_texts as u64)?,
            // Counted over the whole batch already.
            shared_pages: fed.shared_pages as u64,
            masked: report.masked,
            skipped_steps: u64::from(!report.updated),
        });
        Ok(())
    }

    fn log(&mut self, report: &Report, rates: Rates) -> Result<(), TrainError> {
        self.loss = Some(report.loss);
        let status = self.status();
        let step = self.state.step;
        let counters = self.state.counters.named();
        let Some(desk) = &mut self.desk else { return Ok(()) };
        desk.progress.show(&status);
        if step.is_multiple_of(self.course.log_every) || step == 1 {
            let values = [
                ("train/loss", report.loss),
                ("train/accuracy", report.accuracy),
                ("train/gradient_norm", report.gradient_norm),
                ("train/logit_scale", report.scale),
                ("train/masked", report.masked as f64),
                ("train/rate_new", rates.new),
                ("train/rate_reused", rates.reused),
                ("run/triplets_per_s", status.rate),
                ("run/data_wait", status.wait_share),
            ];
            let measured = [
                ("run/mfu", status.mfu),
                ("run/gpu_bytes", status.gpu_bytes.map(|bytes| bytes as f64)),
            ];
            let measured = measured.into_iter().filter_map(|(name, value)| Some((name, value?)));
            let counted = counters.map(|(name, count)| (name, count as f64));
            let values: Vec<_> = values.into_iter().chain(measured).chain(counted).collect();
            desk.write(step, &values);
        }
        Ok(())
    }

    /// Of all ranks' devices together, which are taken to be alike.
    fn peak(&self) -> f64 {
        self.machine.peak * self.state.world_size as f64
    }

    fn status(&self) -> Status {
        let window = self.meter.window();
        Status {
            step: self.state.step,
            steps: self.options.recipe.run.steps,
            loss: self.loss,
            rate: window.rate(),
            mfu: (self.flops > 0.0).then(|| mfu(self.flops, window.rate(), self.peak())),
            gpu_bytes: self.machine.memory().map(|memory| memory.used),
            wait_share: window.wait_share(),
            eta: self.meter.eta(),
        }
    }

    /// On rank 0, where there is something to validate on and it is time to.
    fn validate(&mut self, is_last: bool) -> Result<Option<Recall>, TrainError> {
        let every = self.options.recipe.eval.every;
        let due = every > 0 && (is_last || self.state.step.is_multiple_of(every));
        let Some(desk) = self.desk.as_mut().filter(|_| due) else { return Ok(None) };
        let Some(loader) = self.data.validation(self.model.image_spec())? else {
            return Ok(None);
        };
        let model = &self.model;
        let recall = self.learner.with_averages(|| validate(model, loader))?;
        tracing::info!(
            step = self.state.step,
            queries = recall.queries,
            gallery = recall.gallery,
            "validation: R@1 {:.1} %  R@5 {:.1} %  R@10 {:.1} %",
            100.0 * recall.at_1,
            100.0 * recall.at_5,
            100.0 * recall.at_10
        );
        let values = [
            ("val/recall@1", recall.at_1),
            ("val/recall@5", recall.at_5),
            ("val/recall@10", recall.at_10),
        ];
        desk.write(self.state.step, &values);
        Ok(Some(recall))
    }

    /// A checkpoint in between that cannot be written costs the run nothing but that checkpoint.
    fn save_or_warn(&mut self, recall: Option<Recall>) {
        if let Err(error) = self.save(recall) {
            tracing::error!(step = self.state.step, "no checkpoint, training goes on: {error}");
        }
    }

    /// Whether no checkpoint has scored as high.
    fn is_best(&self, recall: &Recall) -> bool {
        self.state.best_score.is_none_or(|best| recall.score() > best)
    }

    /// `recall` is that of these very weights.
    fn save(&mut self, recall: Option<Recall>) -> Result<(), TrainError> {
        let Some(desk) = &self.desk else { return Ok(()) };
        let score = recall.map(|recall| recall.score());
        let mut state = self.state.clone();
        if recall.is_some_and(|recall| self.is_best(&recall)) {
            state.best_score = score;
        }
        state.data = self.data.position(state.step);
        let saved = self.learner.save(&desk.keeper, &self.model, &state, score)?;
        // Only now: the best of all is to be one that is there.
        self.state.best_score = state.best_score;
        if let Err(error) = desk.log.sync() {
            tracing::warn!("the log could not be synced: {error}");
        }
        tracing::info!(
            step = state.step,
            best = saved.is_best,
            "checkpoint {}",
            saved.path.display()
        );
        Ok(())
    }

    fn finish(
        mut self,
        validated: Option<(u64, Recall)>,
        stopped: bool,
    ) -> Result<Ended, TrainError> {
        let step = self.state.step;
        let own = self.options.stop.requested();
        let stopped_by = stopped.then(|| own.unwrap_or("a signal to another rank"));
        // The score of other weights than these would make the wrong checkpoint the best.
        let here = validated.filter(|(at, _)| *at == step).map(|(_, recall)| recall);
        self.save(here)?;
        let status = self.status();
        let checkpoint = Checkpoints::at(&self.options.out.join(CHECKPOINTS)).path_of(step);
        if let Some(desk) = self.desk {
            desk.progress.finish(&status);
        }
        let recall = validated.map(|(_, recall)| recall);
        let counters = self.state.counters;
        Ok(Ended { step, stopped_by, checkpoint, recall, counters })
    }
}
