//! An answer in a record's block: status, header fields and decoded body.
//!
//! Read leniently, since nobody can be asked again: bare line feeds, odd status lines, fields that
//! are none, codings that whoever wrote the record had undone already.

use std::io::Read;

use magiclens_codings::{self as codings, DecodeError};
use reqwest::header::TRANSFER_ENCODING;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::chunked::{Dechunked, dechunk};
use super::{Head, Reader, RecordType, WarcError};

/// Header fields of one answer: more are read over.
const MAX_FIELDS: usize = 512;

/// An answer without its body, which is still to be read.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code; 200 for a resource, which has none.
    pub status: u16,
    /// Fields in order, without those that are none.
    pub headers: HeaderMap,
}

/// Why a record gives no body.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Over the cap, as it lies there or decoded.
    #[error("the body is over {0} bytes")]
    TooLarge(usize),
    /// Not decodable.
    #[error("{0}")]
    Broken(String),
    /// The file ends or breaks here.
    #[error(transparent)]
    Warc(#[from] WarcError),
}

impl Answer {
    /// Reads the head of the answer that the current record of `reader` holds; none where it holds no
    /// HTTP answer.
    pub fn read<R: Read>(reader: &mut Reader<R>, head: &Head) -> Result<Option<Self>, WarcError> {
        if head.record_type == RecordType::Resource {
            return Ok(Some(Self::of_resource(head)));
        }
        let Some(status) = reader.block_line()?.and_then(status) else { return Ok(None) };
        let mut answer = Self { status, headers: HeaderMap::new() };
        let mut field: Vec<u8> = Vec::new();
        while let Some(line) = reader.block_line()? {
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                // A field may go on in the next line (RFC 9112, 5.2).
                field.extend_from_slice(line);
                continue;
            }
            answer.add(&field);
            field.clear();
            if line.is_empty() {
                break;
            }
            field.extend_from_slice(line);
        }
        answer.add(&field);
        Ok(Some(answer))
    }

    fn of_resource(head: &Head) -> Self {
        let mut headers = HeaderMap::new();
        let value = head.content_type.as_deref().and_then(|t| HeaderValue::from_str(t).ok());
        headers.extend(value.map(|value| (CONTENT_TYPE, value)));
        Self { status: 200, headers }
    }

    fn add(&mut self, line: &[u8]) {
        let Some(colon) = memchr::memchr(b':', line) else { return };
        let name = HeaderName::from_bytes(line[..colon].trim_ascii());
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value)
            && self.headers.len() < MAX_FIELDS
        {
            self.headers.append(name, value);
        }
    }

    /// The media type without parameters, in lower case; empty where none is named.
    pub fn media_type(&self) -> String {
        let value = self.headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
        let essence = value.and_then(|value| value.split(|byte| *byte == b';').next());
        String::from_utf8_lossy(essence.unwrap_or_default().trim_ascii()).to_ascii_lowercase()
    }

    /// Reads and decodes the body. At most `cap` bytes of the file's and at most `cap` decoded ones
    /// are held.
    pub fn body<R: Read>(
        &self,
        reader: &mut Reader<R>,
        cap: usize,
    ) -> Result<Vec<u8>, PayloadError> {
        let raw = reader.block(cap)?.ok_or(PayloadError::TooLarge(cap))?;
        let raw = if self.says(&TRANSFER_ENCODING, "chunked") {
            match dechunk(raw) {
                Dechunked::Whole(body) | Dechunked::Already(body) => body,
                Dechunked::Broken => return Err(PayloadError::Broken("broken chunks".into())),
            }
        } else {
            raw
        };
        let coding = self.joined(&CONTENT_ENCODING);
        if codings::is_identity(&coding) || is_decoded(&raw, &coding) {
            return Ok(raw);
        }
        codings::decode(raw, &coding, cap).map_err(|error| match error {
            DecodeError::TooLarge(cap) => PayloadError::TooLarge(cap),
            other => PayloadError::Broken(other.to_string()),
        })
    }

    fn says(&self, name: &HeaderName, word: &str) -> bool {
        self.joined(name).split(',').any(|item| item.trim().eq_ignore_ascii_case(word))
    }

    fn joined(&self, name: &HeaderName) -> String {
        let values = self.headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect::<Vec<_>>().join(",")
    }
}

/// `HTTP/1.1 200 OK`, and what passes for it: the first word is about HTTP, the second a code.
fn status(line: &[u8]) -> Option<u16> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let protocol = words.next()?;
    let is_http = protocol.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"http"))
        || protocol == b"ICY";
    let code = words.next().filter(|word| is_http && word.len() == 3)?;
    let code = std::str::from_utf8(code).ok()?.parse().ok()?;
    (100..=599).contains(&code).then_some(code)
}

/// Whether a body is plain although a coding is named: ClueWeb09 has whole crawls of these. Gzip and
/// zstd begin with bytes of their own; a page begins with a tag, which no coding does.
fn is_decoded(raw: &[u8], coding: &str) -> bool {
    let last = coding.rsplit(',').next().unwrap_or_default().trim().to_ascii_lowercase();
    match last.as_str() {
        "gzip" | "x-gzip" => !raw.starts_with(b"\x1f\x8b"),
        "zstd" => !raw.starts_with(b"\x28\xb5\x2f\xfd") && !is_skippable_frame(raw),
        _ => raw.trim_ascii_start().starts_with(b"<") && encoding_fails(raw, coding),
    }
}

/// RFC 8878, 3.1.2.
fn is_skippable_frame(raw: &[u8]) -> bool {
    matches!(raw, [first, 0x2a, 0x4d, 0x18, ..] if first & 0xf0 == 0x50)
}

/// Whether the first bytes are none of a coding without a magic number.
fn encoding_fails(raw: &[u8], coding: &str) -> bool {
    const ENOUGH: usize = 1 << 20;
    matches!(
        codings::decode(raw.to_vec(), coding, ENOUGH.max(raw.len())),
        Err(DecodeError::Broken { .. })
    )
}
