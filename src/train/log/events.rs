//! TensorBoard's event files: one a session, all in one folder, read in the order of their names.
//!
//! A session that is not the first says at its start from which step on earlier files no longer
//! count, so that no curve has a point twice.
//! <https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto>

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::LogError;
use super::proto;
use super::record;
use super::tail::Tail;

/// An event file that is being written.
#[derive(Debug)]
pub struct EventFile {
    tail: Tail,
}

impl EventFile {
    /// Begins a file in `folder` for a run that goes on after `step`, 0 at its beginning. `time` is
    /// in seconds since the epoch, as everywhere here.
    pub fn create(folder: &Path, step: u64, time: f64) -> Result<Self, LogError> {
        fs::create_dir_all(folder).map_err(LogError::at(folder))?;
        let (path, is_first) = next_path(folder, time).map_err(LogError::at(folder))?;
        let file = File::create_new(&path).map_err(LogError::at(&path))?;
        let mut events = Self { tail: Tail::new(&path, file, 0)? };
        events.append(&proto::version(time))?;
        if !is_first {
            let from = if step == 0 { 0 } else { step + 1 };
            events.append(&proto::session(from, time))?;
        }
        Ok(events)
    }

    /// Adds a point to a curve a value.
    pub fn scalars(
        &mut self,
        step: u64,
        time: f64,
        values: &[(&str, f64)],
    ) -> Result<(), LogError> {
        self.append(&proto::scalars(step, time, values))
    }

    /// Adds a text, shown as Markdown.
    pub fn text(&mut self, step: u64, time: f64, tag: &str, text: &str) -> Result<(), LogError> {
        self.append(&proto::text(step, time, tag, text))
    }

    /// Forces the file to disk.
    pub fn sync(&self) -> Result<(), LogError> {
        self.tail.sync()
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.tail.path()
    }

    fn append(&mut self, event: &[u8]) -> Result<(), LogError> {
        self.tail.append(&record::frame(event))
    }
}

/// `events.out.tfevents.<seconds>.<host>.<process>`. Readers take names in their order, so a file
/// of the same second as an earlier one, or after the clock was put back, counts on from that. Says
/// also whether the folder has no other one.
fn next_path(folder: &Path, time: f64) -> io::Result<(PathBuf, bool)> {
    let (mut seconds, mut is_first) = (time as u64, true);
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let other = name.strip_prefix(PREFIX).and_then(|rest| rest.split('.').next());
        if let Some(other) = other.and_then(|other| other.parse::<u64>().ok()) {
            seconds = seconds.max(other.saturating_add(1));
            is_first = false;
        }
    }
    let (host, process) = (host(), std::process::id());
    Ok((folder.join(format!("{PREFIX}{seconds:010}.{host}.{process}")), is_first))
}

const PREFIX: &str = "events.out.tfevents.";

/// The machine's name, as far as it is known: only to tell files apart.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let name: String = name.trim().chars().filter(plain).take(64).collect();
    if name.is_empty() { "host".to_owned() } else { name }
}
