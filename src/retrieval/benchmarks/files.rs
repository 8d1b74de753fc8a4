//! Official files: read whole, with a word about where they come from where they are missing.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use thiserror::Error;

use super::Entry;
use crate::retrieval::pump::Picture;

/// Why a folder is not the benchmark.
#[derive(Debug, Error)]
pub enum LayoutError {
    /// A file that should be there is not.
    #[error("{} is missing: {wanted}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What it is and where it can be had.
        wanted: String,
    },
    /// A file that is something else.
    #[error("{} is not as it should be: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that cannot be read.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A split that the benchmark does not have.
    #[error("{benchmark} has no such split here: {problem}")]
    Split {
        /// The benchmark.
        benchmark: &'static str,
        /// What there is.
        problem: &'static str,
    },
}

/// Names the file with what is wrong in it.
pub fn content(path: &Path, problem: impl ToString) -> LayoutError {
    LayoutError::Content { path: path.to_owned(), problem: problem.to_string() }
}

/// The first of some places that is there.
pub fn find(folder: &Path, places: &[&str], wanted: &str) -> Result<PathBuf, LayoutError> {
    let found = places.iter().map(|place| folder.join(place)).find(|path| path.exists());
    found.ok_or_else(|| LayoutError::Missing {
        path: folder.join(places[0]),
        wanted: wanted.to_owned(),
    })
}

/// Reads a file of JSON.
pub fn json<T: DeserializeOwned>(path: &Path) -> Result<T, LayoutError> {
    let bytes =
        std::fs::read(path).map_err(|error| LayoutError::File { path: path.to_owned(), error })?;
    serde_json::from_slice(&bytes).map_err(|error| content(path, error))
}

/// A gallery whose images are looked up by name.
#[derive(Debug, Default)]
pub struct Gallery {
    /// In order.
    pub entries: Vec<Entry>,
    numbers: HashMap<String, usize>,
}

impl Gallery {
    /// Appends an image unless one of its name is there, and gives its number.
    pub fn add(&mut self, id: &str, picture: impl FnOnce() -> Picture) -> usize {
        if let Some(&number) = self.numbers.get(id) {
            return number;
        }
        let number = self.entries.len();
        self.entries.push(Entry { id: id.to_owned(), picture: picture() });
        self.numbers.insert(id.to_owned(), number);
        number
    }

    /// The number of an image that `file` names.
    pub fn number(&self, id: &str, file: &Path) -> Result<usize, LayoutError> {
        let number = self.numbers.get(id).copied();
        number.ok_or_else(|| content(file, format!("names {id}, which is not in the gallery")))
    }
}

/// A list of images with a number each: lines of a path below the folder, less `prefix`, and a label.
pub fn labelled(
    folder: &Path,
    name: &str,
    prefix: &str,
    wanted: &str,
) -> Result<Vec<(Entry, usize)>, LayoutError> {
    let path = find(folder, &[name], wanted)?;
    let text = std::fs::read_to_string(&path)
        .map_err(|error| LayoutError::File { path: path.clone(), error })?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let entry = |(at, line): (usize, &str)| {
        let bad = || content(&path, format!("line {} is no path with a label", at + 1));
        let (image, label) = line.trim().rsplit_once(char::is_whitespace).ok_or_else(bad)?;
        let label = label.parse().map_err(|_| bad())?;
        let image = image.trim().trim_start_matches("./");
        let id = image.strip_prefix(prefix).unwrap_or(image).to_owned();
        let picture = Picture::File(folder.join(&id));
        Ok((Entry { id, picture }, label))
    };
    lines.map(entry).collect()
}

/// The numbers of a list's images by label.
pub fn by_label(list: &[(Entry, usize)]) -> HashMap<usize, Arc<[usize]>> {
    let mut numbers: HashMap<usize, Vec<usize>> = HashMap::new();
    for (at, (_, label)) in list.iter().enumerate() {
        numbers.entry(*label).or_default().push(at);
    }
    numbers.into_iter().map(|(label, numbers)| (label, numbers.into())).collect()
}

/// Fails on the first file that is not there, before hours of work.
pub fn check(entries: &[Entry], wanted: &str) -> Result<(), LayoutError> {
    for entry in entries {
        if let Picture::File(path) | Picture::Cut(path, _) = &entry.picture
            && !path.exists()
        {
            return Err(LayoutError::Missing { path: path.clone(), wanted: wanted.to_owned() });
        }
    }
    Ok(())
}
