//! What a run leaves behind of its course: curves for TensorBoard and the same as lines of JSON.
//!
//! [`RunLog`] writes both. [`jsonl`] is the plain file; [`events`] TensorBoard's, made of framed
//! records ([`record`]) that hold protocol buffers ([`proto`]). Only rank 0 writes.
//! <https://www.tensorflow.org/tensorboard>

pub mod events;
pub mod jsonl;
mod proto;
mod record;
mod tail;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;

use events::EventFile;
use jsonl::JsonLog;

/// The JSONL file, below the folder of a run.
pub const JSONL: &str = "log.jsonl";

/// The folder of event files, below the folder of a run: what `tensorboard --logdir` is given.
pub const EVENTS: &str = "events";

/// A log that cannot be read or written.
#[derive(Debug, Error)]
#[error("{}: {error}", path.display())]
pub struct LogError {
    /// Which file or folder.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub error: io::Error,
}

impl LogError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self { path, error }
    }
}

/// Both logs of a run.
#[derive(Debug)]
pub struct RunLog {
    events: EventFile,
    jsonl: JsonLog,
}

impl RunLog {
    /// Opens the logs below the folder of a run that goes on after `step`, 0 at its beginning. What
    /// they say of later steps is dropped: those steps come again.
    pub fn open(folder: &Path, step: u64) -> Result<Self, LogError> {
        let events = EventFile::create(&folder.join(EVENTS), step, now())?;
        Ok(Self { events, jsonl: JsonLog::open(&folder.join(JSONL), step)? })
    }

    /// Writes the values of a step, such as `("train/loss", 2.31)`. Both files have them when this
    /// returns, as far as a killed process is concerned.
    ///
    /// # Errors
    /// A value that could not be written, on a full disk say, leaves no half of itself behind: the
    /// run may go on, and so may the log.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<(), LogError> {
        let now = now();
        let jsonl = self.jsonl.append(step, now, values);
        self.events.scalars(step, now, values).and(jsonl)
    }

    /// Shows a text, such as the recipe, in TensorBoard only.
    pub fn text(&mut self, step: u64, tag: &str, text: &str) -> Result<(), LogError> {
        self.events.text(step, now(), tag, text)
    }

    /// Forces both files to disk, to be called with each checkpoint.
    pub fn sync(&self) -> Result<(), LogError> {
        self.events.sync().and(self.jsonl.sync())
    }
}

/// Seconds since the epoch.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}
