//! Where the images of an index come from: a folder, Parquet files, or a list of URLs.

mod folder;
pub mod parquet;
mod urls;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::error::IndexError;
use super::items::Item;
use crate::config::Config;
use crate::retrieval::pump::Work;

/// Images to index.
#[derive(Debug)]
pub enum Source {
    /// Every image file below a folder.
    Folder(PathBuf),
    /// Images in the rows of Parquet files; the folder or file that was named.
    Parquet {
        /// What was named.
        root: PathBuf,
        /// The files in it.
        files: Vec<PathBuf>,
    },
    /// A file with a URL a line.
    Urls {
        /// The file.
        list: PathBuf,
        /// How requests are made.
        config: Box<Config>,
    },
}

/// An image of a source, or what ends the reading of it.
pub type Found = Result<Work<Item>, IndexError>;

impl Source {
    /// Looks at what is there: a run of `mine` or a folder with Parquet files, any other folder, a Parquet
    /// file, or a text file of URLs.
    pub fn find(named: &Path, config: Config) -> Result<Self, IndexError> {
        let path = named.canonicalize().map_err(IndexError::file(named))?;
        if path.is_dir() {
            let files = parquet::files(&path)?;
            return Ok(match files.is_empty() {
                true => Self::Folder(path),
                false => Self::Parquet { root: path, files },
            });
        }
        if path.extension().is_some_and(|extension| extension == "parquet") {
            let root = path.parent().map_or_else(PathBuf::new, Path::to_owned);
            return Ok(Self::Parquet { root, files: vec![path] });
        }
        Ok(Self::Urls { list: path, config: Box::new(config) })
    }

    /// What was named.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Parquet { root: path, .. } => path,
            Self::Urls { list, .. } => list,
        }
    }

    /// What places of items are relative to.
    pub fn root(&self) -> &Path {
        match self {
            Self::Folder(root) | Self::Parquet { root, .. } => root,
            Self::Urls { list, .. } => list.parent().unwrap_or(list),
        }
    }

    /// Gives all images in their order to `take`. What ends the reading early goes to `stopped`.
    /// Downloaded images are kept in `folder`.
    pub fn read<T>(
        &self,
        folder: &Path,
        stopped: &Mutex<Option<IndexError>>,
        take: impl FnOnce(&mut (dyn Iterator<Item = Work<Item>> + Send)) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        match self {
            Self::Folder(root) => take(&mut until(folder::images(root)?, stopped)),
            Self::Parquet { root, files } => {
                take(&mut until(parquet::images(root, files), stopped))
            }
            Self::Urls { list, config } => {
                let fetched = urls::Fetching::start(list, config, folder)?;
                take(&mut until(fetched.images(), stopped))
            }
        }
    }
}

/// Ends at the first error and notes it.
fn until<'a>(
    mut found: impl Iterator<Item = Found> + Send + 'a,
    stopped: &'a Mutex<Option<IndexError>>,
) -> impl Iterator<Item = Work<Item>> + Send + 'a {
    std::iter::from_fn(move || match found.next()? {
        Ok(work) => Some(work),
        Err(error) => {
            *stopped.lock().expect("nobody panicked with it") = Some(error);
            None
        }
    })
}
