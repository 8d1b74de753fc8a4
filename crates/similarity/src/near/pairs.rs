//! Pairs of indices as they are found: in memory up to a number, beyond it in sorted runs of a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use itertools::Itertools;
use rayon::prelude::*;

/// Pairs that one thread finds before it hands them on.
const BATCH: usize = 4096;

/// Bytes of the buffers that all runs are read through, unless they are very many.
const READ_BYTES: usize = 4 << 20;

const WORD: u64 = size_of::<u64>() as u64;

/// Pairs in no order, some of them twice, until they are settled.
#[derive(Debug)]
pub struct Pairs {
    /// The smaller index in the upper half.
    pending: Vec<u64>,
    most: usize,
    file: Option<File>,
    /// Where in the file each sorted run ends, in pairs.
    ends: Vec<u64>,
}

impl Pairs {
    /// None, of which so many bytes may be in memory.
    pub fn new(bytes: u64) -> Self {
        let most = usize::try_from(bytes / WORD).unwrap_or(usize::MAX).max(1);
        Self { pending: Vec::new(), most, file: None, ends: Vec::new() }
    }

    /// Adds a pair of indices, the smaller one first.
    pub fn push(&mut self, a: usize, b: usize) -> io::Result<()> {
        self.add(pack(a, b))
    }

    fn add(&mut self, pair: u64) -> io::Result<()> {
        self.pending.push(pair);
        if self.pending.len() >= self.most { self.spill() } else { Ok(()) }
    }

    /// Appends what is in memory to the file as a run. On this thread: it may hold a lock that others wait for.
    fn spill(&mut self) -> io::Result<()> {
        self.pending.sort_unstable();
        self.pending.dedup();
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        let mut writer = BufWriter::new(file);
        self.pending.iter().try_for_each(|pair| writer.write_all(&pair.to_le_bytes()))?;
        writer.flush()?;
        let end = self.ends.last().copied().unwrap_or(0) + self.pending.len() as u64;
        self.ends.push(end);
        self.pending.clear();
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Sorts them, where they are all in memory and there is room for as much again, or else in the file.
    pub(super) fn settle(&mut self, room: u64) -> io::Result<()> {
        if self.file.is_none() && self.pending.len() as u64 * WORD * 2 <= room {
            self.pending.par_sort_unstable();
            self.pending.dedup();
            return Ok(());
        }
        if !self.pending.is_empty() {
            self.spill()?;
        }
        self.pending = Vec::new();
        Ok(())
    }

    /// Memory of settled pairs.
    pub(super) fn bytes(&self) -> u64 {
        (self.pending.len() as u64) * WORD + (self.ends.len() * self.read_bytes()) as u64
    }

    fn read_bytes(&self) -> usize {
        (READ_BYTES / self.ends.len().max(1)).clamp(4 << 10, 64 << 10)
    }

    /// Settled pairs, ascending and each once.
    pub(super) fn each(&self, mut take: impl FnMut(usize, usize)) -> io::Result<()> {
        let Some(file) = &self.file else {
            self.pending.iter().map(|&pair| unpack(pair)).for_each(|(a, b)| take(a, b));
            return Ok(());
        };
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let runs =
            starts.zip(&self.ends).map(|(at, &end)| Run::new(file, at..end, self.read_bytes()));
        // An error comes first, so that it ends the whole.
        let before = |a: &io::Result<u64>, b: &io::Result<u64>| match (a, b) {
            (Ok(a), Ok(b)) => a < b,
            (a, _) => a.is_err(),
        };
        let mut last = None;
        for pair in runs.kmerge_by(before) {
            let pair = pair?;
            if last.replace(pair) != Some(pair) {
                let (a, b) = unpack(pair);
                take(a, b);
            }
        }
        Ok(())
    }
}

/// A sorted run of the file.
struct Run<'a> {
    file: &'a File,
    rest: std::ops::Range<u64>,
    /// Read at a time.
    words: u64,
    buffer: Vec<u8>,
    at: usize,
}

impl<'a> Run<'a> {
    fn new(file: &'a File, rest: std::ops::Range<u64>, bytes: usize) -> Self {
        Self { file, rest, words: bytes as u64 / WORD, buffer: Vec::new(), at: 0 }
    }

    fn read(&mut self) -> io::Result<()> {
        let pairs = (self.rest.end - self.rest.start).min(self.words);
        self.buffer.resize((pairs * WORD) as usize, 0);
        self.file.read_exact_at(&mut self.buffer, self.rest.start * WORD)?;
        self.rest.start += pairs;
        self.at = 0;
        Ok(())
    }
}

impl Iterator for Run<'_> {
    type Item = io::Result<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.buffer.len() {
            if self.rest.is_empty() {
                return None;
            }
            if let Err(error) = self.read() {
                self.rest.start = self.rest.end;
                self.buffer.clear();
                self.at = 0;
                return Some(Err(error));
            }
        }
        let (pair, _) = self.buffer[self.at..].split_first_chunk().expect("whole pairs are read");
        self.at += pair.len();
        Some(Ok(u64::from_le_bytes(*pair)))
    }
}

fn pack(a: usize, b: usize) -> u64 {
    (a as u64) << 32 | b as u64
}

fn unpack(pair: u64) -> (usize, usize) {
    ((pair >> 32) as usize, pair as u32 as usize)
}

/// Where all threads' pairs go; once the disk fails, nowhere.
pub(super) type Sink = Mutex<io::Result<Pairs>>;

/// Pairs of one thread.
pub(super) struct Found<'a> {
    pub(super) sink: &'a Sink,
    pairs: Vec<u64>,
}

impl<'a> Found<'a> {
    pub(super) fn new(sink: &'a Sink) -> Self {
        Self { sink, pairs: Vec::new() }
    }

    pub(super) fn push(&mut self, a: usize, b: usize) {
        self.pairs.push(pack(a, b));
        if self.pairs.len() == BATCH {
            self.hand_on();
        }
    }

    fn hand_on(&mut self) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let added = match &mut *sink {
            Ok(pairs) => self.pairs.drain(..).try_for_each(|pair| pairs.add(pair)),
            Err(_) => {
                self.pairs.clear();
                Ok(())
            }
        };
        if let Err(error) = added {
            *sink = Err(error);
        }
    }
}

impl Drop for Found<'_> {
    fn drop(&mut self) {
        if !self.pairs.is_empty() {
            self.hand_on();
        }
    }
}
