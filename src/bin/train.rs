//! `train`: triplet shards in, checkpoints out.
#![forbid(unsafe_code)]

use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use indicatif::MultiProgress;
use magiclens::telemetry::{self, LogFormat};
use magiclens::train::checkpoint::{Checkpoint, Checkpoints, Counters};
use magiclens::train::config::{Recipe, Sources};
use magiclens::train::mask::Mask;
use magiclens::train::signal::Stop;
use magiclens::train::{CHECKPOINTS, Ended, Options, TrainError, dry_run, run};

/// Trains MagicLens on triplet shards.
///
/// Running the same command again resumes from the latest checkpoint in --out, with the recipe that
/// is kept there. SIGTERM saves a checkpoint and exits with 0. Under torchrun, it trains on all
/// ranks.
#[derive(Parser)]
#[command(name = "train", version, after_help = EXAMPLES)]
struct Cli {
    /// Folder of shards, or the run directory of `mine`; the URL of an object store also works.
    #[arg(long)]
    shards: Option<String>,
    /// Output folder of the run: checkpoints, log.jsonl, TensorBoard events.
    #[arg(long)]
    out: PathBuf,
    /// TOML file with the keys that differ from recipes/base.toml.
    #[arg(long)]
    recipe: Option<PathBuf>,
    /// Logits to mask as false negatives: short for `--set loss.mask=…`; `none` is equation 1
    /// exactly.
    #[arg(long, value_enum)]
    mask: Option<Mask>,
    /// Steps between validations, 0 to disable them: short for `--set eval.every=…`.
    #[arg(long, value_name = "N")]
    eval_every: Option<u64>,
    /// `section.key=value`, overrides the recipe. Repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print parameters, FLOPs, memory and time without training.
    #[arg(long)]
    dry_run: bool,
    /// Format of the log lines on stderr.
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
}

const EXAMPLES: &str = "\
Examples:
  train --shards runs/first --out runs/train --recipe recipes/base.toml
  train --out runs/train                       resume from the latest checkpoint
  train --shards runs/first --out runs/t --recipe recipes/base.toml --dry-run
  torchrun --nproc-per-node 8 --no-python train --shards s3://bucket/run --out runs/train
  tensorboard --logdir runs/train/events

Exit codes: 0 done, or stopped by SIGTERM with a checkpoint; 1 failed; 3 bad configuration.";

fn main() -> ExitCode {
    let cli = Cli::parse();
    let bars = telemetry::init(cli.log_format);
    let done = catch_unwind(AssertUnwindSafe(|| work(cli, bars)));
    match done {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("train: {error}");
            ExitCode::from(error.exit_code())
        }
        // Operators of libtorch panic where they fail: out of memory, mostly.
        Err(panic) => {
            eprintln!("train: libtorch: {}", words(panic.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn work(cli: Cli, bars: MultiProgress) -> Result<(), TrainError> {
    let from = latest(&cli)?;
    let kept = from.as_ref().map(|checkpoint| checkpoint.state.recipe.clone());
    let flags = flags(&cli);
    let recipe = Recipe::load(Sources { kept: kept.clone(), file: cli.recipe, flags })?;
    if let Some(kept) = kept {
        let kept = Recipe::load(Sources { kept: Some(kept), ..Sources::default() })?;
        recipe.conflict_with(&kept).map_or(Ok(()), |found| Err(TrainError::Conflict(found)))?;
    }
    if cli.dry_run {
        print(&dry_run(&recipe)?.to_string());
        return Ok(());
    }
    let stop = Stop::listen().map_err(TrainError::Signals)?;
    let json = cli.log_format == LogFormat::Json;
    let ended = run(Options { recipe, out: cli.out, from, stop, bars, json })?;
    print(&summary(&ended));
    Ok(())
}

/// Keys that are set by flags of their own, and those of `--set`, which come last and win.
fn flags(cli: &Cli) -> Vec<String> {
    let shards = cli.shards.iter().map(|shards| format!("data.shards={}", list(shards)));
    let mask = cli.mask.and_then(|mask| mask.to_possible_value());
    let mask = mask.iter().map(|mask| format!("loss.mask={}", quoted(mask.get_name())));
    let every = cli.eval_every.iter().map(|every| format!("eval.every={every}"));
    shards.chain(mask).chain(every).chain(cli.set.iter().cloned()).collect()
}

/// Returns the latest intact checkpoint of the output folder; logs damaged ones and skips them. A dry
/// run only checks its recipe; training logs the step that it resumes from.
fn latest(cli: &Cli) -> Result<Option<Checkpoint>, TrainError> {
    let (checkpoint, damaged) = Checkpoints::at(&cli.out.join(CHECKPOINTS)).open_whole()?;
    for error in damaged {
        tracing::warn!("passed over: {error}");
    }
    Ok(checkpoint)
}

/// A string as TOML.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A list of one string as TOML.
fn list(text: &str) -> String {
    format!("[{}]", quoted(text))
}

fn summary(ended: &Ended) -> String {
    let mut lines = format!("steps       {}\n", ended.step);
    if let Some(signal) = ended.stopped_by {
        lines += &format!("stopped by  {signal}; the same command resumes\n");
    }
    if let Some(recall) = ended.recall {
        lines += &format!(
            "validation  R@1 {:.1} %  R@5 {:.1} %  R@10 {:.1} %  ({} queries, {} images)\n",
            100.0 * recall.at_1,
            100.0 * recall.at_5,
            100.0 * recall.at_10,
            recall.queries,
            recall.gallery
        );
    }
    let Counters { undecodable, cut_texts, shared_pages, masked, skipped_steps } = ended.counters;
    lines += &format!(
        "in all      {undecodable} undecodable, {cut_texts} texts cut, {shared_pages} of a page seen \
         in the batch, {masked} logits masked, {skipped_steps} steps skipped\n"
    );
    lines + &format!("checkpoint  {}\n", ended.checkpoint.display())
}

/// Data goes to stdout; a reader that has gone away is no failure.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".into())
}
