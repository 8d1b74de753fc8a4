//! `latest.json` and `best.json`: which checkpoint is meant. Files and not links, as object stores
//! and some network file systems know none.
//!
//! <https://www.rfc-editor.org/rfc/rfc8259>

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::disk;

/// Points to the checkpoint that a run resumes from.
pub(super) const LATEST: &str = "latest.json";

/// Points to the checkpoint with the highest score.
pub(super) const BEST: &str = "best.json";

/// What such a file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pointer {
    /// The step.
    pub step: u64,
    /// Its folder, beside the pointer.
    pub path: String,
    /// Its score on validation, if it was evaluated; higher is better.
    pub score: Option<f64>,
}

impl Pointer {
    /// Points to a step.
    pub(super) fn to(step: u64, score: Option<f64>) -> Self {
        Self { step, path: folder_of(step), score }
    }

    /// Reads one; `None` where it is not there or not a pointer to a folder that is.
    pub(super) fn read(folder: &Path, name: &str) -> Option<Self> {
        let text = fs::read(folder.join(name)).ok()?;
        let pointer: Self = serde_json::from_slice(&text).ok()?;
        // Only ever a name in this folder, whatever the file says.
        let is_ours = pointer.path == folder_of(pointer.step);
        (is_ours && folder.join(&pointer.path).is_dir()).then_some(pointer)
    }

    /// Puts it in place in one step.
    pub(super) fn write(&self, folder: &Path, name: &str) -> io::Result<()> {
        let mut text = serde_json::to_vec(self).map_err(io::Error::other)?;
        text.push(b'\n');
        disk::replace(&folder.join(name), &text)
    }
}

/// `step-000001200`: names in the order of steps.
pub(super) fn folder_of(step: u64) -> String {
    format!("step-{step:09}")
}

/// The step of such a name.
pub(super) fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.parse().ok()?;
    (folder_of(step) == name).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_steps_and_back() {
        assert_eq!(folder_of(1200), "step-000001200");
        assert_eq!(step_of("step-000001200"), Some(1200));
        assert_eq!(step_of(&folder_of(u64::MAX)), Some(u64::MAX));
        for other in ["step-1200", "step-", "step-+00001200", ".step-000001200", "latest.json"] {
            assert_eq!(step_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_pointer_points_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let pointer = Pointer::to(7, Some(0.25));
        pointer.write(folder.path(), BEST).unwrap();
        assert_eq!(Pointer::read(folder.path(), BEST), None);
        fs::create_dir(folder.path().join("step-000000007")).unwrap();
        assert_eq!(Pointer::read(folder.path(), BEST), Some(pointer.clone()));
        assert_eq!(Pointer::read(folder.path(), LATEST), None);
        for wrong in ["{\"step\":7,\"path\":\"..\"}", "{\"step\":7", ""] {
            fs::write(folder.path().join(BEST), wrong).unwrap();
            assert_eq!(Pointer::read(folder.path(), BEST), None, "{wrong}");
        }
    }
}
