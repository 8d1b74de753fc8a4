//! Records written and read in memory.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::{Head, Reader, WarcError};

/// A record as it lies in a file.
pub fn record(kind: &str, uri: &str, content_type: &str, block: &[u8]) -> Vec<u8> {
    let mut record = format!(
        "WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\n\
         WARC-Date: 2024-05-18T01:58:10Z\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n",
        block.len()
    )
    .into_bytes();
    record.extend(block);
    record.extend(b"\r\n\r\n");
    record
}

/// The record of an answer.
pub fn response(uri: &str, answer: &[u8]) -> Vec<u8> {
    record("response", uri, "application/http; msgtype=response", answer)
}

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What reading a whole file gave.
pub struct Read {
    /// Heads with the blocks that could be read whole.
    pub records: Vec<(Head, Vec<u8>)>,
    /// Heads, also of records that are cut.
    pub heads: Vec<Head>,
    /// What ended the file too early.
    pub error: Option<WarcError>,
}

/// Reads a file to its end, blocks of any size.
pub fn read(file: &[u8]) -> Read {
    let mut read = Read { records: Vec::new(), heads: Vec::new(), error: None };
    let mut reader = match Reader::new(file) {
        Ok(reader) => reader,
        Err(error) => return Read { error: Some(error), ..read },
    };
    loop {
        match reader.next_record() {
            Ok(Some(head)) => {
                read.heads.push(head.clone());
                match reader.block(usize::MAX) {
                    Ok(block) => read.records.push((head, block.unwrap())),
                    Err(error) => read.error = Some(error),
                }
            }
            Ok(None) => return read,
            Err(error) => read.error = Some(error),
        }
    }
}
