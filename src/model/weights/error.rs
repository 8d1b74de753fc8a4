//! Errors of reading and writing weights. Nothing is guessed: what does not fit is named.

use std::fmt;
use std::path::PathBuf;

use crate::model::config::ConfigError;

/// Says what stopped the reading or writing of weights.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What was tried.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The hub did not give what was asked for.
    #[error("{name}: {problem}")]
    Hub {
        /// Repository and revision.
        name: String,
        /// Message of the hub or the connection.
        problem: String,
    },
    /// A file could not be written. What was there before still is.
    #[error("cannot write {}: {problem}", path.display())]
    Write {
        /// What was tried.
        path: PathBuf,
        /// The reason.
        problem: String,
    },
    /// The folder has no weights by a known name.
    #[error(
        "{}: no model.safetensors, model.safetensors.index.json, open_clip_model.safetensors, \
         nor a single .safetensors or .pkl file; found: {found}",
        path.display()
    )]
    NoWeights {
        /// The folder.
        path: PathBuf,
        /// Names of the files in the folder.
        found: String,
    },
    /// The file is of no known format, or a broken one.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found in it.
        problem: String,
    },
    /// Our own config cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The config beside the weights is not one of this model.
    #[error("{}: {problem}", path.display())]
    ForeignConfig {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// The tensors do not tell the model's sizes, and no config does.
    #[error(
        "{}: no config beside it, and its tensors do not tell the sizes: {problem}",
        path.display()
    )]
    Unsized {
        /// The weights.
        path: PathBuf,
        /// What is missing.
        problem: String,
    },
    /// The weights are of CLIP alone.
    #[error(
        "{}: has no fusion layers and no pooler: weights of CLIP alone can start a training, but \
         embed nothing",
        path.display()
    )]
    NoHead {
        /// The weights.
        path: PathBuf,
    },
    /// Tensors and sizes do not belong together.
    #[error("{}: {mismatch}", path.display())]
    Mismatch {
        /// The weights.
        path: PathBuf,
        /// All that does not fit.
        mismatch: Box<Mismatch>,
    },
}

/// Lists all that keeps tensors from being the model of a config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Needed and not there, by our names.
    pub missing: Vec<String>,
    /// There and not needed, by the file's names.
    pub extra: Vec<String>,
    /// There in another shape.
    pub wrong: Vec<WrongShape>,
}

/// Is a tensor of another shape than the config makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongShape {
    /// The file's name for it.
    pub name: String,
    /// Shape that the config requires, in our layout.
    pub expected: Vec<i64>,
    /// Shape in the file, converted to our layout.
    pub found: Vec<i64>,
}

impl Mismatch {
    /// Returns true if there is no difference.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.wrong.is_empty()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong: Vec<_> = self.wrong.iter().map(ToString::to_string).collect();
        let parts =
            [("missing", &self.missing), ("unknown", &self.extra), ("of another shape", &wrong)];
        let told = parts
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{} {what}: {}", names.len(), names.join(", ")));
        let told: Vec<_> = told.collect();
        write!(f, "tensors do not fit the sizes: {}", told.join("; "))
    }
}

impl fmt::Display for WrongShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {:?}, not {:?}", self.name, self.found, self.expected)
    }
}
