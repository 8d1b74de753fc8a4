//! Metrics of `--metrics`, read from the run directory and the running stage at each request.
//!
//! Counts of tables come from manifests, as the funnel's do, so both always say the same and neither starts
//! again with a process. Reading them takes longer the more parts there are, so it is done seldom enough to
//! take a twentieth of the time at most.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::RunError;
use super::run::RunStage;
use super::status::{STEPS, steps, used};
use crate::config::Config;
use crate::endpoint::Totals;
use crate::http::Client;
use crate::stages::context::Context;
use crate::store::{RunDir, StoreError};
use crate::telemetry::metrics::{self, Sample};
use crate::telemetry::{Progress, exporter, resources};

/// Tables are read again after so many times what the last reading took…
const SPARING: u32 = 20;
/// …and not more often than this.
const SELDOM: Duration = Duration::from_secs(1);

/// File of the last values of a run, for collectors that read files.
const LEFT: &str = "metrics.prom";

/// Sources of the metrics, shared by the run and the exporter.
#[derive(Clone)]
pub(super) struct Board(Arc<Inner>);

struct Inner {
    ctx: Context,
    running: Mutex<Option<(RunStage, Progress)>>,
    read: tokio::sync::Mutex<Option<Reading>>,
}

/// Samples of the tables at the last read.
struct Reading {
    samples: Vec<Sample>,
    at: Instant,
    took: Duration,
}

impl Board {
    /// Of a run that begins.
    pub fn new(ctx: &Context) -> Self {
        let (running, read) = (Mutex::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { ctx: ctx.clone(), running, read }))
    }

    /// Says which stage runs from now on; none after the last.
    pub fn show(&self, running: Option<(RunStage, Progress)>) {
        *self.0.running.lock().expect("no holder of this lock panics") = running;
    }

    /// Begins to answer at an address; gives the one that was bound.
    pub async fn serve(&self, at: SocketAddr) -> Result<SocketAddr, RunError> {
        let failed = |error: std::io::Error| RunError::Metrics(at.to_string(), error.to_string());
        let listener = TcpListener::bind(at).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let board = self.clone();
        let scrape = move || {
            let board = board.clone();
            async move { board.text(SELDOM).await }
        };
        tokio::spawn(exporter::serve(listener, scrape));
        tracing::info!("metrics at http://{bound}/metrics");
        Ok(bound)
    }

    /// Leaves the last values in the run directory.
    pub async fn leave(&self) -> Result<(), StoreError> {
        let text = self.text(Duration::ZERO).await;
        self.0.ctx.run.store().replace(LEFT, text.into_bytes()).await
    }

    async fn text(&self, seldom: Duration) -> String {
        // Tables first: they may take a while, and what runs is to be as it is now.
        let mut samples = self.tables(seldom).await;
        samples.extend(self.process());
        metrics::exposition(samples)
    }

    /// Returns the samples of this process.
    fn process(&self) -> Vec<Sample> {
        let Context { client, .. } = &self.0.ctx;
        let traffic = client.traffic();
        let mut samples = vec![
            metrics::BUILD.with([("version", env!("CARGO_PKG_VERSION"))], 1.0),
            metrics::HTTP_IN_FLIGHT.with([], traffic.in_flight() as f64),
            metrics::HTTP_RECEIVED.with([], traffic.received_bytes() as f64),
        ];
        for (status, n) in traffic.requests() {
            samples.push(metrics::HTTP_REQUESTS.with([("status", status)], n as f64));
        }
        if let Some(resources) = resources() {
            samples.push(metrics::PROCESS_CPU.with([], resources.cpu_s));
            samples.push(metrics::PROCESS_MEMORY.with([], resources.resident_bytes as f64));
        }
        samples.extend(self.stages());
        samples.extend(queues(&self.0.ctx, client));
        samples
    }

    fn stages(&self) -> Vec<Sample> {
        let running = self.0.running.lock().expect("no holder of this lock panics").clone();
        let config = &self.0.ctx.config;
        let mut samples = Vec::new();
        for stage in RunStage::ALL.into_iter().filter(|stage| stage.is_wanted(config)) {
            let is_running = running.as_ref().is_some_and(|(now, _)| *now == stage);
            let label = [("stage", stage.name())];
            samples.push(metrics::STAGE_RUNNING.with(label, f64::from(u8::from(is_running))));
        }
        if let Some((stage, progress)) = running {
            let (label, (known, done)) = ([("stage", stage.name())], progress.reading());
            samples.push(metrics::STAGE_KNOWN.with(label, known as f64));
            samples.push(metrics::STAGE_DONE.with(label, done as f64));
        }
        samples
    }

    /// Returns the samples of the tables, which may be from a recent read.
    async fn tables(&self, seldom: Duration) -> Vec<Sample> {
        let mut read = self.0.read.lock().await;
        let is_fresh = |last: &Reading| {
            last.at.elapsed() < seldom.max(last.took * SPARING) && !seldom.is_zero()
        };
        if let Some(last) = read.as_ref().filter(|last| is_fresh(last)) {
            return last.samples.clone();
        }
        let begun = Instant::now();
        match of_tables(&self.0.ctx.run, &self.0.ctx.config).await {
            Ok(samples) => {
                let at = Instant::now();
                *read = Some(Reading { samples: samples.clone(), at, took: at - begun });
                samples
            }
            Err(error) => {
                tracing::warn!(%error, "metrics of tables could not be read");
                read.as_ref().map(|last| last.samples.clone()).unwrap_or_default()
            }
        }
    }
}

