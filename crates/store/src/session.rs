//! Global steps: plans over committed parts, in bounded memory, spilling to disk.
//!
//! Plans are [`DataFrame`]s. DataFusion's hash joins do not spill, so joins are by sorting.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::expr::Sort;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionConfig, SessionContext, col};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use url::Url;

use super::engine::Engine;
use super::rows::{Row, RowStream};
use super::{Manifest, Store, StoreError, older};

/// Memory that one thread of a plan wants: more threads would only cut it into smaller pieces.
const THREAD_BYTES: usize = 64 << 20;

/// More threads than this never pay for plans over narrow columns.
const MAX_THREADS: usize = 8;

/// Sorts merge one batch a spilled run, so small batches are what lets a small memory do: rows of a
/// triplet are some 3 KB.
const BATCH_ROWS: usize = 256;

/// Stream of batches, or the message of an error.
pub(super) type Batches = BoxStream<'static, Result<RecordBatch, String>>;

/// Function of plans, the same here and on executors, which are of one version.
pub type Function = Arc<ScalarUDF>;

/// Check of the rows of executors, batch by batch, beside that of their order and number.
pub(super) type Check<'a> = &'a (dyn Fn(&RecordBatch) -> Result<(), String> + Sync);

/// Query whose rows come in order and whose row count can be verified.
pub struct Plan<'a> {
    /// The rows, in no order.
    pub rows: DataFrame,
    /// Columns to sort by, ascending; no two rows agree in all of them.
    pub key: &'a [&'a str],
    /// Source of the row count.
    pub count: RowCount,
}

/// Source of a plan's row count.
pub enum RowCount {
    /// The plan itself, whose rows are counted.
    Itself,
    /// Another query with as many rows that is cheaper to run.
    Of(DataFrame),
    /// The count is known.
    Is(u64),
}

impl Plan<'_> {
    /// Returns the rows in order.
    fn sorted(&self) -> Result<DataFrame, DataFusionError> {
        self.rows.clone().sort(self.key.iter().map(|name| ascending(name)).collect())
    }

    /// Counts the rows in this process.
    pub async fn count_rows(&self) -> Result<u64, StoreError> {
        let query = match &self.count {
            RowCount::Is(rows) => return Ok(*rows),
            RowCount::Of(other) => other,
            RowCount::Itself => &self.rows,
        };
        Ok(Box::pin(query.clone().count()).await? as u64)
    }
}

/// Returns a sort by a column, smallest values first and nulls last.
pub fn ascending(column: &str) -> Sort {
    col(column).sort(true, false)
}

/// Context of plans over the tables of one run directory.
pub struct Session {
    context: SessionContext,
    place: Path,
    engine: Option<Engine>,
}

impl Session {
    /// Creates a session that may hold `memory` bytes before it spills.
    pub fn new(store: &Store, memory: usize) -> Result<Self, StoreError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let config = settings(SessionConfig::new(), memory, cores);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(memory)))
            .build_arc()
            .map_err(|error| StoreError::corrupt("plan", error))?;
        let (objects, place) = store.bucket().clone();
        runtime.register_object_store(&base(), objects);
        // Plans hold their functions and file formats as values. None are registered by name, so that the
        // linker drops all others.
        let state = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime);
        let context = SessionContext::new_with_state(state.build());
        Ok(Self { context, place, engine: None })
    }

    /// The same with plans on executors, where there are some.
    pub fn on(self, engine: Option<Engine>) -> Self {
        Self { engine, ..self }
    }

    /// Returns one output of committed parts, of which there is at least one, as a table of that name. It has at
    /// least the columns of `R`: what parts of older versions lack is null in them.
    pub async fn table<R: Row>(
        &self,
        name: &str,
        manifests: &[Manifest],
        output: &str,
    ) -> Result<DataFrame, StoreError> {
        let files = manifests.iter().filter_map(|manifest| manifest.files.get(output));
        let files: Vec<String> = files.map(|file| self.url(&file.path)).collect();
        let failed = |error| StoreError::corrupt(name, error);
        let read = |options| self.context.read_parquet(files.clone(), options);
        // DataFusion's futures are large, and planning needs the stack that they would lie on.
        let found = Box::pin(read(ParquetReadOptions::default())).await.map_err(failed)?;
        let schema = older::complete(found.schema().as_arrow(), &R::fields())
            .map_err(|problem| StoreError::corrupt(name, problem))?;
        let options = ParquetReadOptions::default().schema(&schema);
        let table = Box::pin(read(options)).await.map_err(failed)?;
        table.alias(name).map_err(failed)
    }

    fn url(&self, path: &str) -> String {
        let mut url = base();
        let mut segments = url.path_segments_mut().expect("the base has a path");
        segments.pop_if_empty().extend(self.place.parts().map(|part| part.as_ref().to_owned()));
        segments.extend(path.split('/'));
        drop(segments);
        url.into()
    }

    /// Works on a plan, in this process or on executors; its rows stream out in the order of its key.
    pub async fn plan<R: Row>(&self, plan: &Plan<'_>) -> Result<RowStream<R>, StoreError> {
        self.checked(plan, &|_: &R| Ok(())).await
    }

    /// The same; where executors give a row that does not pass, they are made to try again.
    pub async fn checked<R: Row>(
        &self,
        plan: &Plan<'_>,
        check: &(impl Fn(&R) -> Result<(), String> + Sync),
    ) -> Result<RowStream<R>, StoreError> {
        let sorted = plan.sorted()?;
        let Some(engine) = &self.engine else { return stream_rows(sorted).await };
        let check = |batch: &RecordBatch| {
            let rows: Vec<R> = serde_arrow::from_record_batch(batch)
                .map_err(|error: serde_arrow::Error| error.to_string())?;
            rows.iter().try_for_each(check)
        };
        let runtime = self.context.runtime_env();
        Ok(RowStream::new("plan", engine.rows(runtime, &sorted, plan, &check).await?))
    }
}

/// Runs a query in this process; its rows stream out.
pub async fn stream_rows<R: Row>(query: DataFrame) -> Result<RowStream<R>, StoreError> {
    Ok(RowStream::new("plan", stream(query).await?))
}

/// Returns the settings of plans, the same in this process and on executors.
pub(super) fn settings(config: SessionConfig, memory: usize, threads: usize) -> SessionConfig {
    let threads = threads.min(memory / THREAD_BYTES).clamp(1, MAX_THREADS);
    let mut config = config
        .with_target_partitions(threads)
        .with_batch_size(BATCH_ROWS)
        .with_sort_spill_reservation_bytes(memory / 256);
    let options = config.options_mut();
    options.optimizer.prefer_hash_join = false;
    options.execution.parquet.schema_force_view_types = false;
    // Keys are nearly unique here, and what a partial aggregate holds it cannot spill.
    options.execution.skip_partial_aggregation_probe_rows_threshold = 1024;
    options.execution.skip_partial_aggregation_probe_ratio_threshold = 0.2;
    config
}

/// Runs a query in the session that it belongs to.
pub(super) async fn stream(query: DataFrame) -> Result<Batches, DataFusionError> {
    let batches = Box::pin(query.execute_stream()).await?;
    Ok(batches.map(|batch| batch.map_err(|error| error.to_string())).boxed())
}

/// Returns the base URL of the run directory's files in plans, wherever the directory is.
pub(super) fn base() -> Url {
    Url::parse("run://dir/").expect("a constant URL")
}
