//! The bytes of a WARC file, plain or gzip, and where in the file they lie.
//!
//! A gzip file is a series of members (RFC 1952, 2.2). A record is usually a member of its own (WARC
//! 1.1, annex D), which is what lets it be read without what comes before it.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::GzDecoder;

use super::WarcError;

/// Bytes read and bytes inflated at a time.
const BUFFER: usize = 64 << 10;

/// What a gzip member begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

type Start<R> = Chain<Cursor<Vec<u8>>, R>;

/// Counts what was consumed, and keeps errors of the reader below apart from those of the decoder.
struct Counted<R> {
    inner: BufReader<R>,
    offset: u64,
    failure: Option<io::Error>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let chunk = self.fill_buf()?;
        let read = chunk.len().min(buf.len());
        buf[..read].copy_from_slice(&chunk[..read]);
        self.consume(read);
        Ok(read)
    }
}

impl<R: Read> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.inner.fill_buf() {
            Ok(chunk) => Ok(chunk),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let told = io::Error::new(error.kind(), "reading");
                self.failure = Some(error);
                Err(told)
            }
        }
    }

    fn consume(&mut self, n: usize) {
        self.offset += n as u64;
        self.inner.consume(n);
    }
}

enum Input<R> {
    Plain(Counted<R>),
    Gzip(Box<GzDecoder<Counted<R>>>),
    /// While one member is exchanged for the next.
    Moving,
}

/// Decoded bytes, member by member; a plain file is one member.
pub(super) struct Source<R> {
    input: Input<Start<R>>,
    inflated: Vec<u8>,
    at: usize,
    member_start: u64,
    member_read: u64,
}

impl<R: Read> Source<R> {
    /// `start` was read off `rest` to see what the file is.
    pub(super) fn new(start: Vec<u8>, rest: R) -> Self {
        let is_gzip = start.starts_with(&GZIP);
        let inner = BufReader::with_capacity(BUFFER, Cursor::new(start).chain(rest));
        let counted = Counted { inner, offset: 0, failure: None };
        let input = if is_gzip {
            Input::Gzip(Box::new(GzDecoder::new(counted)))
        } else {
            Input::Plain(counted)
        };
        Self { input, inflated: Vec::new(), at: 0, member_start: 0, member_read: 0 }
    }

    /// Whether the file is compressed.
    pub(super) fn is_gzip(&self) -> bool {
        !matches!(self.input, Input::Plain(_))
    }

    /// Bytes of the file that are consumed, or at least inflated.
    pub(super) fn offset(&self) -> u64 {
        match &self.input {
            Input::Plain(counted) => counted.offset,
            Input::Gzip(decoder) => decoder.get_ref().offset,
            Input::Moving => self.member_start,
        }
    }

    /// Where the current byte lies, if it can be read from there on: any byte of a plain file, the
    /// first one of a gzip member.
    pub(super) fn entry(&self) -> Option<u64> {
        match self.input {
            Input::Plain(_) => Some(self.offset()),
            _ => (self.member_read == 0).then_some(self.member_start),
        }
    }

    /// What can be consumed of the current member; nothing at its end.
    pub(super) fn fill(&mut self) -> Result<&[u8], WarcError> {
        match &mut self.input {
            Input::Plain(counted) => {
                retry(|| counted.fill_buf().map(drop))
                    .map_err(|_| WarcError::Io(taken(&mut counted.failure)))?;
                Ok(counted.inner.buffer())
            }
            Input::Gzip(decoder) => {
                if self.at == self.inflated.len() {
                    self.inflated.resize(BUFFER, 0);
                    self.at = 0;
                    let read = retry(|| decoder.read(&mut self.inflated));
                    self.inflated.truncate(*read.as_ref().unwrap_or(&0));
                    if let Err(error) = read {
                        return Err(of_decoder(&error, decoder.get_mut(), self.member_start));
                    }
                }
                Ok(&self.inflated[self.at..])
            }
            Input::Moving => Ok(&[]),
        }
    }

    /// Takes `n` bytes of what [`Self::fill`] gave.
    pub(super) fn consume(&mut self, n: usize) {
        self.member_read += n as u64;
        match &mut self.input {
            Input::Plain(counted) => counted.consume(n),
            _ => self.at += n,
        }
    }

    /// Goes on behind the end of a member; says whether there is anything.
    pub(super) fn next_member(&mut self) -> Result<bool, WarcError> {
        let decoder = match std::mem::replace(&mut self.input, Input::Moving) {
            Input::Gzip(decoder) => decoder,
            other => {
                self.input = other;
                return Ok(false);
            }
        };
        let mut counted = decoder.into_inner();
        self.member_start = counted.offset;
        self.member_read = 0;
        let start = retry(|| counted.fill_buf().map(|chunk| chunk.first().copied()));
        let start = start.map_err(|_| WarcError::Io(taken(&mut counted.failure)))?;
        self.input = Input::Gzip(Box::new(GzDecoder::new(counted)));
        match start {
            None => Ok(false),
            Some(byte) if byte == GZIP[0] => Ok(true),
            Some(_) => Err(WarcError::Damaged {
                offset: self.member_start,
                problem: "no gzip member where one should begin".into(),
            }),
        }
    }
}

fn retry<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn taken(failure: &mut Option<io::Error>) -> io::Error {
    failure.take().unwrap_or_else(|| io::ErrorKind::Other.into())
}

fn of_decoder<R>(error: &io::Error, counted: &mut Counted<R>, member_start: u64) -> WarcError {
    if let Some(failure) = counted.failure.take() {
        return WarcError::Io(failure);
    }
    if error.kind() == io::ErrorKind::UnexpectedEof {
        let missing = format!("the end of the gzip member that begins at byte {member_start}");
        return WarcError::Truncated { offset: counted.offset, missing };
    }
    WarcError::Damaged { offset: member_start, problem: error.to_string() }
}
