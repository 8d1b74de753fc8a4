//! Where archives are read: a file on disk or a URL, as bytes in order on a blocking thread.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;
use url::Url;

use super::context::{Context, StageError};
use crate::http::{Client, FetchError};

/// Pieces of a download that wait to be read.
const PIECES: usize = 16;

/// Whether an archive lies at a URL, and is no file.
pub fn is_url(name: &str) -> bool {
    name.contains("://")
}

/// Gives `work`, on a blocking thread, the archive's bytes: all of them, or those of `range`.
pub async fn read<T: Send + 'static>(
    ctx: &Context,
    name: &str,
    range: Option<Range<u64>>,
    work: impl FnOnce(Box<dyn Read + Send>) -> T + Send + 'static,
) -> Result<T, StageError> {
    let failed = |problem: String| StageError::Input { name: name.to_owned(), problem };
    if !is_url(name) {
        let path = name.to_owned();
        let done = tokio::task::spawn_blocking(move || open(Path::new(&path), range).map(work));
        return joined(done.await).map_err(|error| failed(error.to_string()));
    }
    let url = Url::parse(name).map_err(|error| failed(error.to_string()))?;
    let (sender, pieces) = mpsc::channel(PIECES);
    let fill = fill(Arc::clone(&ctx.client), url, range, sender);
    let body = Box::new(Body { pieces, piece: Bytes::new() });
    let (done, ()) = tokio::join!(tokio::task::spawn_blocking(move || work(body)), fill);
    Ok(joined(done))
}

fn joined<T>(outcome: Result<T, tokio::task::JoinError>) -> T {
    outcome.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

fn open(path: &Path, range: Option<Range<u64>>) -> io::Result<Box<dyn Read + Send>> {
    let mut file = File::open(path)?;
    let Some(Range { start, end }) = range else { return Ok(Box::new(file)) };
    file.seek(SeekFrom::Start(start))?;
    Ok(Box::new(file.take(end.saturating_sub(start))))
}

/// Downloads for as long as somebody reads.
async fn fill(
    client: Arc<Client>,
    url: Url,
    range: Option<Range<u64>>,
    out: mpsc::Sender<Result<Bytes, FetchError>>,
) {
    let mut download = client.download(&url, range);
    while let Some(piece) = download.chunk().await.transpose() {
        let is_last = piece.is_err();
        if out.send(piece).await.is_err() || is_last {
            return;
        }
    }
}

/// The other end, for a blocking thread.
struct Body {
    pieces: mpsc::Receiver<Result<Bytes, FetchError>>,
    piece: Bytes,
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let read = self.piece.len().min(buf.len());
        self.piece.copy_to_slice(&mut buf[..read]);
        Ok(read)
    }
}
