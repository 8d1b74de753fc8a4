//! Global steps: SQL over committed parts, in bounded memory, spilling to disk.
//!
//! DataFusion's hash joins do not spill, so joins are by sorting.

use std::sync::Arc;

use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use futures::StreamExt;
use object_store::path::Path;
use url::Url;

use super::rows::{Row, RowStream};
use super::{Manifest, Store, StoreError};

/// Memory that one thread of a plan wants: more threads would only cut it into smaller pieces.
const THREAD_BYTES: usize = 64 << 20;

/// More threads than this never pay for plans over narrow columns.
const MAX_THREADS: usize = 8;

/// Sorts merge one batch a spilled run, so small batches are what lets a small memory do: rows of a
/// triplet are some 3 KB.
const BATCH_ROWS: usize = 256;

/// Tables by name and SQL over them.
pub struct Sql {
    session: SessionContext,
    place: Path,
}

impl Sql {
    /// A session that may hold `memory` bytes before it spills.
    pub fn new(store: &Store, memory: usize) -> Result<Self, StoreError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.min(memory / THREAD_BYTES).clamp(1, MAX_THREADS);
        let mut config = SessionConfig::new()
            .with_target_partitions(threads)
            .with_batch_size(BATCH_ROWS)
            .with_sort_spill_reservation_bytes(memory / 256);
        let options = config.options_mut();
        options.optimizer.prefer_hash_join = false;
        options.execution.parquet.schema_force_view_types = false;
        // Keys are nearly unique here, and what a partial aggregate holds it cannot spill.
        options.execution.skip_partial_aggregation_probe_rows_threshold = 1024;
        options.execution.skip_partial_aggregation_probe_ratio_threshold = 0.2;
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(memory)))
            .build_arc()
            .map_err(|error| StoreError::corrupt("plan", error))?;
        let (objects, place) = store.bucket().clone();
        runtime.register_object_store(&base(), objects);
        Ok(Self { session: SessionContext::new_with_config_rt(config, runtime), place })
    }

    /// Makes one output of committed parts a table.
    pub async fn register(
        &self,
        name: &str,
        manifests: &[Manifest],
        output: &str,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::corrupt(name, error);
        let files = manifests.iter().filter_map(|manifest| manifest.files.get(output));
        let paths: Vec<String> = files.map(|file| self.url(&file.path)).collect();
        let options = ParquetReadOptions::default();
        let frame = self.session.read_parquet(paths, options).await.map_err(failed)?;
        self.session.register_table(name, frame.into_view()).map_err(failed)?;
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

    /// Runs a query; its rows stream out.
    pub async fn query<R: Row>(&self, sql: &str) -> Result<RowStream<R>, StoreError> {
        let failed = |error| StoreError::corrupt("plan", error);
        let frame = self.session.sql(sql).await.map_err(failed)?;
        let batches = frame.execute_stream().await.map_err(failed)?;
        let batches = batches.map(|batch| batch.map_err(|error| error.to_string()));
        Ok(RowStream::new("plan", batches.boxed()))
    }
}

fn base() -> Url {
    Url::parse("run://dir/").expect("a constant URL")
}
