//! How reading a WARC file can end early.

use std::io;

/// Why no further record can be read. Offsets are in bytes of the file as it lies there.
#[derive(Debug, thiserror::Error)]
pub enum WarcError {
    /// Not a WARC file at all.
    #[error("not a WARC file: {0}")]
    Foreign(String),
    /// The file ends within a record.
    #[error("cut off at byte {offset}: {missing}")]
    Truncated {
        /// Where the file ends.
        offset: u64,
        /// What should have come.
        missing: String,
    },
    /// Something that is no record where one should be, or a broken compressed stream.
    #[error("damaged near byte {offset}: {problem}")]
    Damaged {
        /// About where, the beginning of the gzip member at the earliest.
        offset: u64,
        /// What was found.
        problem: String,
    },
    /// The bytes could not be had: says nothing about the file.
    #[error("reading: {0}")]
    Io(#[source] io::Error),
}

impl WarcError {
    /// Whether the file itself is at fault: another try would end the same.
    pub fn is_of_file(&self) -> bool {
        !matches!(self, Self::Io(_))
    }
}
