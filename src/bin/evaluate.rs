//! `evaluate`: measures a model, or the rankings of another program, on a benchmark.
#![forbid(unsafe_code)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use magiclens::model::preprocess::Preprocess;
use magiclens::retrieval::Encoder;
use magiclens::retrieval::benchmarks::{Benchmark, Name, Need, Split, Task, read};
use magiclens::retrieval::evaluate::given::{self, Given};
use magiclens::retrieval::evaluate::judge::{self, Judged, Written};
use magiclens::retrieval::evaluate::lists::Lists;
use magiclens::retrieval::evaluate::report::{self, Origin};
use magiclens::retrieval::evaluate::score::{Outcome, Scorer};
use magiclens::retrieval::evaluate::{Ask, Figures, measure, measure_lists};
use magiclens::retrieval::pump::Way;

/// Measures a model on a benchmark of composed image retrieval.
#[derive(Parser)]
#[command(name = "evaluate", version, after_help = EXAMPLES)]
struct Cli {
    /// The benchmark.
    #[arg(long, value_enum)]
    benchmark: Name,
    /// The folder of its official files; for `holdout`, a run of `mine`. See docs/evaluate.md.
    #[arg(long)]
    data: PathBuf,
    /// `test` writes submission files for the benchmark's server, if the ground truth is not
    /// public.
    #[arg(long, value_enum, default_value = "val")]
    split: Split,
    /// A run of `train` (its best checkpoint, or else its latest), one of its checkpoints, the
    /// released .pkl, or safetensors.
    #[arg(long, required_unless_present_any = ["scores", "embeddings"])]
    model: Option<PathBuf>,
    /// Rankings of another model instead of --model: a submission file, {"query": [images]}, or our
    /// rankings.jsonl.
    #[arg(long, conflicts_with = "model")]
    scores: Option<PathBuf>,
    /// Embeddings of another model instead of --model, for queries and gallery: Parquet files of id
    /// and embedding, as `search embed` writes them.
    #[arg(long, num_args = 2, value_names = ["QUERIES", "GALLERY"])]
    #[arg(conflicts_with_all = ["model", "scores"])]
    embeddings: Option<Vec<PathBuf>>,
    /// Sizes of the model (JSON), if no such file is next to it.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Preprocessing of images [default: of the checkpoint, else of the released code].
    #[arg(long, value_enum)]
    preprocess: Option<Preprocess>,
    /// Parts of the query to use.
    #[arg(long, value_enum, default_value = "both")]
    query: Ask,
    /// A second model: writes judge.csv with the first results of both models side by side, without
    /// names.
    #[arg(long, requires_all = ["model", "out"])]
    model_b: Option<PathBuf>,
    /// Number of queries to draw for judge.csv.
    #[arg(long, default_value_t = 50, requires = "model_b")]
    judge: usize,
    /// Images in one forward pass.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Folder for metrics.json, rankings.jsonl and submission files.
    #[arg(long)]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  evaluate --benchmark circo --data CIRCO --model runs/train --out runs/circo
  evaluate --benchmark cirr --data CIRR --split test --model magic_lens_clip_base.pkl --out runs/cirr
  evaluate --benchmark holdout --data runs/mine --model runs/train
  evaluate --benchmark holdout --data runs/mine --model runs/a --model-b runs/b --out runs/judge
  evaluate --benchmark circo --data CIRCO --scores submission_val.json
  evaluate --benchmark circo --data CIRCO --embeddings queries.parquet gallery.parquet

Exit codes: 0 done, 1 failed.";

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evaluate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    if let Some(out) = &cli.out {
        std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    }
    let need = match (&cli.model, &cli.embeddings) {
        (Some(_), _) => Need::Images,
        (None, Some(_)) => Need::Gallery,
        (None, None) => Need::Truth,
    };
    let benchmark = read(cli.benchmark, &cli.data, cli.split, need)?;
    match (&cli.scores, &cli.model, cli.embeddings.as_deref()) {
        (Some(scores), _, _) => {
            let figures = measure_lists(&benchmark, &Lists::read(scores)?)?;
            show(cli, &origin(scores), &figures)
        }
        (_, Some(model), _) => of_model(cli, &benchmark, model),
        (_, _, Some([queries, gallery])) => {
            let outcomes =
                given::outcomes(&benchmark, &Given::read(queries)?, &Given::read(gallery)?)?;
            write(cli, &benchmark, &outcomes)?;
            conclude(cli, &benchmark, &origin(queries), &outcomes)
        }
        _ => anyhow::bail!("--model, --scores or --embeddings is needed"),
    }
}

