//! Reading checkpoints: which are there, which is meant, and whether it is whole.
//!
//! Nothing here writes, so it may look into a folder where a run is at work.
//! <https://doi.org/10.6028/NIST.FIPS.180-4>

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::error::CheckpointError;
use super::pointer::{self, BEST, LATEST, Pointer};
use super::seal::{self, FileInfo};
use super::state::TrainState;

/// The checkpoints of a folder.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
}

/// Which checkpoint is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that was written last.
    Latest,
    /// The one with the highest score on validation.
    Best,
    /// The one of a step.
    Step(u64),
    /// Something that is none of these; it is not there.
    Other(String),
}

/// A checkpoint whose files are what was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Its folder.
    pub path: PathBuf,
    /// Where the run stood.
    pub state: TrainState,
    /// Its other files, by name.
    pub files: BTreeMap<String, FileInfo>,
}

impl Checkpoints {
    /// Looks into a folder, which need not exist.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the checkpoint of a step lies.
    pub fn path_of(&self, step: u64) -> PathBuf {
        self.folder.join(pointer::folder_of(step))
    }

    /// Steps of the checkpoints that are there, the newest first. They are not verified.
    pub fn steps(&self) -> Result<Vec<u64>, CheckpointError> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(CheckpointError::io(&self.folder))?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut steps: Vec<u64> = names.filter_map(|name| pointer::step_of(&name)).collect();
        steps.sort_unstable_by(|a, b| b.cmp(a));
        Ok(steps)
    }

    /// The step to resume from: as `latest.json` says, else the newest that is there.
    pub fn latest(&self) -> Result<Option<u64>, CheckpointError> {
        match Pointer::read(&self.folder, LATEST) {
            Some(pointer) => Ok(Some(pointer.step)),
            None => Ok(self.steps()?.first().copied()),
        }
    }

    /// The step with the highest score, with it.
    pub fn best(&self) -> Option<Pointer> {
        Pointer::read(&self.folder, BEST)
    }

    /// Opens a checkpoint and verifies all of it, which reads every file once.
    ///
    /// # Errors
    /// `Missing` and `Damaged` list the steps that are there instead.
    pub fn open(&self, which: &Which) -> Result<Checkpoint, CheckpointError> {
        let step = match which {
            Which::Latest => self.latest()?,
            Which::Best => self.best().map(|pointer| pointer.step),
            Which::Step(step) => self.path_of(*step).is_dir().then_some(*step),
            Which::Other(_) => None,
        };
        match step {
            Some(step) => self.open_step(step),
            None => Err(CheckpointError::Missing {
                folder: self.folder.clone(),
                asked: which.to_string(),
                others: self.steps()?,
            }),
        }
    }

    /// Opens the latest checkpoint that is whole, with what is wrong with those that came after it:
    /// for a node that starts again with nobody there to choose. `None` where none is whole.
    pub fn open_whole(
        &self,
    ) -> Result<(Option<Checkpoint>, Vec<CheckpointError>), CheckpointError> {
        let mut damaged = Vec::new();
        let Some(latest) = self.latest()? else { return Ok((None, damaged)) };
        for step in self.steps()?.into_iter().filter(|&step| step <= latest) {
            match self.open_step(step) {
                Ok(checkpoint) => return Ok((Some(checkpoint), damaged)),
                Err(error) => damaged.push(error),
            }
        }
        Ok((None, damaged))
    }

    fn open_step(&self, step: u64) -> Result<Checkpoint, CheckpointError> {
        let path = self.path_of(step);
        let sealed = seal::read(&path).and_then(|sealed| {
            seal::verify(&path, &sealed)?;
            Ok(sealed)
        });
        match sealed {
            Ok(sealed) => Ok(Checkpoint { path, state: sealed.state, files: sealed.files }),
            Err(seal::Damage { file, problem }) => {
                let others = self.steps()?.into_iter().filter(|&other| other != step).collect();
                Err(CheckpointError::Damaged { path, file, problem, others })
            }
        }
    }
}

impl Checkpoint {
    /// Where one of its files lies.
    ///
    /// # Errors
    /// `Damaged` where the checkpoint was written without such a file.
    pub fn file(&self, name: &str) -> Result<PathBuf, CheckpointError> {
        if self.files.contains_key(name) {
            return Ok(self.path.join(name));
        }
        let (path, file) = (self.path.clone(), name.to_owned());
        let problem = "is not part of it".to_owned();
        Err(CheckpointError::Damaged { path, file, problem, others: Vec::new() })
    }
}

impl FromStr for Which {
    type Err = Infallible;

    /// Reads `latest`, `best` or a step.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match (text, text.parse()) {
            ("latest", _) => Self::Latest,
            ("best", _) => Self::Best,
            (_, Ok(step)) => Self::Step(step),
            _ => Self::Other(text.to_owned()),
        })
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => write!(f, "latest"),
            Self::Best => write!(f, "best"),
            Self::Step(step) => write!(f, "of step {step}"),
            Self::Other(text) => write!(f, "`{text}`: give latest, best or a step"),
        }
    }
}
