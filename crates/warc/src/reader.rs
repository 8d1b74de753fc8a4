//! A WARC file, record by record.

use std::io::Read;

use super::WarcError;
use super::foreign::{self, LOOK};
use super::head::{Fields, Head};
use super::source::Source;

/// A line of a record's or an answer's head is at most this long, in bytes.
const MAX_LINE: usize = 64 << 10;

/// All fields of a record together.
const MAX_HEAD: usize = 1 << 20;

/// Where a record lies that can be read by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its first byte in the file.
    pub offset: u64,
    /// Bytes of the file that it takes.
    pub length: u64,
}

/// Records in the order of the file, each block read as far as the caller wants it.
pub struct Reader<R> {
    source: Source<R>,
    /// Where the current record begins, if it can be read from there.
    entry: Option<u64>,
    /// Bytes of its block that were not read.
    left: u64,
    records: u64,
    is_over: bool,
    line: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Looks at the first bytes, and refuses what is neither WARC nor gzip.
    pub fn new(mut input: R) -> Result<Self, WarcError> {
        let mut start = Vec::with_capacity(LOOK);
        input.by_ref().take(LOOK as u64).read_to_end(&mut start).map_err(WarcError::Io)?;
        let is_candidate = start.starts_with(b"\x1f\x8b") || is_version(start.trim_ascii_start());
        if !is_candidate {
            return Err(WarcError::Foreign(foreign::describe(&start)));
        }
        let source = Source::new(start, input);
        let line = Vec::new();
        Ok(Self { source, entry: None, left: 0, records: 0, is_over: false, line })
    }

    /// Goes on to the next record, whatever of the current one was read; none at the end of the file
    /// and after an error.
    pub fn next_record(&mut self) -> Result<Option<Head>, WarcError> {
        if self.is_over {
            return Ok(None);
        }
        let next = self.skip_block().and_then(|()| self.read_head());
        self.is_over = !matches!(next, Ok(Some(_)));
        self.records += u64::from(!self.is_over);
        next
    }

