//! WARC files: records in a stream, and the HTTP answers in them.
//!
//! No network and no HTML here. [`Reader`] goes through a file record by record (ISO 28500, WARC 1.1:
//! <https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/>), plain or
//! gzip; [`payload`] reads an answer out of a record's block (RFC 9110, RFC 9112). In reading order:
//! [`source`] (bytes and where they lie in the file), [`head`] (a record's named fields), [`reader`],
//! [`payload`], [`chunked`], and [`foreign`] (what a file looks like that is none of these).
//!
//! Files come from anywhere, so no declared length decides what is allocated, one record's block is
//! held at most up to a cap that the caller names, and damage ends a file with an error after every
//! record before it.
#![forbid(unsafe_code)]

mod chunked;
mod error;
mod foreign;
mod head;
pub mod payload;
mod reader;
mod source;
#[cfg(test)]
mod tests;

pub use error::WarcError;
pub use head::{Head, RecordType};
pub use reader::{Extent, Reader};
