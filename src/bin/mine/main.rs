//! `mine`: seed URLs, WARC files and tables of images in, tables out.

mod cli;
mod examples;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use magiclens::pipeline::{self, JudgeOptions, Options, Outcome, RunError, RunStage};
use magiclens::record::Tombstones;
use magiclens::telemetry::{self, LogFormat};
use tokio_util::sync::CancellationToken;

use cli::{Cli, ConfigArgs, ExportFormat, Verb};

/// Many threads free large buffers that others allocated: glibc's malloc keeps a third more of them
/// from the system than this one.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match execute(cli).await {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::TooManyFailures) => ExitCode::from(2),
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn execute(cli: Cli) -> Result<Outcome, RunError> {
    let run = match cli.verb {
        None => cli.run,
        Some(Verb::Run(run)) => run,
        Some(Verb::Export { out, format, to, redo, layers }) => {
            return export(out, format, to, redo, layers).await;
        }
        Some(verb) => {
            telemetry::init(LogFormat::Text);
            other(verb).await?;
            return Ok(Outcome::Done);
        }
    };
    let bars = telemetry::init(run.log);
    let stop = CancellationToken::new();
    tokio::spawn(watch_ctrl_c(stop.clone()));
    pipeline::run(&run.options(), &bars, stop).await
}

async fn export(
    out: String,
    format: ExportFormat,
    to: Option<String>,
    redo: bool,
    layers: ConfigArgs,
) -> Result<Outcome, RunError> {
    let bars = telemetry::init(LogFormat::Text);
    if let Some(name) = to.clone().filter(|_| format == ExportFormat::Parquet) {
        let problem = "shards are made in the run directory: --to is for --format webdataset";
        return Err(RunError::Input { flag: "--to", name, problem: problem.into() });
    }
    let stop = CancellationToken::new();
    tokio::spawn(watch_ctrl_c(stop.clone()));
    let options = Options {
        config: layers.config,
        set: layers.set,
        stages: Some("export".into()),
        redo: redo.then_some(RunStage::Export),
        out,
        ..Options::default()
    };
    let outcome = pipeline::run(&options, &bars, stop.clone()).await?;
    if format == ExportFormat::Webdataset {
        pipeline::webdataset(&options.out, to.as_deref(), &stop).await?;
    }
    Ok(outcome)
}

async fn other(verb: Verb) -> Result<(), RunError> {
    match verb {
        Verb::Judge { what, run, sample, name, verdicts, listen, results } => {
            let options =
                JudgeOptions { what, run, sample, judge: name, verdicts, listen, results };
            pipeline::judge(&options).await
        }
        Verb::Run(_) | Verb::Export { .. } => unreachable!("the caller handles what runs stages"),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "mine", &mut std::io::stdout());
            Ok(())
        }
        Verb::Status { out } => pipeline::status(&out).await,
        Verb::Head { table, columns, limit } => pipeline::head(&table, &columns, limit).await,
        Verb::Report { out, html, sample } => pipeline::report(&out, html, sample).await,
        Verb::Serve { out, listen } => pipeline::serve(&out, listen).await,
        Verb::Forget { out, url, domain, sha256, cluster } => {
            let set = |values: Vec<String>| values.into_iter().collect();
            let (urls, domains) = (set(url), set(domain));
            let what = Tombstones { urls, domains, sha256: set(sha256), clusters: set(cluster) };
            pipeline::forget(&out, what).await
        }
        Verb::Compact { out } => pipeline::compact(&out).await,
        Verb::Rehydrate { dir, out, layers } => {
            let stop = CancellationToken::new();
            tokio::spawn(watch_ctrl_c(stop.clone()));
            pipeline::rehydrate(&dir, &out, &layers.layers(), stop).await
        }
        Verb::EvalPrompts { out, a, b, sample, table } => {
            let stop = CancellationToken::new();
            tokio::spawn(watch_ctrl_c(stop.clone()));
            pipeline::eval_prompts(&out, [a, b], sample, &table, stop).await
        }
        Verb::TunePairs { out, html, layers } => {
            pipeline::tune_pairs(&out, html, &layers.layers()).await
        }
        Verb::WarcPaths { crawl, slice, base, list, layers } => {
            let config = layers.layers().load()?;
            pipeline::warc_paths(&crawl, slice, &base, list.as_deref(), &config).await
        }
        Verb::HashImages { folder, out, layers } => {
            pipeline::hash_images(&folder, &out, &layers.layers()).await
        }
        Verb::Plan { target_triplets, from, json, layers } => {
            pipeline::plan(&from, &target_triplets, &layers.layers(), json).await
        }
        Verb::Executor { out, listen, layers } => {
            pipeline::executor(&out, &listen, &layers.layers()).await
        }
        Verb::Config { out, layers } => {
            pipeline::print_config(out.as_deref(), &layers.layers()).await
        }
    }
}

/// The first Ctrl-C drains, the second quits.
async fn watch_ctrl_c(stop: CancellationToken) {
    let mut pressed = 0;
    while tokio::signal::ctrl_c().await.is_ok() {
        pressed += 1;
        if pressed > 1 {
            let _ = writeln!(std::io::stderr(), "quitting at once; what was committed is kept");
            std::process::exit(1);
        }
        stop.cancel();
        tracing::warn!("finishing what is in flight; press Ctrl-C again to quit at once");
    }
}
