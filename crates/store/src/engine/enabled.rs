//! The coordinator's side: a session over the executors that answer, created for each attempt.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::{DataFrame, SessionConfig};
use datafusion_distributed::{
    DistributedExt, GetWorkerInfoRequest, SessionStateBuilderExt, WorkerResolver,
};
use magiclens_common::config::{self, Config};
use magiclens_common::telemetry::within;
use url::Url;

use super::NotBuilt;
use super::channels::{Channels, Pass};
use super::guard::{Failure, Limits, guarded};
use crate::StoreError;
use crate::session::{Batches, Check, Plan, settings, stream};

/// An executor that has not said its name by then counts as lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// The same of one that was lost so before, where others answer: plans are many, and it may hang through
/// all of them.
const PATIENCE_WITH_LOST: Duration = Duration::from_secs(1);

/// Bytes that make a scan worth a task of its own: executors are there to be used.
const SCAN_BYTES: usize = 1;

/// Bytes that wait at the end of a connection: what is there is not taken from the cap, and with n executors
/// each has n connections a stage.
const CONNECTION_BYTES: usize = 4 << 20;

/// Executors by address, and how they are held to account.
#[derive(Clone, Debug)]
pub struct Engine {
    executors: Arc<[Url]>,
    channels: Channels,
    limits: Limits,
    threads: usize,
    /// Executors that did not answer the last request.
    lost: Arc<Mutex<HashSet<Url>>>,
}

impl Engine {
    /// Opens the configured engine, if there is one, without a request.
    pub fn open(config: &Config) -> Result<Option<Self>, NotBuilt> {
        let config::Engine::Executors(executors) = &config.store.engine else { return Ok(None) };
        let limits = Limits {
            deadline: Duration::from_secs(config.store.engine_deadline_s),
            tries: config.store.engine_tries,
        };
        let (executors, channels) = (executors.clone().into(), Channels::new(Pass::of_this()));
        let threads = config.run.threads();
        let lost = Arc::default();
        Ok(Some(Self { executors, channels, limits, threads, lost }))
    }

    /// A plan's rows, once all of them are there and have passed the guard.
    pub(crate) async fn rows(
        &self,
        runtime: Arc<RuntimeEnv>,
        sorted: &DataFrame,
        plan: &Plan<'_>,
        check: Check<'_>,
    ) -> Result<Batches, StoreError> {
        let attempt = async || self.attempt(Arc::clone(&runtime), sorted).await;
        let count = async || plan.count_rows().await;
        let spill = guarded(self.limits, plan.key, attempt, check, count).await?;
        tracing::info!(rows = spill.rows(), "executors worked on a plan");
        spill.into_batches().map_err(|problem| StoreError::Engine { problem })
    }

    async fn attempt(
        &self,
        runtime: Arc<RuntimeEnv>,
        sorted: &DataFrame,
    ) -> Result<Batches, Failure> {
        let lost = |error: DataFusionError| Failure::Try(error.to_string());
        let memory = match runtime.memory_pool.memory_limit() {
            MemoryLimit::Finite(bytes) => bytes,
            _ => usize::MAX,
        };
        let config = settings(SessionConfig::new(), memory, self.threads);
        let state = SessionStateBuilder::new()
            .with_default_features()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_distributed_planner()
            .with_distributed_worker_resolver(Answering(self.answering().await?))
            .with_distributed_channel_resolver(self.channels.clone())
            .with_distributed_file_scan_config_bytes_per_partition(SCAN_BYTES)
            .and_then(|state| state.with_distributed_metrics_collection(false))
            .and_then(|state| {
                state.with_distributed_worker_connection_buffer_budget_bytes(CONNECTION_BYTES)
            })
            .map_err(lost)?;
        let query = DataFrame::new(state.build(), sorted.logical_plan().clone());
        stream(query).await.map_err(lost)
    }

    /// Returns the executors that answer now. A lost executor is not restarted from here.
    async fn answering(&self) -> Result<Vec<Url>, Failure> {
        let was_any_lost = !self.lost().is_empty();
        let mut answering = self.those_that_answer().await?;
        if answering.is_empty() && was_any_lost {
            // No other executor is left, so the lost ones get the full time to answer.
            self.lost().clear();
            answering = self.those_that_answer().await?;
        }
        match answering.is_empty() {
            true => Err(Failure::Try("no executor answers (--engine local needs none)".to_owned())),
            false => Ok(answering),
        }
    }

    async fn those_that_answer(&self) -> Result<Vec<Url>, Failure> {
        let asked = self.executors.iter().map(|url| async move { (url, self.ask(url).await) });
        let mut answering = Vec::new();
        for (url, answer) in futures::future::join_all(asked).await {
            match answer {
                Ok(()) => answering.push(url.clone()),
                Err(Failure::Try(problem)) => {
                    tracing::warn!(executor = %url, problem, "an executor does not answer");
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(answering)
    }

    fn lost(&self) -> MutexGuard<'_, HashSet<Url>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, url: &Url) -> Result<(), Failure> {
        let mut channel = self.channels.to(url).map_err(Failure::Plan)?;
        let asked = channel.get_worker_info(GetWorkerInfoRequest {});
        let was_lost = self.lost().contains(url);
        let patience = if was_lost { PATIENCE_WITH_LOST } else { PATIENCE };
        let Ok(answer) = within(patience, asked).await else {
            self.lost().insert(url.clone());
            return Err(Failure::Try("no answer".to_owned()));
        };
        self.lost().remove(url);
        match answer {
            Ok(_) => Ok(()),
            Err(error) => Err(match Pass::refusal(&error) {
                Some(problem) => Failure::Plan(format!("executor {url} refuses: {problem}")),
                None => Failure::Try(error.to_string()),
            }),
        }
    }
}

struct Answering(Vec<Url>);

impl WorkerResolver for Answering {
    fn get_urls(&self) -> Result<Vec<Url>, DataFusionError> {
        Ok(self.0.clone())
    }
}
