//! `search`: embeds images with texts by a model, indexes images and finds them.
#![forbid(unsafe_code)]

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use magiclens::config::{Config, Layers};
use magiclens::model::preprocess::Preprocess;
use magiclens::retrieval::index::{Built, Index, build, source::Source};
use magiclens::retrieval::query::{Ask, answer, print};
use magiclens::retrieval::{Embedded, Encoder, embed, serve};
use magiclens::telemetry::{self, LogFormat};
use magiclens::web::{self, Site, Token};

/// Finds images with a model.
#[derive(Parser)]
#[command(name = "search", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  search index --model runs/train --out runs/index photos/
  search index --model runs/train --out runs/index runs/mine
  search query --index runs/index --image cat.jpg --text \"the same, asleep\"
  search serve --index runs/index
  search embed --model magic_lens_clip_base.pkl --queries q.jsonl --out q.parquet

Exit codes: 0 done, 1 failed, 2 done, but some images could not be read.";

#[derive(Subcommand)]
enum Verb {
    /// Embed a list of images with texts.
    Embed(EmbedArgs),
    /// Embed all images of a folder, of Parquet files or of a list of URLs into an index.
    Index(IndexArgs),
    /// Find images by an image, a text, or both.
    Query(QueryArgs),
    /// Find images in a browser.
    Serve(ServeArgs),
}

/// The model, for commands that do not read it from an index.
#[derive(Args)]
struct ModelArgs {
    /// A run of `train` (its best checkpoint, or else its latest), one of its checkpoints, the
    /// released .pkl, or safetensors.
    #[arg(long)]
    model: PathBuf,
    /// Sizes of the model (JSON), if no such file is next to it.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Preprocessing of images [default: of the checkpoint, else of the released code].
    #[arg(long, value_enum)]
    preprocess: Option<Preprocess>,
    /// Images in one forward pass.
    #[arg(long, default_value_t = 64)]
    batch: usize,
}

impl ModelArgs {
    fn load(&self) -> anyhow::Result<Encoder> {
        Ok(Encoder::load(&self.model, self.config.as_deref(), self.preprocess)?)
    }
}

#[derive(Args)]
struct EmbedArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Lines of {"id", "image", "text"}; images are relative to this file.
    #[arg(long)]
    queries: PathBuf,
    /// Parquet file of `id` and `embedding` (unit vectors).
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args)]
struct IndexArgs {
    /// A folder of images, a run of `mine` or another folder of Parquet files with images, one such
    /// file, or a text file with one URL per line.
    source: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// The index, a folder.
    #[arg(long)]
    out: PathBuf,
    /// Settings for fetching URLs: the sections http, crawl and fetch of a pipeline.toml.
    #[arg(long)]
    mine_config: Option<PathBuf>,
    /// One key of it, such as crawl.contact=me@example.org.
    #[arg(long)]
    set: Vec<String>,
}

/// An index, with its model.
#[derive(Args)]
struct Opened {
    /// The index.
    #[arg(long)]
    index: PathBuf,
    /// The model, if it was moved after the index was built.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Sizes of the model (JSON), if no such file is next to it.
    #[arg(long)]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct QueryArgs {
    #[command(flatten)]
    opened: Opened,
    /// The query image.
    #[arg(long, required_unless_present = "text")]
    image: Option<PathBuf>,
    /// The instruction.
    #[arg(long, default_value = "", hide_default_value = true)]
    text: String,
    /// Number of images to find.
    #[arg(short, default_value_t = 10)]
    k: usize,
    /// Print one line of JSON for each image.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ServeArgs {
    #[command(flatten)]
    opened: Opened,
    /// Address to listen on. Other addresses than loopback require a token: MAGICLENS_TOKEN, or a
    /// random one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Embed(args) => run_embed(&args),
        Verb::Index(args) => run_index(&args),
        Verb::Query(args) => run_query(&args),
        Verb::Serve(args) => run_serve(&args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("search: {error:#}");
        ExitCode::FAILURE
    })
}

fn run_embed(args: &EmbedArgs) -> anyhow::Result<ExitCode> {
    let encoder = args.model.load()?;
    let embedded = embed(&encoder, &args.queries, &args.out, args.model.batch)?;
    let Embedded { rows, failed, cut_texts } = embedded;
    let code = tell(&failed);
    eprintln!("{rows} embedded, {} failed, {cut_texts} texts cut", failed.len());
    Ok(code)
}

/// Prints the failed items and returns the exit code for them.
fn tell(failed: &[(String, String)]) -> ExitCode {
    for (id, problem) in failed {
        eprintln!("search: {id}: {problem}");
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

fn run_index(args: &IndexArgs) -> anyhow::Result<ExitCode> {
    let layers =
        Layers { file: args.mine_config.clone(), flags: args.set.clone(), ..Layers::default() };
    let config: Config = layers.load()?;
    let source = Source::find(&args.source, config)?;
    let encoder = args.model.load()?;
    let progress = ProgressBar::new_spinner()
        .with_style(ProgressStyle::with_template("{pos} images indexed, {per_sec}")?);
    let config = args.model.config.as_deref();
    let batch = args.model.batch;
    let built = build(&encoder, config, &source, &args.out, batch, |rows| {
        progress.set_position(rows);
    })?;
    progress.finish_and_clear();
    let Built { rows, failed } = built;
    let code = tell(&failed);
    eprintln!("{rows} images indexed, {} failed; to look: {}", failed.len(), look(&args.out));
    Ok(code)
}

fn look(index: &Path) -> String {
    format!("search serve --index {}", index.display())
}

fn open(opened: &Opened) -> anyhow::Result<(Index, Encoder)> {
    let index = Index::open(&opened.index)?;
    let header = index.header();
    let model = opened.model.as_ref().unwrap_or(&header.model);
    let config = opened.config.as_ref().or(header.config.as_ref());
    let encoder = Encoder::load(model, config.map(PathBuf::as_path), Some(header.preprocess))
        .context("the index's model (--model names another place)")?;
    index.check(&encoder)?;
    Ok((index, encoder))
}

fn run_query(args: &QueryArgs) -> anyhow::Result<ExitCode> {
    let (index, encoder) = open(&args.opened)?;
    let ask = Ask { image: args.image.as_deref(), text: &args.text, k: args.k };
    let found = answer(&index, &encoder, &ask)?;
    print(&found, args.json, &mut std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

fn run_serve(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    telemetry::init(LogFormat::Text);
    let (index, encoder) = open(&args.opened)?;
    let images = index.header().rows;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let site = Site::bind(args.listen, Token::configured()?).await?;
        writeln!(std::io::stderr(), "{images} images at {} (Ctrl-C ends it)", site.url())?;
        serve::serve(site, encoder, index, web::stopped()?).await?;
        Ok(ExitCode::SUCCESS)
    })
}
