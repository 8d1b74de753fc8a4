//! The context of every stage, and the errors that end one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures::{StreamExt, stream};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::{Budget, Config};
use crate::http::Client;
use crate::record::{Slice, Tombstones, content_id};
use crate::store::{
    Engine, Fingerprint, Mismatch, Objects, Row, RunDir, Session, StoreError, Table,
};
use crate::telemetry::Progress;

/// Context that every stage receives.
#[derive(Clone)]
pub struct Context {
    /// Configuration of this run.
    pub config: Arc<Config>,
    /// Directory of the tables.
    pub run: RunDir,
    /// The parts of map stages that are this process's.
    pub slice: Slice,
    /// Limits of the cost of models.
    pub budget: Arc<Budget>,
    /// Executors that global plans are worked on by, where there are some.
    pub engine: Option<Engine>,
    /// The only way to the network, object stores and executors aside.
    pub client: Arc<Client>,
    /// The object stores that inputs lie in.
    pub objects: Arc<Objects>,
    /// Permits for hosts that are worked on at the same time.
    pub hosts: Arc<Semaphore>,
    /// Permits for CPU work off the async threads, one a core.
    pub cpu: Arc<Semaphore>,
    /// One permit: a commit holds a row group in memory, so parts commit one after the other.
    pub commits: Arc<Semaphore>,
    /// Forgotten data, excluded from all output.
    pub tombstones: Arc<Tombstones>,
    /// Cancelled by Ctrl-C: finish what is in flight, keep it, start nothing new.
    pub stop: CancellationToken,
    /// The progress line of the stage that runs.
    pub progress: Progress,
}

