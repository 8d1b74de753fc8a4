//! From the order to batches of bytes: the narrow columns of a window first, then the images of this
//! rank's rows, some batches at a time.
//!
//! Batches of a span are read together, so that a row group is visited once a span: its pages that
//! are wanted lie close, and with a span of a whole window a rank reads nearly whole row groups.
//! At most two spans are in memory, the one in use and the next.

mod images;
mod window;

use std::sync::Arc;

use arrow::buffer::Buffer;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use super::batch::{Raw, RawRow};
use super::order::{Draw, Order, Random, seed_of};
use super::{DataError, Dataset, LoadOptions};
use images::SpanImages;
use window::OpenWindow;

/// Spans in memory: one in use, one that is read.
const SPANS: usize = 2;

/// Reads batches in order until nobody wants them, the order ends, or something fails.
pub struct Reader {
    dataset: Dataset,
    options: LoadOptions,
    order: Order,
    /// Batches of the next span: few at first, so that the first batch comes soon.
    span: usize,
    longest_span: usize,
}

impl Reader {
    /// A reader that has read nothing yet.
    pub fn new(dataset: Dataset, options: LoadOptions, order: Order) -> Self {
        let longest_span = options.span_batches(&dataset);
        Self { dataset, options, order, span: 1, longest_span }
    }

    /// How many batches wait in the channel at most: the spans bound their bytes.
    pub fn queued(&self) -> usize {
        SPANS * self.longest_span
    }

    /// Sends every batch from `first_step` on; an error is the last thing sent.
    pub async fn run(mut self, first_step: u64, send: mpsc::Sender<Result<Raw, DataError>>) {
        if let Err(error) = self.send_all(first_step, &send).await {
            // Nobody is there to be told if this fails.
            let _ = send.send(Err(error)).await;
        }
    }

    async fn send_all(
        &mut self,
        first_step: u64,
        send: &mpsc::Sender<Result<Raw, DataError>>,
    ) -> Result<(), DataError> {
        let spans = Arc::new(Semaphore::new(SPANS));
        let (mut number, mut next) = self.order.window_of(first_step);
        while let Some(window) = self.order.window(number) {
            let open = OpenWindow::open(&self.dataset, &self.options, &self.order, window).await?;
            while next < open.batches() {
                let permit = spans.clone().acquire_owned().await;
                let permit = Arc::new(permit.expect("the semaphore is never closed"));
                let end = (next + self.span).min(open.batches());
                let span = SpanImages::read(&open, &self.options, next..end).await?;
                for batch in next..end {
                    let raw = self.raw(&open, &span, batch, permit.clone())?;
                    if send.send(Ok(raw)).await.is_err() {
                        return Ok(());
                    }
                }
                next = end;
                self.span = (self.span * 2).min(self.longest_span);
            }
            (number, next) = (number + 1, 0);
        }
        Ok(())
    }

    fn raw(
        &self,
        open: &OpenWindow,
        span: &SpanImages,
        batch: usize,
        permit: Arc<OwnedSemaphorePermit>,
    ) -> Result<Raw, DataError> {
        let step = open.first_step() + batch as u64;
        let first = self.options.rank * self.options.rank_rows();
        let row = |(place, &row): (usize, &u32)| {
            let place = (first + place) as u64;
            let (texts, images) = (open.texts(row), span.of(open.locate(row))?);
            Ok(RawRow {
                place,
                triplet_id: texts.triplet_id.to_owned(),
                instruction: texts.instruction.to_owned(),
                query_cluster: texts.query_cluster.cast_signed(),
                target_cluster: texts.target_cluster.cast_signed(),
                query: images.query.clone(),
                target: images.target.clone(),
                hard: self.draw(&images.hard, step, place),
            })
        };
        let rows = open.rank_rows(&self.options, batch).iter().enumerate().map(row);
        let rows = rows.collect::<Result<_, DataError>>()?;
        Ok(Raw { step, rows, shared_pages: open.shared_pages(batch), permit })
    }

    /// Some of a row's hard negatives, in their own order.
    fn draw(&self, hard: &[Buffer], step: u64, place: u64) -> Vec<Buffer> {
        let wanted = self.options.hard_negatives;
        let mut chosen: Vec<usize> = (0..hard.len()).collect();
        if hard.len() > wanted {
            let seed = seed_of(self.options.seed, Draw::HardNegatives, &[step, place]);
            Random::new(seed).shuffle(&mut chosen);
            chosen.truncate(wanted);
            chosen.sort_unstable();
        }
        chosen.into_iter().map(|at| hard[at].clone()).collect()
    }
}

/// Runs reads on all threads of the runtime, so many at a time. Results come in the order asked for;
/// with an error, what is still being read is dropped.
async fn all<T, F>(reads: Vec<F>, at_once: usize) -> Result<Vec<T>, DataError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, DataError>> + Send + 'static,
{
    let tasks =
        reads.into_iter().map(|read| async { AbortOnDropHandle::new(tokio::spawn(read)).await });
    let done = stream::iter(tasks).buffered(at_once);
    let stopped = |error: JoinError| DataError::Stopped(format!("reading panicked: {error}"));
    done.map(|done| done.unwrap_or_else(|error| Err(stopped(error)))).try_collect().await
}
