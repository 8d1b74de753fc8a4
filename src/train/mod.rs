//! Training: triplet shards in, checkpoints out. [`run`] is the trainer, to be read from top to bottom.
//!
//! `data` streams batches of shards, `feed` brings them to the device, `encode` takes them through the
//! model, `step` with `gradcache`, `loss`, `mask`, `ranks` and `optimizer` changes weights, `validate`
//! says what that was good for; `checkpoint`, `log`, `meter` and `progress` take care of the run. What is
//! to be done is the recipe's to say (`config`).

pub mod checkpoint;
pub mod collective;
pub mod config;
pub mod data;
mod desk;
pub mod device;
mod dry_run;
pub mod ema;
pub mod encode;
mod error;
pub mod estimate;
pub mod feed;
pub mod gradcache;
pub mod learner;
pub mod log;
pub mod loss;
pub mod mask;
pub mod meter;
pub mod optimizer;
pub mod parameter;
pub mod progress;
pub mod ranks;
mod run;
pub mod schedule;
mod setup;
pub mod signal;
pub mod step;
#[cfg(test)]
mod testing;
pub mod units;
mod validate;

pub use desk::CHECKPOINTS;
pub use dry_run::{dry_run, flops};
pub use error::TrainError;
pub use run::{Ended, Options, run};
pub use setup::config as model_config;
pub use validate::Recall;
