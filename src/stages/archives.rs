//! Where archives are read: a file on disk, an object or a URL, as bytes in order on a blocking thread.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures::StreamExt;
use tokio::sync::mpsc;
use url::Url;

use super::context::{Context, StageError};
use crate::http::Client;
use crate::store::{Pieces, is_remote};

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
    let (sender, pieces) = mpsc::channel(PIECES);
    let body = Box::new(Body { pieces, piece: Bytes::new() });
    let reading = tokio::task::spawn_blocking(move || work(body));
    if is_remote(name) {
        let pieces = ctx.objects.pieces(name, range).await?;
        let (done, ()) = tokio::join!(reading, pass_on(pieces, sender));
        return Ok(joined(done));
    }
    let url = Url::parse(name).map_err(|error| failed(error.to_string()))?;
    let fill = fill(Arc::clone(&ctx.client), url, range, sender);
    let (done, ()) = tokio::join!(reading, fill);
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
    out: mpsc::Sender<io::Result<Bytes>>,
) {
    let mut download = client.download(&url, range);
    while let Some(piece) = download.chunk().await.transpose() {
        let is_last = piece.is_err();
        if out.send(piece.map_err(io::Error::other)).await.is_err() || is_last {
            return;
        }
    }
}

/// The same for an object.
async fn pass_on(mut pieces: Pieces, out: mpsc::Sender<io::Result<Bytes>>) {
    while let Some(piece) = pieces.next().await {
        let is_last = piece.is_err();
        if out.send(piece.map_err(io::Error::other)).await.is_err() || is_last {
            return;
        }
    }
}

/// The other end, for a blocking thread.
struct Body {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let read = self.piece.len().min(buf.len());
        self.piece.copy_to_slice(&mut buf[..read]);
        Ok(read)
    }
}
