//! Writing checkpoints, and removing those that have had their time.
//!
//! A name that begins with a dot is no checkpoint: `.writing-` is not done yet, `.removing-` is on
//! its way out, `.replaced-` stood where one of the same step is being put. A killed process leaves
//! such names behind; the next one to open the folder clears them.
//! <https://pubs.opengroup.org/onlinepubs/9799919799/functions/rename.html>

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::disk;
use super::error::{BoxError, CheckpointError};
use super::keep;
use super::pointer::{self, BEST, LATEST, Pointer};
use super::seal;
use super::shelf::Checkpoints;
use super::state::TrainState;
use crate::store::{Lock, LockAttempt};

const WRITING: &str = ".writing-";
const REMOVING: &str = ".removing-";
const REPLACED: &str = ".replaced-";

/// Writes one file of a checkpoint to the path it is given; need not sync it.
pub type Writer<'a> = dyn Fn(&Path) -> Result<(), BoxError> + 'a;

/// The one process that writes checkpoints in a folder. In a run of several ranks that is rank 0.
#[derive(Debug)]
pub struct Keeper {
    shelf: Checkpoints,
    keep: usize,
    _lock: Lock,
}

/// A checkpoint that is in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its folder.
    pub path: PathBuf,
    /// Whether no other one scored as high.
    pub is_best: bool,
    /// Steps of the checkpoints that made room.
    pub removed: Vec<u64>,
}

impl Keeper {
    /// Opens a folder for writing, creating it where needed, and clears what a killed process left.
    /// `keep` checkpoints are kept, at least one, and the best.
    ///
    /// # Errors
    /// `Busy` where another process has it open.
    pub fn open(folder: &Path, keep: usize) -> Result<Self, CheckpointError> {
        let io = CheckpointError::io(folder);
        fs::create_dir_all(folder).map_err(&io)?;
        let lock = match Lock::attempt(folder).map_err(&io)? {
            LockAttempt::Held(lock) => lock,
            LockAttempt::Busy(owner) => {
                return Err(CheckpointError::Busy { folder: folder.to_owned(), owner });
            }
        };
        clear(folder).map_err(&io)?;
        Ok(Self { shelf: Checkpoints::at(folder), keep, _lock: lock })
    }

    /// The checkpoints that are there.
    pub fn shelf(&self) -> &Checkpoints {
        &self.shelf
    }

    /// Writes a checkpoint, points to it, and removes those that are no longer kept. `score` is
    /// that of these very weights on validation, higher is better; not a number never is the best.
    ///
    /// A checkpoint of the same step is replaced; those past it are of a history that was given up.
    ///
    /// # Errors
    /// `Write` names the file; the checkpoints before are whole, and nothing of this one takes
    /// room.
    pub fn save(
        &self,
        state: &TrainState,
        score: Option<f64>,
        files: &[(&str, &Writer)],
    ) -> Result<Saved, CheckpointError> {
        let step = state.step;
        let aside = self.folder().join(format!("{WRITING}{}", pointer::folder_of(step)));
        let written = write(&aside, state, files)
            .and_then(|()| self.place(&aside, step).map_err(|error| failure("state.json", error)));
        if let Err((file, source)) = written {
            // The disk may be full: the room is needed more than the reason why it cannot be had.
            let _ = disk::remove_folder(&aside);
            return Err(CheckpointError::Write { step, file, source });
        }
        let is_best = self.point(step, score)?;
        let removed = self.make_room(step);
        Ok(Saved { path: self.shelf.path_of(step), is_best, removed })
    }

    fn folder(&self) -> &Path {
        self.shelf.folder()
    }

    /// Gives what was written aside its name. One of the same step waits beside until that is done.
    fn place(&self, aside: &Path, step: u64) -> io::Result<()> {
        let path = self.shelf.path_of(step);
        let replaced = self.folder().join(format!("{REPLACED}{}", pointer::folder_of(step)));
        if path.exists() {
            fs::rename(&path, &replaced)?;
        }
        if let Err(error) = fs::rename(aside, &path) {
            if replaced.exists() {
                fs::rename(&replaced, &path)?;
            }
            return Err(error);
        }
        disk::sync_folder(self.folder())?;
        disk::remove_folder(&replaced)
    }

    /// Points to a checkpoint that is in place; says whether it is the best. `latest` comes last: who goes
    /// on from there need not ask whether the best was still to be written.
    fn point(&self, step: u64, score: Option<f64>) -> Result<bool, CheckpointError> {
        let pointer = Pointer::to(step, score);
        let failed = |file: &'static str| {
            move |error: io::Error| CheckpointError::Write {
                step,
                file: file.to_owned(),
                source: error.into(),
            }
        };
        let is_best = self.is_best(step, score);
        if is_best {
            pointer.write(self.folder(), BEST).map_err(failed(BEST))?;
        }
        pointer.write(self.folder(), LATEST).map_err(failed(LATEST))?;
        Ok(is_best)
    }

    /// The first of two equals stays the best.
    fn is_best(&self, step: u64, score: Option<f64>) -> bool {
        let Some(score) = score.filter(|score| !score.is_nan()) else { return false };
        let other = self.shelf.best().filter(|best| best.step != step);
        other.and_then(|best| best.score).is_none_or(|best| score > best)
    }

    /// Removes what is no longer kept. What cannot be removed now is tried again the next time.
    fn make_room(&self, newest: u64) -> Vec<u64> {
        let best = self.shelf.best().map(|best| best.step);
        let steps = self.shelf.steps().unwrap_or_default();
        let mut expired = keep::expired(&steps, newest, best, self.keep);
        expired.retain(|&step| match self.remove(step) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(step, %error, "an old checkpoint could not be removed");
                false
            }
        });
        expired
    }

    /// Takes the name away first: half a checkpoint is never listed.
    fn remove(&self, step: u64) -> io::Result<()> {
        let out = self.folder().join(format!("{REMOVING}{}", pointer::folder_of(step)));
        disk::remove_folder(&out)?;
        fs::rename(self.shelf.path_of(step), &out)?;
        disk::remove_folder(&out)
    }
}

/// Writes all files of a checkpoint to disk, in a folder of its own.
fn write(
    aside: &Path,
    state: &TrainState,
    files: &[(&str, &Writer)],
) -> Result<(), (String, BoxError)> {
    let made = disk::remove_folder(aside).and_then(|()| fs::create_dir(aside));
    made.map_err(|error| failure("folder", error))?;
    for (name, writer) in files {
        writer(&aside.join(name)).map_err(|error| ((*name).to_owned(), error))?;
    }
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    seal::seal(aside, &names, state).map_err(|(file, error)| (file, error.into()))
}

fn failure(file: &str, error: io::Error) -> (String, BoxError) {
    (file.to_owned(), error.into())
}

/// Clears what a killed process left behind.
fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(WRITING) || name.starts_with(REMOVING) {
            disk::remove_folder(&entry.path())?;
        } else if let Some(step) = name.strip_prefix(REPLACED) {
            put_back(&entry.path(), &folder.join(step))?;
        } else if name.starts_with(disk::ASIDE) {
            fs::remove_file(entry.path())?;
        }
    }
    disk::sync_folder(folder)
}

/// Puts a replaced checkpoint back, unless the one that replaces it made it to its place.
fn put_back(replaced: &Path, path: &Path) -> io::Result<()> {
    if path.exists() { disk::remove_folder(replaced) } else { fs::rename(replaced, path) }
}