    /// A line of the block without its end, at most 64 KiB of it; none at the end of the block.
    pub fn block_line(&mut self) -> Result<Option<&[u8]>, WarcError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.line.clear();
        let mut is_whole = false;
        while !is_whole && self.left > 0 && self.line.len() < MAX_LINE {
            let left = usize::try_from(self.left).unwrap_or(usize::MAX);
            self.fill_block()?;
            let chunk = self.source.fill()?;
            let chunk = &chunk[..chunk.len().min(left)];
            let end = memchr::memchr(b'\n', chunk);
            is_whole = end.is_some();
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.line.extend_from_slice(&chunk[..used]);
            self.consume_block(used);
        }
        Ok(Some(without_end(&self.line)))
    }

    /// What was not read of the block; none where that is over `cap` bytes.
    pub fn block(&mut self, cap: usize) -> Result<Option<Vec<u8>>, WarcError> {
        if self.left > cap as u64 {
            return Ok(None);
        }
        let mut block = Vec::new();
        while self.left > 0 {
            let left = usize::try_from(self.left).unwrap_or(usize::MAX);
            let chunk = self.fill_block()?;
            let used = chunk.len().min(left);
            // The declared length is below the cap and still not believed: memory follows the bytes.
            block.extend_from_slice(&chunk[..used]);
            self.consume_block(used);
        }
        Ok(Some(block))
    }

    /// Skips to the end of the record and says where it lies; none where it cannot be read by itself,
    /// being one of several in one gzip member.
    pub fn extent(&mut self) -> Result<Option<Extent>, WarcError> {
        let ended = self.skip_block().and_then(|()| self.end_of_record());
        self.is_over |= ended.is_err();
        let end = ended?;
        let (Some(offset), Some(end)) = (self.entry, end) else { return Ok(None) };
        Ok(Some(Extent { offset, length: end - offset }))
    }

    fn end_of_record(&mut self) -> Result<Option<u64>, WarcError> {
        if !self.source.is_gzip() {
            return Ok(Some(self.source.offset()));
        }
        self.skip_line_ends()?;
        let is_alone = self.source.fill()?.is_empty();
        Ok(is_alone.then(|| self.source.offset()))
    }

    fn read_head(&mut self) -> Result<Option<Head>, WarcError> {
        if !self.find_record()? {
            return if self.records > 0 { Ok(None) } else { Err(self.foreign(&[])) };
        }
        let first = self.head_line()?;
        if !is_version(&first) {
            // Some lengths are a few bytes short: one line is read over.
            let damage = self.foreign(&first);
            if self.records == 0 || !self.find_record()? || !is_version(&self.head_line()?) {
                return Err(damage);
            }
        }
        let head = self.fields()?.finish().map_err(|problem| self.damaged(&problem))?;
        self.left = head.length;
        Ok(Some(head))
    }

    /// Skips what may lie between records; false at the end of the file.
    fn find_record(&mut self) -> Result<bool, WarcError> {
        loop {
            self.skip_line_ends()?;
            if !self.source.fill()?.is_empty() {
                self.entry = self.source.entry();
                return Ok(true);
            }
            if !self.source.next_member()? {
                return Ok(false);
            }
        }
    }

    fn fields(&mut self) -> Result<Fields, WarcError> {
        let (mut fields, mut field, mut total) = (Fields::new(), Vec::new(), 0);
        loop {
            let line = self.head_line()?;
            total += line.len();
            if total > MAX_HEAD {
                return Err(self.damaged("a record's head is over 1 MiB"));
            }
            // A line that begins with white space goes on with the one before (WARC 1.0, 4).
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                field.extend_from_slice(&line);
                continue;
            }
            fields.line(&field);
            if line.is_empty() {
                return Ok(fields);
            }
            field = line;
        }
    }

    /// A line of the head, which must end.
    fn head_line(&mut self) -> Result<Vec<u8>, WarcError> {
        let mut line = Vec::new();
        loop {
            let chunk = self.source.fill()?;
            if chunk.is_empty() {
                if self.source.next_member()? {
                    continue;
                }
                return Err(self.truncated("the rest of a record's head".into()));
            }
            let end = memchr::memchr(b'\n', chunk);
            let used = end.map_or(chunk.len(), |end| end + 1);
            line.extend_from_slice(&chunk[..used]);
            self.source.consume(used);
            if line.len() > MAX_LINE {
                let is_first = self.records == 0 && !is_version(&line);
                return Err(match is_first {
                    true => self.foreign(&line),
                    false => self.damaged("a line of a record's head is over 64 KiB"),
                });
            }
            if end.is_some() {
                line.truncate(without_end(&line).len());
                return Ok(line);
            }
        }
    }

    fn skip_line_ends(&mut self) -> Result<(), WarcError> {
        loop {
            let chunk = self.source.fill()?;
            let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
            let ends = chunk.iter().take_while(|byte| is_end(byte)).count();
            if ends == 0 {
                return Ok(());
            }
            self.source.consume(ends);
        }
    }

    fn skip_block(&mut self) -> Result<(), WarcError> {
        while self.left > 0 {
            let used =
                self.fill_block()?.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.consume_block(used);
        }
        Ok(())
    }

    /// Bytes of the block, and perhaps more. Some writers cut members within records.
    fn fill_block(&mut self) -> Result<&[u8], WarcError> {
        let filled = self.try_fill_block();
        self.is_over |= filled.is_err();
        filled?;
        self.source.fill()
    }

    fn try_fill_block(&mut self) -> Result<(), WarcError> {
        while self.source.fill()?.is_empty() {
            if !self.source.next_member()? {
                return Err(self.truncated(format!("{} more bytes of a block", self.left)));
            }
        }
        Ok(())
    }

    fn consume_block(&mut self, n: usize) {
        self.source.consume(n);
        self.left -= n as u64;
    }

    fn foreign(&self, line: &[u8]) -> WarcError {
        if self.records == 0 {
            return WarcError::Foreign(foreign::describe(line));
        }
        let line = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        self.damaged(&format!("{line:?} where a record should begin"))
    }

    fn damaged(&self, problem: &str) -> WarcError {
        let offset = self.entry.unwrap_or_else(|| self.source.offset());
        WarcError::Damaged { offset, problem: problem.into() }
    }

    fn truncated(&self, missing: String) -> WarcError {
        WarcError::Truncated { offset: self.source.offset(), missing }
    }
}

/// `WARC/1.0` and `WARC/1.1`, and the drafts before them, which ClueWeb09 has.
fn is_version(line: &[u8]) -> bool {
    line.starts_with(b"WARC/1.") || line.starts_with(b"WARC/0.")
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
