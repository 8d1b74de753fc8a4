//! What the rank that writes has open: checkpoints, log, progress.

use super::checkpoint::{Keeper, TrainState};
use super::error::TrainError;
use super::log::RunLog;
use super::progress::Progress;
use super::run::Options;

/// The folder of checkpoints in a run's folder.
pub const CHECKPOINTS: &str = "checkpoints";

/// Open files of a run; only one process has them, which the lock of the checkpoints sees to.
pub(super) struct Desk {
    pub keeper: Keeper,
    pub log: RunLog,
    pub progress: Progress,
}

impl Desk {
    /// Opens or makes the run's folder. The log goes on after the step of the state.
    pub fn open(options: &Options, state: &TrainState) -> Result<Self, TrainError> {
        let Options { recipe, out, bars, json, .. } = options;
        let keeper = Keeper::open(&out.join(CHECKPOINTS), recipe.checkpoint.keep)?;
        let mut log = RunLog::open(out, state.step)?;
        if state.step == 0 {
            log.text(0, "recipe", &state.recipe)?;
        }
        Ok(Self { keeper, log, progress: Progress::begin(bars, *json) })
    }

    /// A line that cannot be written costs the run nothing but that line.
    pub fn write(&mut self, step: u64, values: &[(&str, f64)]) {
        if let Err(error) = self.log.scalars(step, values) {
            tracing::warn!(step, "not logged: {error}");
        }
    }
}
