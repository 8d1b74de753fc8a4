//! Bodies: files that are made once, and streams that never end well.

use std::convert::Infallible;
use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use axum::body::Body as Sent;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{self, Stream, StreamExt};
use tokio::sync::watch;

use crate::drawn::Drawn;
use crate::picture::Picture;
use crate::rng::Rng;
use crate::world::{Body, at_port};

/// Pause between two bytes of a drip.
const DRIP: Duration = Duration::from_millis(200);

/// The bytes of a body that ends.
///
/// Images are read from the folder `drawn` if there is one.
pub fn make(body: &Body, port: u16, pack: bool, drawn: Option<&Drawn>) -> Result<Vec<u8>> {
    let file = |picture: &Picture| match drawn {
        Some(drawn) => drawn.bytes(picture),
        None => picture.bytes(),
    };
    let bytes = match body {
        Body::Text(text) => at_port(text, port).into_bytes(),
        Body::Bytes(bytes) | Body::Encoded(bytes) => bytes.clone(),
        Body::Page(doc) => doc.to_bytes(port),
        Body::Picture(picture) => file(picture)?,
        Body::Cut(picture, keep) => {
            let mut bytes = file(picture)?;
            bytes.truncate(*keep);
            bytes
        }
        Body::GzipText(text) => gzip(at_port(text, port).as_bytes(), 0)?,
        Body::Bomb(start, zeros) => gzip(start, *zeros)?,
        Body::Short(start, _) | Body::Drip(start) | Body::Stall(start) | Body::Endless(start) => {
            start.clone()
        }
    };
    if pack { gzip(&bytes, 0) } else { Ok(bytes) }
}

fn gzip(start: &[u8], zeros: usize) -> Result<Vec<u8>> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(start)?;
    let block = [0; 1 << 16];
    for _ in 0..zeros / block.len() {
        out.write_all(&block)?;
    }
    Ok(out.finish()?)
}

/// The body as a stream, where it is no file.
pub fn stream(body: &Body, stop: watch::Receiver<bool>) -> Option<Sent> {
    Some(match body {
        Body::Short(start, _) => until(stop, first(start).chain(pause())),
        Body::Drip(start) => until(stop, first(start).chain(drip())),
        Body::Stall(start) => until(stop, first(start).chain(stream::pending())),
        Body::Endless(start) => until(stop, first(start).chain(noise())),
        _ => return None,
    })
}

/// Resolves when the service ends.
pub async fn ended(mut stop: watch::Receiver<bool>) {
    // A sender that is gone is an end as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn until(stop: watch::Receiver<bool>, chunks: impl Stream<Item = Bytes> + Send + 'static) -> Sent {
    let chunks = chunks.take_until(Box::pin(ended(stop)));
    Sent::from_stream(chunks.map(Ok::<_, Infallible>))
}

fn first(start: &[u8]) -> impl Stream<Item = Bytes> + use<> {
    let start = Bytes::copy_from_slice(start);
    stream::once(async move { start })
}

/// Time for what was sent so far to leave: a response that fails at once is dropped as a whole.
fn pause() -> impl Stream<Item = Bytes> {
    stream::once(async {
        tokio::time::sleep(DRIP / 4).await;
        Bytes::new()
    })
}

fn drip() -> impl Stream<Item = Bytes> {
    stream::unfold((), |()| async {
        tokio::time::sleep(DRIP).await;
        Some((Bytes::from_static(b" "), ()))
    })
}

fn noise() -> impl Stream<Item = Bytes> {
    let mut rng = Rng::new(1);
    // Letters, so that it passes for text as well as for anything else.
    let chunk: Vec<u8> = (0..1 << 16).map(|_| b'a' + rng.below(26) as u8).collect();
    stream::repeat(Bytes::from(chunk))
}
