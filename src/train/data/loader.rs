//! The threads behind a stream of batches, started and stopped as one.
//!
//! ```text
//! runtime of the store: windows, spans → queue of raw batches → thread "data": decoding on all cores
//!   → queue of `ready_batches` → the trainer, which gives buffers back
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use rayon::ThreadPoolBuilder;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::batch::{Batch, Raw};
use super::order::{Kind, Order, Position};
use super::prepare::{Prepare, Preparer};
use super::read::Reader;
use super::{DataError, Dataset, LoadOptions};

type Delivery = Result<Batch, DataError>;

/// Batches in order, made in the background. An error comes in its place, after the batches before
/// it, and is the last item. Dropped, it stops within the decoding of an image.
#[derive(Debug)]
pub struct Loader {
    /// None once dropping has begun or everything was delivered.
    batches: Option<Receiver<Delivery>>,
    buffers: Sender<Vec<f32>>,
    stop: Arc<AtomicBool>,
    reading: AbortHandle,
    thread: Option<JoinHandle<()>>,
    dataset: Dataset,
    options: LoadOptions,
}

impl Loader {
    /// Starts shuffled training batches without an end at `first_step`, where a checkpoint may have
    /// left off. Reads one window's narrow columns before the first batch, whatever the step.
    pub fn start(
        dataset: &Dataset,
        options: &LoadOptions,
        prepare: Prepare,
        first_step: u64,
    ) -> Result<Self, DataError> {
        Self::begin(dataset, options, prepare, Kind::Shuffled(options.seed), first_step)
    }

    /// Starts one pass in the order of the shards, over at most `limit` triplets, for validation.
    /// The last batch has what is left.
    pub fn in_order(
        dataset: &Dataset,
        options: &LoadOptions,
        prepare: Prepare,
        limit: Option<u64>,
    ) -> Result<Self, DataError> {
        let kind = Kind::Once(limit.unwrap_or(u64::MAX));
        Self::begin(dataset, options, prepare, kind, 0)
    }

    fn begin(
        dataset: &Dataset,
        options: &LoadOptions,
        prepare: Prepare,
        kind: Kind,
        first_step: u64,
    ) -> Result<Self, DataError> {
        options.check(dataset, kind)?;
        let stopped = |error: &dyn ToString| DataError::Stopped(error.to_string());
        let pool = ThreadPoolBuilder::new()
            .num_threads(options.threads)
            .thread_name(|number| format!("data-{number}"))
            .build()
            .map_err(|error| stopped(&error))?;
        let rows = dataset.groups().iter().map(|group| group.rows).collect();
        let order = Order::new(rows, kind, options.batch, options.window_batches());
        let reader = Reader::new(dataset.clone(), options.clone(), order);
        let (send_raw, raw) = mpsc::channel(reader.queued());
        let (send, batches) = sync_channel(options.ready_batches);
        let (buffers, returned) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = dataset.location().runtime();
        let reading = runtime.spawn(reader.run(first_step, send_raw)).abort_handle();
        let preparer = Preparer { prepare, pool, seed: options.seed, stop: stop.clone() };
        let thread = std::thread::Builder::new()
            .name("data".into())
            .spawn(move || prepare_all(&preparer, raw, &send, &returned))
            .map_err(|error| stopped(&error))?;
        let (batches, thread) = (Some(batches), Some(thread));
        let (dataset, options) = (dataset.clone(), options.clone());
        Ok(Self { batches, buffers, stop, reading, thread, dataset, options })
    }

    /// Takes the memory of a batch that is done with, for a batch to come.
    pub fn recycle(&self, batch: Batch) {
        // With its thread gone the loader needs no more buffers.
        let _ = self.buffers.send(batch.pixels);
    }

    /// What a checkpoint keeps, for going on with `next_step`.
    pub fn position(&self, next_step: u64) -> Position {
        self.options.position(&self.dataset, next_step)
    }

    /// How the thread ended, once it has nothing more to give.
    fn end(&mut self) -> Option<Delivery> {
        self.batches = None;
        let ended = self.thread.take().map(JoinHandle::join);
        let panicked = || DataError::Stopped("its thread panicked".into());
        ended.is_some_and(|ended| ended.is_err()).then(|| Err(panicked()))
    }
}

impl Iterator for Loader {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        match self.batches.as_ref()?.recv() {
            Ok(delivery) => Some(delivery),
            Err(_) => self.end(),
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.reading.abort();
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened, and matters no more.
            let _ = thread.join();
        }
    }
}

/// Prepares what is read until it ends or nobody takes it.
fn prepare_all(
    preparer: &Preparer,
    mut raw: mpsc::Receiver<Result<Raw, DataError>>,
    send: &SyncSender<Delivery>,
    returned: &Receiver<Vec<f32>>,
) {
    while let Some(raw) = raw.blocking_recv() {
        let delivery = match raw {
            Err(error) => Err(error),
            Ok(raw) => {
                let buffer = returned.try_recv().unwrap_or_default();
                let Some(batch) = preparer.batch(raw, buffer) else { return };
                Ok(batch)
            }
        };
        if send.send(delivery).is_err() {
            return;
        }
    }
}
