//! `index.json`: what the other files of an index hold.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::IndexError;
use crate::model::preprocess::Preprocess;

/// The name of the header.
pub const HEADER: &str = "index.json";
/// The name of the matrix.
pub const VECTORS: &str = "vectors.f16";
/// The layout that this version reads and writes.
const FORMAT: u32 = 1;

/// What an index says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The layout of the folder.
    pub format: u32,
    /// Images.
    pub rows: u64,
    /// Numbers of a vector.
    pub width: usize,
    /// The weights that made the vectors.
    pub model: PathBuf,
    /// The file of sizes that went with them, where one was named.
    pub config: Option<PathBuf>,
    /// [`fingerprint`](crate::retrieval::Encoder::fingerprint) of these weights.
    pub fingerprint: String,
    /// How images became tensors.
    pub preprocess: Preprocess,
    /// The folder that files of items are relative to.
    pub root: PathBuf,
    /// Images that could not be read and are not in it.
    pub failed: u64,
    /// The version of the program.
    pub software: String,
}

impl Header {
    /// The number of this version's layout.
    pub const fn format() -> u32 {
        FORMAT
    }

    /// Reads and checks it.
    pub fn read(folder: &Path) -> Result<Self, IndexError> {
        let path = folder.join(HEADER);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(IndexError::NoIndex(folder.to_owned()));
            }
            text => text.map_err(IndexError::file(&path))?,
        };
        let damaged = |problem: String| IndexError::Damaged(path.clone(), problem);
        let header: Self = serde_json::from_slice(&text)
            .map_err(|error| damaged(format!("is no header: {error}")))?;
        if header.format != FORMAT {
            return Err(damaged(format!("is of format {}, not {FORMAT}", header.format)));
        }
        if header.width == 0 {
            return Err(damaged("says that a vector has no numbers".into()));
        }
        Ok(header)
    }

    /// Writes it, whole and synced.
    pub fn write(&self, folder: &Path) -> Result<(), IndexError> {
        let path = folder.join(HEADER);
        let text = serde_json::to_vec_pretty(self).expect("a header is JSON");
        let written =
            std::fs::write(&path, text).and_then(|()| std::fs::File::open(&path)?.sync_all());
        written.map_err(IndexError::file(&path))
    }
}