fn of_model(cli: &Cli, benchmark: &Benchmark, model: &Path) -> anyhow::Result<()> {
    let by_towers = benchmark.tasks.iter().any(|task| task.way == Way::Towers);
    anyhow::ensure!(
        !by_towers || cli.query == Ask::Both,
        "these queries are texts: leave out --query"
    );
    anyhow::ensure!(
        cli.model_b.is_none() || (benchmark.tasks.len() == 1 && !by_towers),
        "models are put side by side on benchmarks of one part whose queries have an image"
    );
    let (encoder, outcomes) = through(cli, benchmark, model)?;
    write(cli, benchmark, &outcomes)?;
    if let (Some(other), Some(out)) = (&cli.model_b, &cli.out) {
        let (_, others) = through(cli, benchmark, other)?;
        side_by_side(cli, benchmark, out, [(model, &outcomes), (other, &others)])?;
    }
    let (fingerprint, query) = (Some(encoder.fingerprint()), Some(cli.query));
    let origin = Origin { fingerprint, query, ..origin(model) };
    conclude(cli, benchmark, &origin, &outcomes)
}

/// Writes rankings and submission files.
fn write(cli: &Cli, benchmark: &Benchmark, outcomes: &[Vec<Outcome>]) -> anyhow::Result<()> {
    let Some(out) = &cli.out else { return Ok(()) };
    report::rankings(out, benchmark, outcomes)?;
    for file in report::submissions(out, benchmark, outcomes)? {
        eprintln!("evaluate: to hand in: {}", out.join(file).display());
    }
    Ok(())
}

fn conclude(
    cli: &Cli,
    benchmark: &Benchmark,
    origin: &Origin,
    outcomes: &[Vec<Outcome>],
) -> anyhow::Result<()> {
    match measure(benchmark, outcomes) {
        Some(figures) => show(cli, origin, &figures),
        None => {
            anyhow::ensure!(
                cli.out.is_some(),
                "the truth of this split is hidden: give --out for its files"
            );
            Ok(())
        }
    }
}

fn through(
    cli: &Cli,
    benchmark: &Benchmark,
    model: &Path,
) -> anyhow::Result<(Encoder, Vec<Vec<Outcome>>)> {
    let encoder = Encoder::load(model, cli.config.as_deref(), cli.preprocess)?;
    let images = |task: &Task| task.gallery.len() + task.queries.len();
    let progress = ProgressBar::new(benchmark.tasks.iter().map(images).sum::<usize>() as u64);
    progress
        .set_style(ProgressStyle::with_template("{pos}/{len} embedded, {per_sec}, {eta} left")?);
    let tell = |done: usize| progress.inc(done as u64);
    let mut scorer = Scorer::new(&encoder, cli.query, cli.batch, benchmark.depth());
    let outcomes = benchmark.tasks.iter().map(|task| scorer.score(task, tell));
    let outcomes = outcomes.collect::<Result<_, _>>()?;
    progress.finish_and_clear();
    Ok((encoder, outcomes))
}

fn side_by_side(
    cli: &Cli,
    benchmark: &Benchmark,
    out: &Path,
    models: [(&Path, &Vec<Vec<Outcome>>); 2],
) -> anyhow::Result<()> {
    let [task] = benchmark.tasks.as_slice() else {
        anyhow::bail!("models are put side by side on benchmarks of one part");
    };
    let names = models.map(|(path, _)| path.display().to_string());
    let [a, b] = [0, 1].map(|at| Judged { name: &names[at], outcomes: &models[at].1[0] });
    let Written { rows, same } = judge::write(out, task, [&a, &b], cli.judge)?;
    eprintln!(
        "evaluate: {rows} rows to judge in {}, {same} left out as the same",
        out.join("judge.csv").display()
    );
    Ok(())
}

/// Returns the name of a file or folder for the table.
fn origin(path: &Path) -> Origin {
    let model = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Origin { model, fingerprint: None, query: None }
}

fn show(cli: &Cli, origin: &Origin, figures: &Figures) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{}", report::table(cli.benchmark, origin, figures))?;
    if let Some(out) = &cli.out {
        report::metrics(out, origin, figures)?;
    }
    Ok(())
}
