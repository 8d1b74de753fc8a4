//! Frames between rank 0 and another rank: a header of 32 bytes, then the payload. All little
//! endian.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// First bytes of a connection.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"MAGILENS");
/// Changes with anything below.
pub(super) const VERSION: u64 = 1;
const HEADER: usize = 32;
/// Of the reason that rank 0 gives when it gives up.
const LONGEST_REASON: usize = 4096;

/// What a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// A rank presents itself, and is let in.
    Hello,
    AllGather,
    AllReduceSum,
    Broadcast,
    Barrier,
    /// Rank 0 gives up; the payload says why.
    GiveUp,
}

impl Call {
    const ALL: [Self; 6] = [
        Self::Hello,
        Self::AllGather,
        Self::AllReduceSum,
        Self::Broadcast,
        Self::Barrier,
        Self::GiveUp,
    ];

    /// As errors name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::AllGather => "all_gather",
            Self::AllReduceSum => "all_reduce_sum",
            Self::Broadcast => "broadcast",
            Self::Barrier => "barrier",
            Self::GiveUp => "give_up",
        }
    }
}

/// What comes before the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) call: Call,
    pub(super) sequence: u64,
    /// Of the tensor: kind and shape in one number, so that ranks out of step are noticed.
    pub(super) form: u64,
    /// Bytes of payload.
    pub(super) length: usize,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER] {
        let fields = [self.call as u64, self.sequence, self.form, self.length as u64];
        let mut bytes = [0; HEADER];
        for (slot, field) in bytes.chunks_exact_mut(8).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: [u8; HEADER]) -> Option<Self> {
        let mut fields = bytes
            .chunks_exact(8)
            .map(|field| u64::from_le_bytes(field.try_into().expect("chunks are of eight bytes")));
        let call = *Call::ALL.get(usize::try_from(fields.next()?).ok()?)?;
        let (sequence, form) = (fields.next()?, fields.next()?);
        Some(Self { call, sequence, form, length: usize::try_from(fields.next()?).ok()? })
    }
}

/// Why nothing came or went. The text goes into the caller's error.
pub(super) type Problem = String;

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
}

impl Line {
    pub(super) fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nonblocking(false)?;
        // Frames are written whole; waiting to fill packets would only delay the last one.
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Sends a frame within this time.
    pub(super) fn send(
        &self,
        header: Header,
        payload: &[u8],
        time: Duration,
    ) -> Result<(), Problem> {
        let until = Instant::now() + time;
        self.write(&header.to_bytes(), until, time)?;
        self.write(payload, until, time)
    }

    /// The next header. Its length is the sender's word: nothing is allocated for it yet.
    pub(super) fn header(&self, time: Duration) -> Result<Header, Problem> {
        let mut bytes = [0; HEADER];
        self.read(&mut bytes, Instant::now() + time, time)?;
        Header::from_bytes(bytes).ok_or_else(|| "it sent something else than frames".to_owned())
    }

    /// The payload after a header, as long as this buffer.
    pub(super) fn payload(&self, buffer: &mut [u8], time: Duration) -> Result<(), Problem> {
        self.read(buffer, Instant::now() + time, time)
    }

    /// The reason after a [`Call::GiveUp`].
    pub(super) fn reason(&self, length: usize, time: Duration) -> Result<String, Problem> {
        let mut bytes = vec![0; length.min(LONGEST_REASON)];
        self.payload(&mut bytes, time)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn read(&self, mut rest: &mut [u8], until: Instant, time: Duration) -> Result<(), Problem> {
        while !rest.is_empty() {
            let left = left(until, time)?;
            self.stream.set_read_timeout(Some(left)).map_err(|error| error.to_string())?;
            match (&self.stream).read(rest) {
                Ok(0) => return Err("it closed the connection".to_owned()),
                Ok(read) => rest = &mut rest[read..],
                Err(error) => retry(&error)?,
            }
        }
        Ok(())
    }

    fn write(&self, mut rest: &[u8], until: Instant, time: Duration) -> Result<(), Problem> {
        while !rest.is_empty() {
            let left = left(until, time)?;
            self.stream.set_write_timeout(Some(left)).map_err(|error| error.to_string())?;
            match (&self.stream).write(rest) {
                Ok(0) => return Err("it takes no more".to_owned()),
                Ok(written) => rest = &rest[written..],
                Err(error) => retry(&error)?,
            }
        }
        Ok(())
    }
}

/// The time left, or that it is over. A timeout of zero would mean none to the operating system.
fn left(until: Instant, time: Duration) -> Result<Duration, Problem> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(format!("no answer within {} s", time.as_secs_f64()));
    }
    Ok(left)
}

/// Interrupted and timed-out calls go around again: the clock decides.
fn retry(error: &std::io::Error) -> Result<(), Problem> {
    match error.kind() {
        ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(()),
        _ => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_the_wire() {
        for call in Call::ALL {
            let header = Header { call, sequence: 7, form: u64::MAX, length: 12 };
            assert_eq!(Header::from_bytes(header.to_bytes()), Some(header));
        }
        assert_eq!(Header::from_bytes(*b"GET / HTTP/1.1\r\nHost: somebody\r\n"), None);
    }
}
