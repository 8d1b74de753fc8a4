//! A run: from options to committed tables.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use indicatif::MultiProgress;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::metrics::Board;
use super::missing::need_input;
use super::redo::{Bill, explained, redo};
use super::session::Session;
use super::status::{STEPS, spending, steps};
use super::usage::Recorder;
use super::{RunError, decontaminate, inputs};
use crate::config::{Config, Layers};
use crate::endpoint::{Forecast, Spending};
use crate::http::Client;
use crate::record::Slice;
use crate::stages::collect::{self, Inputs};
use crate::stages::context::{Context, StageError};
use crate::stages::wording::wording;
use crate::stages::{describe, embed, export, fetch, group, instruct, pair};
use crate::store::{Engine, NotBuilt, Objects, RunDir, StoreError};
use crate::table::{
    ARCHIVED_IMAGES, DESCRIPTIONS, EMBEDDINGS, FETCH_LIST, GROUPS, IMAGE_CLUSTERS, IMAGE_USES,
    IMAGES, INSTRUCTIONS, OCCURRENCES, PAGES, PAIRS, TEST_POOL, TRIPLET_PLAN, TRIPLETS,
};
use crate::telemetry::{Progress, exporter, funnel, say};

/// Options of the command line.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--seed-urls`.
    pub seed_urls: Vec<String>,
    /// `--warc`.
    pub archives: Vec<String>,
    /// `--table`.
    pub tables: Vec<String>,
    /// `--out`.
    pub out: String,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--set` and the flags that stand for one.
    pub set: Vec<String>,
    /// `--stages`, as given.
    pub stages: Option<String>,
    /// `--redo`.
    pub redo: Option<RunStage>,
    /// `--slice`.
    pub slice: Slice,
    /// `--dry-run`.
    pub dry_run: bool,
    /// `--metrics`, as given.
    pub metrics: Option<String>,
    /// `--log json`.
    pub json: bool,
}

/// A stage by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum RunStage {
    /// Seeds, WARC files and tables → `pages`.
    Collect,
    /// `pages` → `images`.
    Fetch,
    /// `pages` and `images` → `groups`.
    Group,
    /// `groups` → `descriptions`.
    Describe,
    /// `descriptions` and `images` → `embeddings`, where `pair.similarity` wants them.
    Embed,
    /// `groups`, `descriptions` and `embeddings` → `pairs`.
    Pair,
    /// `pairs` and `descriptions` → `instructions`.
    Instruct,
    /// All of these → `triplets`.
    Export,
}

impl RunStage {
    pub(super) const ALL: [Self; 8] = [
        Self::Collect,
        Self::Fetch,
        Self::Group,
        Self::Describe,
        Self::Embed,
        Self::Pair,
        Self::Instruct,
        Self::Export,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Collect => collect::STAGE,
            Self::Fetch => fetch::STAGE,
            Self::Group => group::STAGE,
            Self::Describe => describe::STAGE,
            Self::Embed => embed::STAGE,
            Self::Pair => pair::STAGE,
            Self::Instruct => instruct::STAGE,
            Self::Export => export::STAGE,
        }
    }

    /// Returns true if the configuration includes this stage.
    pub(super) fn is_wanted(self, config: &Config) -> bool {
        self != Self::Embed || embed::is_wanted(config)
    }

    /// Counts the committed parts of its tables.
    async fn parts(self, dir: &RunDir) -> Result<usize, StoreError> {
        let mut parts = 0;
        for table in self.tables() {
            parts += dir.parts(table).await?.len();
        }
        Ok(parts)
    }

    /// The tables it makes, the last one first: the order in which they may be removed.
    pub(super) fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Collect => &[PAGES, ARCHIVED_IMAGES],
            Self::Fetch => &[IMAGES, FETCH_LIST, IMAGE_USES],
            Self::Group => &[GROUPS, OCCURRENCES, IMAGE_CLUSTERS],
            Self::Describe => &[DESCRIPTIONS],
            Self::Embed => &[EMBEDDINGS],
            Self::Pair => &[PAIRS],
            Self::Instruct => &[INSTRUCTIONS],
            Self::Export => &[TEST_POOL, TRIPLETS, TRIPLET_PLAN],
        }
    }

    /// The tables of other stages that it reads.
    pub(super) fn reads(self) -> &'static [&'static str] {
        match self {
            Self::Collect => &[],
            Self::Fetch => &[PAGES],
            Self::Group => &[PAGES, IMAGE_USES, IMAGES],
            Self::Describe => &[GROUPS, IMAGES],
            Self::Embed => &[GROUPS, DESCRIPTIONS, IMAGES],
            Self::Pair => &[GROUPS, DESCRIPTIONS],
            Self::Instruct => &[GROUPS, DESCRIPTIONS, PAIRS],
            Self::Export => &[IMAGES, GROUPS, DESCRIPTIONS, PAIRS, INSTRUCTIONS],
        }
    }

    /// Runs it over what the stages before it committed.
    async fn run(self, ctx: &Context, inputs: &Inputs) -> Result<(), StageError> {
        need_input(self, ctx).await?;
        let table = async |name| ctx.run.manifests(name).await;
        match self {
            Self::Collect => collect::run(ctx, inputs).await?,
            Self::Fetch => {
                let archived = table(ARCHIVED_IMAGES).await?;
                fetch::run(ctx, &table(PAGES).await?, &archived).await?
            }
            Self::Group => {
                let uses = table(IMAGE_USES).await?;
                group::run(ctx, &table(PAGES).await?, &uses, &table(IMAGES).await?).await?
            }
            Self::Describe => {
                describe::run(ctx, &table(GROUPS).await?, &table(IMAGES).await?).await?
            }
            Self::Embed => embed::run(ctx, &embed_inputs(&ctx.run).await?).await?,
            Self::Pair => {
                let inputs = pair::Inputs {
                    groups: table(GROUPS).await?,
                    descriptions: table(DESCRIPTIONS).await?,
                    embeddings: table(EMBEDDINGS).await?,
                };
                pair::run(ctx, &inputs).await?
            }
            Self::Instruct => instruct::run(ctx, &instruct_inputs(&ctx.run).await?).await?,
            Self::Export => {
                let inputs = export::Inputs {
                    images: table(IMAGES).await?,
                    groups: table(GROUPS).await?,
                    descriptions: table(DESCRIPTIONS).await?,
                    pairs: table(PAIRS).await?,
                    instructions: table(INSTRUCTIONS).await?,
                    embeddings: table(EMBEDDINGS).await?,
                    benchmarks: decontaminate::benchmarks(ctx).await?,
                };
                export::run(ctx, &inputs).await?
            }
        };
        Ok(())
    }
}

async fn embed_inputs(run: &RunDir) -> Result<embed::Inputs, StoreError> {
    Ok(embed::Inputs {
        groups: run.manifests(GROUPS).await?,
        descriptions: run.manifests(DESCRIPTIONS).await?,
        images: run.manifests(IMAGES).await?,
    })
}

async fn instruct_inputs(run: &RunDir) -> Result<instruct::Inputs, StoreError> {
    Ok(instruct::Inputs {
        groups: run.manifests(GROUPS).await?,
        descriptions: run.manifests(DESCRIPTIONS).await?,
        pairs: run.manifests(PAIRS).await?,
    })
}

/// Outcome of a run that reached its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Done,
    /// More failures than `run.failure_budget`: exit code 2.
    TooManyFailures,
}

/// Runs the stages; prints the funnel.
pub async fn run(
    options: &Options,
    bars: &MultiProgress,
    stop: CancellationToken,
) -> Result<Outcome, RunError> {
    let range = stage_range(options.stages.as_deref())?;
    let metrics = options.metrics.as_deref().map(metrics_address).transpose()?;
    let mut layers = Layers {
        found: Some("pipeline.toml".into()),
        run_dir: None,
        file: options.config.clone(),
        flags: options.set.clone(),
    };
    if options.dry_run {
        return dry_run(options, &layers, range.0, range.1).await;
    }
    if options.redo.is_some() && !options.slice.is_whole() {
        return Err(RunError::RedoOfSlice);
    }
    let dir = RunDir::open(&options.out)?;
    let kept = dir.kept().await?;
    layers.run_dir = kept.as_ref().map(|kept| kept.config.clone());
    let mut config = layers.load()?;
    config.embed.settle();
    config.decontaminate.settle();
    let objects = Objects::default();
    let inputs = inputs::find(options, kept.as_ref(), &config, &objects, range).await?;
    let session = Session::open(&dir, &config, options.slice, &stop).await?;
    let Some(session) = session else { return Err(StageError::Interrupted.into()) };
    let ctx = context(config, session.dir.clone(), options.slice, stop).await;
    let outcome = match ctx {
        Ok(ctx) => work(options, &ctx, &inputs, kept.is_none(), range, metrics, bars).await,
        Err(error) => Err(error),
    };
    session.end(outcome).await
}

async fn work(
    options: &Options,
    ctx: &Context,
    inputs: &Inputs,
    is_new: bool,
    range: (RunStage, RunStage),
    metrics: Option<SocketAddr>,
    bars: &MultiProgress,
) -> Result<Outcome, RunError> {
    // The check comes first, so that no table is removed that could not be rebuilt.
    check(ctx, range, options.redo).await?;
    if let Some(stage) = options.redo {
        match Bill::of(&ctx.run, &ctx.config, stage).await {
            Ok(bill) => tracing::info!("{bill}"),
            // A table is often rebuilt because it cannot be read.
            Err(error) => tracing::warn!(%error, "cannot estimate what --redo takes"),
        }
        redo(&ctx.run, stage).await?;
    }
    if !ctx.slice.is_whole() {
        ctx.run.keep_slices(ctx.slice.of).await?;
    }
    let in_force = toml::to_string(&*ctx.config).expect("a configuration is plain data");
    let kept_now = inputs::keep(in_force, inputs);
    // A configuration that a begun table refuses must not replace the one it was begun with.
    if is_new || options.redo.is_some() {
        ctx.run.keep(&kept_now).await?;
    }
    let board = Board::new(ctx);
    if let Some(at) = metrics {
        board.serve(at).await?;
    }
    let outcome = stages(ctx, inputs, range, &board, bars, options.json).await;
    if metrics.is_some() {
        board.leave().await?;
    }
    if let Err(error) = outcome {
        return Err(explained(&ctx.run, &ctx.config, error.into()).await);
    }
    ctx.run.keep(&kept_now).await?;
    report(ctx).await
}

fn metrics_address(given: &str) -> Result<SocketAddr, RunError> {
    let problem = "give a port, or an address with one, such as 127.0.0.1:9100".to_owned();
    exporter::address(given).ok_or_else(|| RunError::Metrics(given.to_owned(), problem))
}

fn stage_range(given: Option<&str>) -> Result<(RunStage, RunStage), RunError> {
    let Some(text) = given else { return Ok((RunStage::Collect, RunStage::Export)) };
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let find = |name: &str| RunStage::ALL.into_iter().find(|stage| stage.name() == name);
    match (find(first), find(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        _ => Err(RunError::Stages(text.to_owned())),
    }
}

pub(super) async fn context(
    config: Config,
    run: RunDir,
    slice: Slice,
    stop: CancellationToken,
) -> Result<Context, RunError> {
    let threads = config.run.threads();
    // A second call in one process finds the pool there; it then keeps its size.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    let spending = Spending::read(run.store()).await?;
    let engine = Engine::open(&config)
        .map_err(|NotBuilt| StageError::Feature { key: "store.engine", feature: "cluster" })?;
    Ok(Context {
        engine,
        slice,
        budget: Arc::new(spending.share(&config.budget, slice)),
        client: Arc::new(Client::new(&config)?),
        objects: Arc::default(),
        hosts: Arc::new(Semaphore::new(config.http.hosts_in_flight.min(Semaphore::MAX_PERMITS))),
        cpu: Arc::new(Semaphore::new(threads)),
        commits: Arc::new(Semaphore::new(1)),
        tombstones: Arc::new(run.tombstones().await?),
        config: Arc::new(config),
        run,
        stop,
        progress: Progress::hidden(),
    })
}

/// Checks the requirements of every stage now, so that a late stage does not fail after the crawl.
async fn check(
    ctx: &Context,
    (first, last): (RunStage, RunStage),
    redo: Option<RunStage>,
) -> Result<(), StageError> {
    let steps = [
        (RunStage::Describe, DESCRIPTIONS),
        (RunStage::Embed, EMBEDDINGS),
        (RunStage::Instruct, INSTRUCTIONS),
    ];
    for (stage, table) in steps {
        let stays = redo.is_none_or(|redo| stage < redo);
        let is_begun = stays && !ctx.run.manifests(table).await?.is_empty();
        if !(first..=last).contains(&stage) || is_begun {
            continue;
        }
        match stage {
            RunStage::Describe => describe::check(ctx)?,
            RunStage::Embed => embed::check(ctx).await?,
            _ => instruct::check(ctx)?,
        }
    }
    match last {
        RunStage::Export => decontaminate::check(ctx).await,
        _ => Ok(()),
    }
}

async fn stages(
    ctx: &Context,
    inputs: &Inputs,
    (first, last): (RunStage, RunStage),
    board: &Board,
    bars: &MultiProgress,
    json: bool,
) -> Result<(), StageError> {
    let wanted = RunStage::ALL.into_iter().filter(|stage| (first..=last).contains(stage));
    for stage in wanted.filter(|stage| stage.is_wanted(&ctx.config)) {
        let progress = Progress::begin(stage.name(), bars, json);
        let ctx = Context { progress, ..ctx.clone() };
        board.show(Some((stage, ctx.progress.clone())));
        let before = stage.parts(&ctx.run).await?;
        let recorder = Recorder::begin(stage, ctx.run.store(), &ctx.client, ctx.segment_age());
        let outcome = stage.run(&ctx, inputs).await;
        let was_done = outcome.is_ok() && stage.parts(&ctx.run).await? == before;
        recorder.finish(!was_done).await;
        ctx.progress.finish();
        board.show(None);
        outcome?;
    }
    Ok(())
}

async fn report(ctx: &Context) -> Result<Outcome, RunError> {
    let steps = steps(&ctx.run, &ctx.config).await?;
    say(funnel(&steps));
    if let Some(text) = spending(&ctx.run).await? {
        say(text);
    }
    if let Some(table) = wording(&ctx.run).await? {
        say(table);
    }
    tracing::info!(requests = ctx.client.requests(), "requests sent");
    let budget = ctx.config.run.failure_budget;
    for step in &steps {
        let failed: u64 = step.failed.values().sum();
        if failed as f64 > budget * step.input as f64 {
            tracing::error!(
                "{}: {failed} of {} failed, more than run.failure_budget = {budget}",
                step.name,
                step.input,
            );
            return Ok(Outcome::TooManyFailures);
        }
    }
    Ok(Outcome::Done)
}

/// Estimates the calls of each stage that asks a model; `None` for a stage whose input does not exist yet.
pub(super) async fn forecasts(
    dir: &RunDir,
    config: &Config,
    first: RunStage,
    last: RunStage,
) -> Result<Vec<(RunStage, Option<Forecast>)>, RunError> {
    let mut forecasts = Vec::new();
    let steps = [
        (RunStage::Describe, GROUPS),
        (RunStage::Embed, DESCRIPTIONS),
        (RunStage::Instruct, PAIRS),
    ];
    for (stage, table) in steps {
        if !(first..=last).contains(&stage) {
            continue;
        }
        let input = dir.manifests(table).await?;
        let forecast = match stage {
            RunStage::Describe => describe::forecast(config, dir, &input).await?,
            RunStage::Embed => embed::forecast(config, dir, &embed_inputs(dir).await?).await?,
            _ => instruct::forecast(config, dir, &instruct_inputs(dir).await?).await?,
        };
        if forecast.is_some() {
            forecasts.push((stage, forecast.filter(|_| !input.is_empty())));
        }
    }
    Ok(forecasts)
}

pub(super) fn forecast_line(stage: RunStage, forecast: Option<Forecast>) -> String {
    let name = stage.name();
    match forecast {
        None => format!("{name:8} asks a model: how often is known once the stages before it ran"),
        Some(Forecast { calls, input, output, cost }) => format!(
            "{name:8} asks a model: about {calls} calls, {input} tokens in, at most {output} out, at \
             most {cost:.2} at the prices of [budget]"
        ),
    }
}

async fn dry_run(
    options: &Options,
    layers: &Layers,
    first: RunStage,
    last: RunStage,
) -> Result<Outcome, RunError> {
    let known = RunDir::find(&options.out).await?;
    let kept = match &known {
        Some(dir) => dir.kept().await?,
        None => None,
    };
    let layers = Layers { run_dir: kept.as_ref().map(|k| k.config.clone()), ..layers.clone() };
    let config = layers.load()?;
    let inputs =
        inputs::find(options, kept.as_ref(), &config, &Objects::default(), (first, last)).await?;
    Client::new(&config)?;
    say(format_args!("would mine into {} (nothing is requested or written now)", options.out));
    for url in inputs.seeds.urls() {
        say(format_args!("  seed  {url}"));
    }
    for archive in &inputs.archives {
        say(format_args!("  warc  {archive}"));
    }
    for table in &inputs.tables {
        say(format_args!("  table {table}"));
    }
    say(format_args!(
        "  scope {:?}, at most {} links deep, {} pages a host, {} requests/s a host",
        config.crawl.scope,
        config.crawl.max_depth,
        config.crawl.max_pages_per_host,
        config.http.host_rate,
    ));
    let wanted =
        STEPS.iter().filter(|step| (first..=last).contains(&step.stage) && step.is_wanted(&config));
    for step in wanted {
        let committed = match &known {
            Some(dir) => dir.manifests(step.table).await?.len(),
            None => 0,
        };
        say(format_args!(
            "  {:8} → {}: {committed} parts are there",
            step.stage.name(),
            step.table
        ));
    }
    if let (Some(dir), Some(stage)) = (&known, options.redo) {
        say(format_args!("  {}", Bill::of_tables(dir, stage).await?));
    }
    if let Some(dir) = &known {
        for (stage, forecast) in forecasts(dir, &config, first, last).await? {
            say(format_args!("  {}", forecast_line(stage, forecast)));
        }
    }
    Ok(Outcome::Done)
}