fn queues(ctx: &Context, client: &Client) -> Vec<Sample> {
    let (threads, hosts) = (ctx.config.run.threads(), ctx.config.http.hosts_in_flight);
    let backlog = client.backlog();
    let in_use = |all: usize, free: usize| all.saturating_sub(free);
    [
        ("bodies", backlog.waiting(), backlog.limit()),
        ("hosts", in_use(hosts, ctx.hosts.available_permits()), hosts),
        ("cores", in_use(threads, ctx.cpu.available_permits()), threads),
    ]
    .into_iter()
    .flat_map(|(queue, depth, capacity)| {
        [
            metrics::QUEUE_DEPTH.with([("queue", queue)], depth as f64),
            metrics::QUEUE_CAPACITY.with([("queue", queue)], capacity as f64),
        ]
    })
    .collect()
}

/// The funnel, the sizes of tables, and what models took.
async fn of_tables(run: &RunDir, config: &Config) -> Result<Vec<Sample>, StoreError> {
    let mut samples = Vec::new();
    for step in steps(run, config).await? {
        let table = step.name.as_str();
        let stage = STEPS.iter().find(|known| known.table == table).map_or("", |s| s.stage.name());
        let sum = |reasons: &BTreeMap<_, u64>| reasons.values().sum::<u64>();
        for (outcome, n) in [
            ("in", step.input),
            ("out", step.output),
            ("rejected", sum(&step.rejected)),
            ("failed", sum(&step.failed)),
        ] {
            let labels = [("stage", stage), ("table", table), ("outcome", outcome)];
            samples.push(metrics::RECORDS.with(labels, n as f64));
        }
        for (reason, n) in step.rejected.iter().chain(&step.failed) {
            let labels = [("stage", stage), ("table", table), ("reason", reason.as_str())];
            samples.push(metrics::REJECTS.with(labels, *n as f64));
        }
        samples.push(metrics::PENDING.with([("table", table)], step.pending as f64));
        samples.push(metrics::TABLE_BYTES.with([("table", table)], step.bytes as f64));
    }
    for (step, Totals { calls, input, output, cost }) in used(run).await? {
        samples.push(metrics::MODEL_CALLS.with([("step", step)], calls as f64));
        for (direction, n) in [("in", input), ("out", output)] {
            let labels = [("step", step), ("direction", direction)];
            samples.push(metrics::MODEL_TOKENS.with(labels, n as f64));
        }
        samples.push(metrics::MODEL_COST.with([("step", step)], cost));
    }
    Ok(samples)
}
