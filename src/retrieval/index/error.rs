//! What can be wrong with an index or with what one is made of.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::model::preprocess::Preprocess;

/// Why an index could not be built, opened or read.
#[derive(Debug, Error)]
pub enum IndexError {
    /// A file could not be read or written.
    #[error("{path}: {1}", path = .0.display())]
    File(PathBuf, #[source] io::Error),
    /// The folder is there already.
    #[error("{} is there already: choose another folder, or remove it", .0.display())]
    Exists(PathBuf),
    /// A folder without `index.json`.
    #[error("{} is no index: it has no index.json", .0.display())]
    NoIndex(PathBuf),
    /// A file that is not what `index.json` says.
    #[error("{path} {1}", path = .0.display())]
    Damaged(PathBuf, String),
    /// Another model than the index was built with.
    #[error(
        "the index was built with {}, whose weights are not those of {}",
        model.display(), other.display()
    )]
    OtherModel {
        /// The index's.
        model: PathBuf,
        /// The one at hand.
        other: PathBuf,
    },
    /// Another preprocessing than the index was built with.
    #[error("the index was built with --preprocess {0:?}")]
    OtherPreprocess(Preprocess),
    /// No image where one was to be taken from.
    #[error("{path} {1}", path = .0.display())]
    Source(PathBuf, String),
    /// A row that the index does not have.
    #[error("the index has no image {0}")]
    NoRow(u64),
}

impl IndexError {
    /// The file's name goes with its error.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::File(path, error)
    }
}