impl Context {
    /// Runs CPU work on a blocking thread, at most one a core at a time. What waits for it holds
    /// back further requests.
    pub async fn on_cpu<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let _waiting = self.client.backlog().enter();
        let permit = Arc::clone(&self.cpu).acquire_owned().await;
        let permit = permit.expect("the CPU semaphore is never closed");
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        match done.await {
            Ok(value) => value,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Runs pieces of work side by side and gives what they gave, in order. When one fails, the
    /// others finish what they have in flight, so that it is kept; the first error is returned.
    pub async fn all<T>(
        &self,
        work: impl IntoIterator<Item = impl Future<Output = Result<T, StageError>>>,
        at_once: usize,
    ) -> Result<Vec<T>, StageError> {
        let mut done = stream::iter(work).buffered(at_once.max(1));
        let mut values = Vec::new();
        let mut failure: Option<StageError> = None;
        while let Some(result) = done.next().await {
            match result {
                Ok(value) => values.push(value),
                Err(error) => {
                    self.stop.cancel();
                    // Interrupted is what the others say once one has failed.
                    if failure.as_ref().is_none_or(StageError::is_interrupted) {
                        failure = Some(error);
                    }
                }
            }
        }
        failure.map_or(Ok(values), Err)
    }

    /// Maps parts by index on as many threads as are configured, so that all cores share what parts take;
    /// otherwise as [`Self::all`].
    pub fn spread<T: Send>(
        &self,
        parts: usize,
        work: impl AsyncFn(usize) -> Result<T, StageError> + Sync,
    ) -> Result<Vec<T>, StageError> {
        let (runtime, next) = (Handle::current(), AtomicUsize::new(0));
        // A failure stops the others at their next part.
        let take = || Some(next.fetch_add(1, Relaxed)).filter(|at| *at < parts);
        let worker = || {
            let mut done = Vec::new();
            while let Some(at) = take() {
                let outcome = runtime.block_on(work(at)).inspect_err(|_| self.stop.cancel());
                done.push((at, outcome));
            }
            done
        };
        let done = tokio::task::block_in_place(|| {
            std::thread::scope(|scope| {
                let threads = self.threads().min(parts);
                let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
                workers.into_iter().flat_map(|worker| joined(worker.join())).collect()
            })
        });
        in_order(done)
    }

    /// Opens a session for a global plan, with one in `share` of the memory that there is for plans.
    pub fn session(&self, share: usize) -> Result<Session, StoreError> {
        let memory = self.config.store.plan_memory_bytes / share;
        Ok(Session::new(self.run.store(), memory)?.on(self.engine.clone()))
    }

    /// The run directory's folder, for what is exchanged by files: refused where it is in an object store,
    /// and where several processes would write the same files.
    pub fn folder(&self, key: &str) -> Result<&std::path::Path, StageError> {
        let refuse = |problem| StageError::Local { key: key.to_owned(), problem };
        let store = self.run.store();
        let folder = store.folder().ok_or_else(|| {
            refuse(format!("{} is no local folder; use a local run directory", store.location()))
        })?;
        match self.slice.is_whole() {
            true => Ok(folder),
            false => Err(refuse("run this stage without --slice".to_owned())),
        }
    }

    /// Returns the tombstones in the form that fingerprints hold.
    pub fn forgotten(&self) -> String {
        if self.tombstones.is_empty() {
            return "nothing".to_owned();
        }
        let text = serde_json::to_string(&*self.tombstones).expect("tombstones are plain data");
        content_id(&[&text])
    }

    /// Parts of a map stage that are worked on at the same time.
    pub fn threads(&self) -> usize {
        self.config.run.threads()
    }

    /// Longest that an outcome may wait before it is written, which is the work that a kill can lose.
    pub fn segment_age(&self) -> Duration {
        Duration::from_secs(self.config.store.segment_seconds)
    }

    /// Fails once Ctrl-C was pressed.
    pub fn go_on(&self) -> Result<(), StageError> {
        if self.stop.is_cancelled() { Err(StageError::Interrupted) } else { Ok(()) }
    }
}

fn joined<T>(outcome: std::thread::Result<T>) -> T {
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Returns all values by index, or the first error. An interruption yields to any other error, because one
/// failure interrupts the other tasks.
fn in_order<T>(mut done: Vec<(usize, Result<T, StageError>)>) -> Result<Vec<T>, StageError> {
    done.sort_by_key(|(at, _)| *at);
    let (mut values, mut failure) = (Vec::with_capacity(done.len()), None);
    for (_, outcome) in done {
        match outcome {
            Ok(value) => values.push(value),
            Err(error) if failure.as_ref().is_none_or(StageError::is_interrupted) => {
                failure = Some(error);
            }
            Err(_) => {}
        }
    }
    failure.map_or(Ok(values), Err)
}

/// Error that ends a stage early.
#[derive(Debug, Error)]
pub enum StageError {
    /// The run directory could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Ctrl-C. What was done is kept.
    #[error("interrupted; run again with the same --out to resume")]
    Interrupted,
    /// The table was begun with another configuration.
    #[error("{}", differs(.table, .stage, .mismatch))]
    Mismatch {
        /// Table that was begun.
        table: &'static str,
        /// Stage that makes it.
        stage: &'static str,
        /// The key and both values.
        mismatch: Mismatch,
    },
    /// An archive or table that cannot be read now.
    #[error("reading {name}: {problem}; run again with the same --out to resume")]
    Input {
        /// Path or URL.
        name: String,
        /// Problem with the input.
        problem: String,
    },
    /// A global plan failed.
    #[error("planning over {table}: {problem}")]
    Plan {
        /// Table that was to be made.
        table: &'static str,
        /// Message of DataFusion.
        problem: String,
    },
    /// A model can be asked nothing more.
    #[error(transparent)]
    Model(#[from] crate::endpoint::ModelError),
    /// Requests wait in files to be answered elsewhere.
    #[error("{0}")]
    Waiting(String),
    /// A prompt or schema cannot be used.
    #[error("{key}: {problem}")]
    Prompt {
        /// Dotted key.
        key: String,
        /// Problem with the prompt or schema.
        problem: String,
    },
    /// Batch files are configured where they cannot be exchanged.
    #[error("{key} exchanges files with the process that answers them: {problem}")]
    Local {
        /// Dotted key, with its value.
        key: String,
        /// Reason why files cannot be exchanged.
        problem: String,
    },
    /// A table that is read is not whole.
    #[error(
        "{stage} needs what {before} makes, and some of that is missing{missing}; run {before} first"
    )]
    NoInput {
        /// The stage that reads the table.
        stage: &'static str,
        /// The stage that makes the table.
        before: &'static str,
        /// Missing parts and their slices, if the run has slices.
        missing: String,
    },
    /// Parts that other slices have yet to make, and none of them is at work.
    #[error(
        "{table} is not whole: slice {slices} has parts to make and is not at work; run it, then this \
         again with the same --out"
    )]
    Slices {
        /// Table that is waited for.
        table: &'static str,
        /// The slices that still have to make parts.
        slices: String,
    },
    /// Something that only other builds can do.
    #[error("{key} needs a build with `--features {feature}`")]
    Feature {
        /// Key or command that was given.
        key: &'static str,
        /// Cargo feature that is required.
        feature: &'static str,
    },
    /// Less memory is allowed than the work takes.
    #[error(
        "{key} = {has}, and this takes {needed} bytes at least; set it to that, where there is as much"
    )]
    Memory {
        /// Dotted key.
        key: &'static str,
        /// Value of the key, in bytes.
        has: u64,
        /// Least value that suffices.
        needed: u64,
    },
    /// A file named in the configuration cannot be used.
    #[error("{key}: {}: {problem}", .path.display())]
    ConfigFile {
        /// Dotted key.
        key: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// Problem with the file.
        problem: String,
    },
}

fn differs(table: &str, stage: &str, mismatch: &Mismatch) -> String {
    let Mismatch { key, committed, wanted } = mismatch;
    if mismatch.is_of_later_version() {
        return format!(
            "{table} was made by a later version (table format {committed}, and this one knows formats up to \
             {wanted}); use that version, another --out, or --redo {stage} to rebuild it"
        );
    }
    format!(
        "{table} was begun with {key} = {committed}, and now it is {wanted}; use the old value, another \
         --out, or --redo {stage} to rebuild it"
    )
}

impl StageError {
    /// Returns true if the stage was interrupted and did not fail by itself.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Interrupted)
    }
}

/// Opens a table for a stage, refusing to mix configurations. One that an older version began is as good.
pub async fn open_table<R: Row>(
    run: &RunDir,
    table: &'static str,
    stage: &'static str,
    fingerprint: &Fingerprint,
) -> Result<Table<R>, StageError> {
    match Table::open(run.store(), table, fingerprint).await? {
        Ok(opened) => {
            if let Some(format) = opened.older_format() {
                tracing::info!(
                    "{table} is in table format {format} and stays so: columns that it lacks are read as \
                     null; --redo {stage} --dry-run says what rebuilding it takes and costs"
                );
            }
            Ok(opened)
        }
        Err(mismatch) => Err(StageError::Mismatch { table, stage, mismatch }),
    }
}
