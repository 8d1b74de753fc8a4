//! Global steps: SQL over committed parts, in bounded memory, spilling to disk.
//!
//! DataFusion's hash joins do not spill, so joins are by sorting.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
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

/// A function that plans call by its name: the same here and on executors, which are of one version.
pub type Function = Arc<ScalarUDF>;

/// Check of the rows of executors, batch by batch, beside that of their order and number.
pub(super) type Check<'a> = &'a (dyn Fn(&RecordBatch) -> Result<(), String> + Sync);

/// A query whose rows come in order, and can be held against a count.
pub struct Plan<'a> {
    /// The query without an order.
    pub select: String,
    /// Columns that it is ordered by; no two rows agree in all of them.
    pub key: &'a [&'a str],
    /// A query for one number, `rows`: how many there are, by a shorter way than itself where there is one.
    pub count: Option<String>,
}

impl Plan<'_> {
    pub(super) fn sql(&self) -> String {
        format!("{} ORDER BY {}", self.select, self.key.join(", "))
    }
}

/// One output of committed parts, as plans see it.
pub(super) struct SqlTable {
    name: String,
    files: Vec<String>,
    /// All columns of any file, and what a later version has beside them.
    schema: SchemaRef,
}

/// Tables by name and SQL over them.
pub struct Sql {
    pub(super) session: SessionContext,
    place: Path,
    pub(super) tables: Vec<SqlTable>,
    engine: Option<Engine>,
}

impl Sql {
    /// A session that may hold `memory` bytes before it spills.
    pub fn new(store: &Store, memory: usize) -> Result<Self, StoreError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let config = settings(SessionConfig::new(), memory, cores);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(memory)))
            .build_arc()
            .map_err(|error| StoreError::corrupt("plan", error))?;
        let (objects, place) = store.bucket().clone();
        runtime.register_object_store(&base(), objects);
        let session = SessionContext::new_with_config_rt(config, runtime);
        Ok(Self { session, place, tables: Vec::new(), engine: None })
    }

    /// The same with plans on executors, where there are some.
    pub fn on(self, engine: Option<Engine>) -> Self {
        Self { engine, ..self }
    }

    /// Makes one output of committed parts a table with at least the columns of `R`: what parts of older
    /// versions lack is null in them.
    pub async fn register<R: Row>(
        &mut self,
        name: &str,
        manifests: &[Manifest],
        output: &str,
    ) -> Result<(), StoreError> {
        let files = manifests.iter().filter_map(|manifest| manifest.files.get(output));
        let files: Vec<String> = files.map(|file| self.url(&file.path)).collect();
        let failed = |error| StoreError::corrupt(name, error);
        // DataFusion's futures are large, and planning needs the stack that they would lie on.
        let found = Box::pin(found_in(&self.session, files.clone())).await.map_err(failed)?;
        let schema = older::complete(&found, &R::fields())
            .map_err(|problem| StoreError::corrupt(name, problem))?;
        let table = SqlTable { name: name.to_owned(), files, schema };
        Box::pin(register(&self.session, &table)).await.map_err(failed)?;
        self.tables.push(table);
        Ok(())
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
        let Some(engine) = &self.engine else { return self.query(&plan.sql()).await };
        let check = |batch: &RecordBatch| {
            let rows: Vec<R> = serde_arrow::from_record_batch(batch)
                .map_err(|error: serde_arrow::Error| error.to_string())?;
            rows.iter().try_for_each(check)
        };
        Ok(RowStream::new("plan", engine.rows(self, plan, &check).await?))
    }

    /// Runs a query in this process; its rows stream out.
    pub async fn query<R: Row>(&self, sql: &str) -> Result<RowStream<R>, StoreError> {
        let failed = |error| StoreError::corrupt("plan", error);
        Ok(RowStream::new("plan", stream(&self.session, sql).await.map_err(failed)?))
    }

    /// Counts in this process the rows that a plan must have.
    pub async fn count(&self, plan: &Plan<'_>) -> Result<u64, StoreError> {
        if let Some(sql) = &plan.count {
            let counts = self.query::<Count>(sql).await?.collect().await?;
            return Ok(counts.iter().map(|count| count.rows.unsigned_abs()).sum());
        }
        let failed = |problem: String| StoreError::corrupt("plan", problem);
        let batches = stream(&self.session, &plan.select).await;
        let mut batches = batches.map_err(|error| failed(error.to_string()))?;
        let mut rows = 0;
        while let Some(batch) = batches.next().await {
            rows += batch.map_err(failed)?.num_rows() as u64;
        }
        Ok(rows)
    }
}

#[derive(Serialize, Deserialize)]
struct Count {
    rows: i64,
}

impl Row for Count {
    fn fields() -> Vec<FieldRef> {
        vec![Arc::new(Field::new("rows", DataType::Int64, false))]
    }

    fn weight(&self) -> usize {
        8
    }
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

/// The columns that any of the files has.
async fn found_in(session: &SessionContext, files: Vec<String>) -> Result<Schema, DataFusionError> {
    let frame = session.read_parquet(files, ParquetReadOptions::default()).await?;
    Ok(frame.schema().as_arrow().clone())
}

pub(super) async fn register(
    session: &SessionContext,
    table: &SqlTable,
) -> Result<(), DataFusionError> {
    let options = ParquetReadOptions::default().schema(&table.schema);
    let frame = session.read_parquet(table.files.clone(), options).await?;
    session.register_table(&*table.name, frame.into_view())?;
    Ok(())
}

pub(super) async fn stream(
    session: &SessionContext,
    sql: &str,
) -> Result<Batches, DataFusionError> {
    let batches = session.sql(sql).await?.execute_stream().await?;
    Ok(batches.map(|batch| batch.map_err(|error| error.to_string())).boxed())
}

/// Returns the base URL of the run directory's files in plans, wherever the directory is.
pub(super) fn base() -> Url {
    Url::parse("run://dir/").expect("a constant URL")
}
