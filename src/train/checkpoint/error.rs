//! What can go wrong with checkpoints, and whether it is the disk that is full.
//!
//! <https://doc.rust-lang.org/std/io/enum.ErrorKind.html>

use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Any error of whoever writes a file.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// A checkpoint that cannot be written or read.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The folder of checkpoints, or something in it, cannot be used.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another process writes checkpoints here.
    #[error("{}: process {owner} writes checkpoints here already", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
        /// Its process id, as far as known.
        owner: String,
    },
    /// A write did not come to its end; nothing of it is left, and earlier checkpoints are whole.
    #[error(
        "the checkpoint of step {step} was not written, earlier ones are whole: {file}: {source}"
    )]
    Write {
        /// The step it was to be of.
        step: u64,
        /// The file that failed, below the checkpoint.
        file: String,
        /// Why.
        source: BoxError,
    },
    /// A checkpoint is not what was written.
    #[error("{}: {file} {problem}{}", path.display(), offer(.others))]
    Damaged {
        /// The checkpoint.
        path: PathBuf,
        /// The file in it.
        file: String,
        /// What is wrong with it.
        problem: String,
        /// Steps of the other checkpoints, the newest first: what one may resume from instead.
        others: Vec<u64>,
    },
    /// There is no such checkpoint.
    #[error("{}: there is no checkpoint {asked}{}", folder.display(), offer(.others))]
    Missing {
        /// The folder of checkpoints.
        folder: PathBuf,
        /// What was asked for.
        asked: String,
        /// Steps of those that are there, the newest first.
        others: Vec<u64>,
    },
}

impl CheckpointError {
    /// Wraps an error of the system with the path it is about.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { path: path.clone(), error }
    }

    /// Tells whether a disk or a quota is full: training may go on and try again later.
    pub fn is_disk_full(&self) -> bool {
        let mut cause: Option<&(dyn StdError + 'static)> = match self {
            Self::Io { error, .. } => Some(error),
            Self::Write { source, .. } => Some(source.as_ref()),
            _ => None,
        };
        while let Some(error) = cause {
            if error.downcast_ref().is_some_and(is_full) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

fn is_full(error: &io::Error) -> bool {
    let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge];
    full.contains(&error.kind())
}

fn offer(others: &[u64]) -> String {
    let steps: Vec<_> = others.iter().map(u64::to_string).collect();
    match steps.as_slice() {
        [] => "; there are no others".to_owned(),
        steps => format!("; others are of step {}", steps.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_seen_below_other_errors() {
        #[derive(Debug, Error)]
        #[error("writing tensors")]
        struct Outer(#[source] io::Error);

        let write = |source: BoxError| CheckpointError::Write {
            step: 5,
            file: "model.safetensors".into(),
            source,
        };
        let full = || io::Error::from(ErrorKind::StorageFull);
        assert!(write(Box::new(full())).is_disk_full());
        assert!(write(Box::new(Outer(full()))).is_disk_full());
        assert!(!write(Box::new(io::Error::from(ErrorKind::NotFound))).is_disk_full());
        assert!(!write("tensors: no space left".into()).is_disk_full());
        assert_eq!(
            write(Box::new(full())).to_string(),
            "the checkpoint of step 5 was not written, earlier ones are whole: \
             model.safetensors: no storage space"
        );
    }
}
