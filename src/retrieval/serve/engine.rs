//! The thread that owns the model. Whatever queries wait are embedded as one batch and scanned for in one
//! pass over the index, which costs little more than a single one.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::retrieval::encoder::Encoder;
use crate::retrieval::index::{Hit, Index};

/// Queries that may wait; more of them wait where they are.
const QUEUE: usize = 256;
/// Queries that are answered in one pass.
const BATCH: usize = 64;

/// A query: an image's tensor and a text.
pub struct Query {
    /// `[3, S, S]`.
    pub pixels: Vec<f32>,
    /// The instruction, which may be empty.
    pub text: String,
    /// Images to find.
    pub k: usize,
}

struct Asked {
    query: Query,
    answer: oneshot::Sender<Vec<Hit>>,
}

/// Answers queries. The thread ends with the last of its clones.
#[derive(Clone)]
pub struct Engine(mpsc::Sender<Asked>);

impl Engine {
    /// Starts the thread.
    pub fn start(encoder: Encoder, index: Arc<Index>) -> Self {
        let (send, asked) = mpsc::channel(QUEUE);
        std::thread::spawn(move || answer_all(&encoder, &index, asked));
        Self(send)
    }

    /// The nearest images; `None` where the thread is gone.
    pub async fn search(&self, query: Query) -> Option<Vec<Hit>> {
        let (answer, hits) = oneshot::channel();
        self.0.send(Asked { query, answer }).await.ok()?;
        hits.await.ok()
    }
}

fn answer_all(encoder: &Encoder, index: &Index, mut asked: mpsc::Receiver<Asked>) {
    let mut batch = Vec::with_capacity(BATCH);
    while asked.blocking_recv_many(&mut batch, BATCH) > 0 {
        // Who went away while waiting costs nothing.
        batch.retain(|asked| !asked.answer.is_closed());
        answer(encoder, index, std::mem::take(&mut batch));
    }
}

fn answer(encoder: &Encoder, index: &Index, batch: Vec<Asked>) {
    let Some(k) = batch.iter().map(|asked| asked.query.k).max() else { return };
    let pixels: Vec<f32> = batch.iter().flat_map(|asked| &asked.query.pixels).copied().collect();
    let texts: Vec<&str> = batch.iter().map(|asked| asked.query.text.as_str()).collect();
    let vectors = encoder.embed(&pixels, &texts);
    let found = index.search(&vectors.rows, k);
    for (Asked { query, answer }, mut hits) in batch.into_iter().zip(found) {
        hits.truncate(query.k);
        let _ = answer.send(hits);
    }
}
