//! A file that grows by whole records: one that could be written in part only is taken back.
//!
//! Without that, a disk that is full for a while would leave a torn record in the middle, and
//! readers of event files stop there.
//! <https://doc.rust-lang.org/std/io/trait.Write.html#method.write_all>

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::LogError;

/// The end of a file.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Tail {
    /// Goes on after the first `length` bytes of a file and drops the rest.
    pub(super) fn new(path: &Path, mut file: File, length: u64) -> Result<Self, LogError> {
        let cut = file.set_len(length).and_then(|()| file.seek(SeekFrom::Start(length)));
        cut.map_err(LogError::at(path))?;
        Ok(Self { path: path.to_owned(), file, length })
    }

    /// Appends a record: all of it or nothing.
    pub(super) fn append(&mut self, record: &[u8]) -> Result<(), LogError> {
        match self.file.write_all(record) {
            Ok(()) => {
                self.length += record.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Taking back frees room, so it works where writing does not.
                let back = self.take_back();
                Err(LogError { path: self.path.clone(), error: back.err().unwrap_or(error) })
            }
        }
    }

    fn take_back(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length)).map(drop)
    }

    /// Forces everything to disk.
    pub(super) fn sync(&self) -> Result<(), LogError> {
        self.file.sync_all().map_err(LogError::at(&self.path))
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
