//! `search`: embeds images with texts by a model. Indexes and queries are not there yet.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use magiclens::model::preprocess::Preprocess;
use magiclens::retrieval::{Embedded, Encoder, embed};

/// Finds images with a model.
#[derive(Parser)]
#[command(name = "search", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  search embed --model runs/train --queries q.jsonl --out q.parquet
  search embed --model magic_lens_clip_base.pkl --queries q.jsonl --out q.parquet

Exit codes: 0 done, 1 failed, 2 done, but some images could not be read.";

#[derive(Subcommand)]
enum Verb {
    /// Embed a list of images with texts.
    Embed(EmbedArgs),
}

#[derive(Args)]
struct EmbedArgs {
    /// A run of `train` (its best checkpoint, or else its latest), one of its checkpoints, the released
    /// .pkl, or safetensors.
    #[arg(long)]
    model: PathBuf,
    /// Sizes of the model, where none lie beside it (JSON).
    #[arg(long)]
    config: Option<PathBuf>,
    /// Lines of {"id", "image", "text"}; images are relative to this file.
    #[arg(long)]
    queries: PathBuf,
    /// Parquet file of `id` and `embedding` (unit vectors).
    #[arg(long)]
    out: PathBuf,
    /// How images become tensors.
    #[arg(long, value_enum, default_value = "released")]
    preprocess: Preprocess,
    /// Images a forward pass.
    #[arg(long, default_value_t = 64)]
    batch: usize,
}

fn main() -> ExitCode {
    let Verb::Embed(args) = Cli::parse().verb;
    match run(&args) {
        Ok(embedded) => report(&embedded),
        Err(error) => {
            eprintln!("search: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &EmbedArgs) -> anyhow::Result<Embedded> {
    let encoder = Encoder::load(&args.model, args.config.as_deref(), args.preprocess)?;
    Ok(embed(&encoder, &args.queries, &args.out, args.batch)?)
}

fn report(embedded: &Embedded) -> ExitCode {
    let Embedded { rows, failed, cut_texts } = embedded;
    for (id, problem) in failed {
        eprintln!("search: {id}: {problem}");
    }
    eprintln!("{rows} embedded, {} failed, {cut_texts} texts cut", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) }
}
