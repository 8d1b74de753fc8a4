//! One JSON object a logged step: `{"step":10,"time":1700000000.0,"train/loss":2.31}`.
//!
//! Values that are not finite are null, as JSON has no others. A line is in the file before the
//! next step begins, and lines come in the order of steps. <https://jsonlines.org>

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::LogError;
use super::tail::Tail;

/// A JSONL log that is being written.
#[derive(Debug)]
pub struct JsonLog {
    tail: Tail,
}

/// What of a line decides whether it stays.
#[derive(Deserialize)]
struct Line {
    step: u64,
}

/// A line to be written.
struct NewLine<'a> {
    step: u64,
    time: f64,
    values: &'a [(&'a str, f64)],
}

impl Serialize for NewLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("step", &self.step)?;
        map.serialize_entry("time", &self.time)?;
        for (name, value) in self.values {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl JsonLog {
    /// Opens the log of a run that goes on after `step`, 0 at its beginning. Lines of later steps
    /// and a line that a kill cut short are dropped, so that no step is there twice.
    pub fn open(path: &Path, step: u64) -> Result<Self, LogError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(LogError::at(folder))?;
        }
        let mut options = File::options();
        let opened = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = opened.map_err(LogError::at(path))?;
        let length = kept(&file, step).map_err(LogError::at(path))?;
        Ok(Self { tail: Tail::new(path, file, length)? })
    }

    /// Appends the values of a step; `time` is in seconds since the epoch.
    pub fn append(&mut self, step: u64, time: f64, values: &[(&str, f64)]) -> Result<(), LogError> {
        let line = serde_json::to_string(&NewLine { step, time, values });
        let line = line.expect("names and numbers are JSON");
        self.tail.append(format!("{line}\n").as_bytes())
    }

    /// Forces the file to disk.
    pub fn sync(&self) -> Result<(), LogError> {
        self.tail.sync()
    }
}

/// Bytes before the first line that is torn, is none of ours, or is of a step after `step`.
fn kept(file: &File, step: u64) -> std::io::Result<u64> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut line, mut kept) = (Vec::new(), 0);
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        let is_whole = line.last() == Some(&b'\n');
        let known = serde_json::from_slice::<Line>(&line).ok();
        if !is_whole || known.is_none_or(|known| known.step > step) {
            return Ok(kept);
        }
        kept += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(path: &Path) -> Vec<u64> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap().step).collect()
    }

    #[test]
    fn a_line_has_step_time_and_values_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/log.jsonl");
        let mut log = JsonLog::open(&path, 0).unwrap();
        log.append(10, 1.5, &[("train/loss", 2.25), ("a \"b\"", f64::NAN)]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let expected = r#"{"step":10,"time":1.5,"train/loss":2.25,"a \"b\"":null}"#;
        assert_eq!(text, format!("{expected}\n"));
    }

    proptest! {
        #[test]
        fn a_resumed_log_has_every_step_once(
            before in 1u64..60,
            back in 0u64..60,
            torn in prop::option::of(1usize..30),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log.jsonl");
            let mut log = JsonLog::open(&path, 0).unwrap();
            for step in 1..=before {
                log.append(step, 0.0, &[("loss", 1.0 / step as f64)]).unwrap();
            }
            drop(log);
            if let Some(torn) = torn {
                let length = fs::metadata(&path).unwrap().len();
                let file = File::options().write(true).open(&path).unwrap();
                file.set_len(length.saturating_sub(torn as u64)).unwrap();
            }
            let resumed = steps_whole(&path).min(before.saturating_sub(back));
            let mut log = JsonLog::open(&path, resumed).unwrap();
            for step in resumed + 1..=before + 5 {
                log.append(step, 0.0, &[]).unwrap();
            }
            prop_assert_eq!(steps(&path), (1..=before + 5).collect::<Vec<_>>());
        }

        #[test]
        fn a_file_of_anything_opens_and_takes_lines(bytes: Vec<u8>) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log.jsonl");
            fs::write(&path, &bytes).unwrap();
            JsonLog::open(&path, u64::MAX).unwrap().append(3, 0.0, &[]).unwrap();
            prop_assert_eq!(steps(&path).last().copied(), Some(3));
        }
    }

    /// The last step with a whole line.
    fn steps_whole(path: &Path) -> u64 {
        fs::read_to_string(path).unwrap().matches('\n').count() as u64
    }
}
