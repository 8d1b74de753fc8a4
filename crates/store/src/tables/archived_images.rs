//! `archived_images`: images that lie in archives beside the pages.

use arrow::datatypes::{DataType, FieldRef};
use serde::{Deserialize, Serialize};

use super::columns::{required, text};
use crate::Row;

/// Where a record of an archive lies that can be read by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ArchivedAt {
    /// Path or URL of the WARC file.
    pub archive: String,
    /// The record's first byte in it.
    pub offset: u64,
    /// Bytes of the file that the record takes.
    pub length: u64,
}

impl ArchivedAt {
    /// Its columns.
    pub fn fields() -> Vec<FieldRef> {
        vec![
            text("archive"),
            required("offset", DataType::UInt64),
            required("length", DataType::UInt64),
        ]
    }
}

/// One archived answer with an image, by its media type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedImage {
    /// The URL that was asked for, without its fragment.
    pub url: String,
    /// The status of the answer.
    pub status: u16,
    /// The media type that it was sent with; empty where none was.
    pub media_type: String,
    /// Path or URL of the WARC file.
    pub archive: String,
    /// The record's first byte in it.
    pub record_offset: u64,
    /// Bytes of the file that the record takes.
    pub record_length: u64,
}

impl Row for ArchivedImage {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("url"),
            required("status", DataType::UInt16),
            text("media_type"),
            text("archive"),
            required("record_offset", DataType::UInt64),
            required("record_length", DataType::UInt64),
        ]
    }

    fn weight(&self) -> usize {
        self.url.len() + self.media_type.len() + self.archive.len() + 96
    }
}
