//! What the command line says.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use magiclens::config::env::SLICE;
use magiclens::config::{Layers, Scope, slice};
use magiclens::pipeline::{Options, RunStage};
use magiclens::record::Slice;
use magiclens::telemetry::LogFormat;

use crate::examples;

/// Mines web pages for images that occur together.
///
/// A rerun of the same command goes on where the last one stopped, also after kill -9; a rerun with
/// only --out uses the configuration that the run directory keeps.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = examples::MINE)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Option<Verb>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Mine; the default verb.
    Run(RunArgs),
    /// Print the funnel of a run in progress or finished.
    #[command(after_help = examples::STATUS)]
    Status {
        /// The run directory.
        out: String,
    },
    /// Print the first rows of a table.
    #[command(after_help = examples::HEAD)]
    Head {
        /// The table: RUN/TABLE, or RUN/rejects/TABLE for what was left out.
        table: String,
        /// Columns to print, in this order; else all of them.
        columns: Vec<String>,
        /// Rows to print.
        #[arg(long, value_name = "N", default_value_t = 5)]
        limit: usize,
    },
    /// Write a run, in progress or finished, as one HTML file: funnel, rejects, triplets, figures.
    #[command(after_help = examples::REPORT)]
    Report {
        /// The run directory.
        out: String,
        /// The file; else report.html in the run directory.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Triplets that the file shows with their images, at most.
        #[arg(long, value_name = "N", default_value_t = 300)]
        sample: usize,
    },
    /// Serve the same in a browser while the run goes on, with search, and marks that export honours.
    #[command(after_help = examples::SERVE)]
    Serve {
        /// The run directory.
        out: String,
        /// Where to listen. Not on loopback, a token is asked for: MAGICLENS_TOKEN, or one that is made up.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
        listen: SocketAddr,
    },
    /// Take pages, domains or images back: leave them out of everything made from now on.
    #[command(after_help = examples::FORGET)]
    Forget {
        /// The run directory.
        out: String,
        /// URL of a page or an image. Repeatable, as the others are.
        #[arg(long)]
        url: Vec<String>,
        /// A host, with all hosts below it.
        #[arg(long)]
        domain: Vec<String>,
        /// sha256 of an image's original bytes, hex (image_id).
        #[arg(long)]
        sha256: Vec<String>,
        /// An image with all its near-duplicates (cluster_id).
        #[arg(long)]
        cluster: Vec<String>,
    },
    /// Remove what tables, replies and lists still hold of what was forgotten.
    #[command(after_help = examples::COMPACT)]
    Compact {
        /// The run directory.
        out: String,
    },
    /// Fetch the images of a dataset that was exported without them; report what is lost.
    #[command(after_help = examples::REHYDRATE)]
    Rehydrate {
        /// Folder of shards.
        dir: String,
        /// Where the full shards go.
        #[arg(long)]
        out: String,
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Have two prompts or models write instructions for the same pairs of a run, into one table.
    #[command(after_help = examples::EVAL_PROMPTS)]
    EvalPrompts {
        /// The run directory.
        out: String,
        /// Configuration of side A: what its [instruct] differs in.
        #[arg(long, value_name = "FILE")]
        a: PathBuf,
        /// Configuration of side B.
        #[arg(long, value_name = "FILE")]
        b: PathBuf,
        /// Pairs, always the same ones.
        #[arg(long, value_name = "N", default_value_t = 100)]
        sample: usize,
        /// The Parquet file to write.
        #[arg(long, value_name = "FILE", default_value = "eval-prompts.parquet")]
        table: PathBuf,
    },
    /// Show how alike the images of a run's pages are, to pick the bounds of [pair] by eye.
    #[command(after_help = examples::TUNE_PAIRS)]
    TunePairs {
        /// The run directory, with stages up to describe (and embed) done.
        #[arg(long, value_name = "DIR")]
        out: String,
        /// The page of examples to write; else tune-pairs.html in the run directory.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Print which WARC files a part of a Common Crawl crawl consists of, as a list for --warc.
    #[command(after_help = examples::WARC_PATHS)]
    WarcPaths {
        /// The crawl, such as CC-MAIN-2024-10.
        #[arg(long, value_name = "ID")]
        crawl: String,
        /// Every n-th file, from the i-th on; i begins at 0.
        #[arg(long, value_name = "I/N", default_value = "0/1")]
        slice: Slice,
        /// Where the crawl lies.
        #[arg(long, value_name = "URL|DIR", default_value = "https://data.commoncrawl.org/")]
        base: String,
        /// A copy of its warc.paths.gz; else it is downloaded.
        #[arg(long, value_name = "FILE")]
        list: Option<String>,
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Write the hashes of a folder's images to a file, for --decontaminate by whoever lacks the images.
    #[command(after_help = examples::HASH_IMAGES)]
    HashImages {
        /// The folder.
        folder: PathBuf,
        /// The Parquet file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Say what a number of triplets will take, by what a finished run took.
    #[command(after_help = examples::PLAN)]
    Plan {
        /// How many triplets are wanted, such as 36.7M.
        #[arg(long, value_name = "N")]
        target_triplets: String,
        /// The run directory of the run.
        #[arg(long, value_name = "DIR")]
        from: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Make the shards of a run that has all stages before; as tar files too where asked.
    #[command(after_help = examples::EXPORT)]
    Export {
        /// The run directory.
        out: String,
        /// What to make beside the Parquet shards.
        #[arg(long, value_name = "FORMAT", default_value = "parquet")]
        format: ExportFormat,
        /// Where tar files go; else webdataset/ in the run directory.
        #[arg(long, value_name = "DIR")]
        to: Option<String>,
        /// Make the shards anew, by what configuration and reviews say now.
        #[arg(long)]
        redo: bool,
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Judge blind, in the browser: two prompts, two models' results, or a run's triplets.
    #[command(after_help = examples::JUDGE)]
    Judge {
        /// A table of eval-prompts, a folder of `evaluate --model-b`, or a run directory.
        what: String,
        /// The run directory whose pairs a table of eval-prompts is about, for the images.
        #[arg(long, value_name = "DIR")]
        run: Option<String>,
        /// Triplets drawn of a run.
        #[arg(long, value_name = "N", default_value_t = 100)]
        sample: usize,
        /// Who judges: verdicts are kept by name.
        #[arg(long, value_name = "NAME", default_value = "")]
        name: String,
        /// Where verdicts are kept; else judgements.jsonl beside what is judged.
        #[arg(long, value_name = "FILE")]
        verdicts: Option<PathBuf>,
        /// Where to serve the page; elsewhere than on loopback it asks for a token.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8092")]
        listen: SocketAddr,
        /// Print how it stands and serve nothing.
        #[arg(long)]
        results: bool,
    },
    /// Print a shell's completions of this command.
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Work on parts of global plans for a `mine --engine` over the same run directory, until the process
    /// ends (feature `cluster`).
    #[command(after_help = examples::EXECUTOR)]
    Executor {
        /// The run directory, as this machine sees it.
        #[arg(long, value_name = "DIR")]
        out: String,
        /// A port of loopback, or an address with a port; 0 takes a free one. Its address is printed.
        #[arg(long, value_name = "PORT|ADDR", default_value = "7001")]
        listen: String,
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Print the configuration in force.
    #[command(after_help = examples::CONFIG)]
    Config {
        /// A run directory whose kept configuration is used.
        #[arg(long)]
        out: Option<String>,
        #[command(flatten)]
        layers: ConfigArgs,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Shards in triplets/, as every run makes them.
    Parquet,
    /// A tar file for each shard, for WebDataset.
    Webdataset,
}

#[derive(Args)]
pub struct ConfigArgs {
    /// Configuration file; else ./pipeline.toml, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One key, such as crawl.max_depth=3. Repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Args)]
pub struct RunArgs {
    /// URLs to begin at, or files with one URL a line.
    #[arg(long, value_name = "FILE|URL", num_args = 1..)]
    seed_urls: Vec<String>,
    /// WARC files to take pages from, by path or URL, or lists of them (.txt, .paths, .paths.gz).
    #[arg(long, value_name = "FILE|URL|LIST", num_args = 1..)]
    warc: Vec<String>,
    /// What relative lines of such lists belong to, else the list's folder [archive.base].
    #[arg(long, value_name = "URL|DIR")]
    warc_base: Option<String>,
    /// Tables of images and the pages that show them: Parquet, CSV or JSONL.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    table: Vec<String>,
    /// What their columns are called, such as image_url=url,alt=caption [tables].
    #[arg(long, value_name = "COLUMN=NAME,…", value_delimiter = ',')]
    table_columns: Vec<String>,
    /// The run directory: a folder, s3://BUCKET/PATH or gs://BUCKET/PATH.
    #[arg(long, value_name = "DIR", default_value = "runs/mine")]
    out: String,
    #[command(flatten)]
    layers: ConfigArgs,
    /// How far links are followed from a seed [crawl.scope].
    #[arg(long)]
    scope: Option<Scope>,
    /// Links followed from a seed to a page, at most [crawl.max_depth].
    #[arg(long, value_name = "N")]
    max_depth: Option<u32>,
    /// Pages asked for on one host, at most [crawl.max_pages_per_host].
    #[arg(long, value_name = "N")]
    max_pages_per_host: Option<usize>,
    /// Which stages to run: one, or a range such as collect..fetch.
    #[arg(long, value_name = "A..B")]
    stages: Option<String>,
    /// Do only this share of each map stage, and wait for the others where all of a table is needed: i of
    /// n, i begins at 0; n alone takes i from JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID.
    #[arg(long, value_name = "I/N|N", env = SLICE, value_parser = slice_of)]
    slice: Option<Slice>,
    /// Make a stage's tables, and those of the stages after it, anew.
    #[arg(long, value_name = "STAGE")]
    redo: Option<RunStage>,
    /// Keep images of a benchmark out: a folder of them, or a list that hash-images wrote
    /// [decontaminate.benchmarks]. Repeatable.
    #[arg(long, value_name = "FOLDER|LIST", num_args = 1..)]
    decontaminate: Vec<String>,
    /// Work on global plans in this process, or on executors: local, or http://HOST:PORT,… [store.engine].
    #[arg(long, value_name = "local|URL,…")]
    engine: Option<String>,
    /// Check everything and say what would be done, without a request or a file.
    #[arg(long)]
    dry_run: bool,
    /// Serve metrics for Prometheus at a port of loopback, or at an address with a port.
    #[arg(long, value_name = "PORT|ADDR")]
    metrics: Option<String>,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log: LogFormat,
}

fn slice_of(text: &str) -> Result<Slice, String> {
    slice(text, |name| std::env::var(name).ok())
}

impl ConfigArgs {
    pub fn layers(self) -> Layers {
        Layers {
            found: Some("pipeline.toml".into()),
            run_dir: None,
            file: self.config,
            flags: self.set,
        }
    }
}

impl RunArgs {
    pub fn options(self) -> Options {
        let mut set = Vec::new();
        set.extend(self.scope.map(|scope| format!("crawl.scope={scope:?}").to_lowercase()));
        set.extend(self.max_depth.map(|n| format!("crawl.max_depth={n}")));
        set.extend(self.max_pages_per_host.map(|n| format!("crawl.max_pages_per_host={n}")));
        set.extend(self.warc_base.map(|base| format!("archive.base={base}")));
        set.extend(self.table_columns.into_iter().map(|column| format!("tables.{column}")));
        set.extend(self.engine.map(|engine| format!("store.engine={engine}")));
        if !self.decontaminate.is_empty() {
            set.push(format!("decontaminate.benchmarks={:?}", self.decontaminate));
        }
        set.extend(self.layers.set);
        Options {
            seed_urls: self.seed_urls,
            archives: self.warc,
            tables: self.table,
            out: self.out,
            config: self.layers.config,
            set,
            stages: self.stages,
            redo: self.redo,
            slice: self.slice.unwrap_or_default(),
            dry_run: self.dry_run,
            metrics: self.metrics,
            json: self.log == LogFormat::Json,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_verb_has_examples_that_parse() {
        let command = Cli::command();
        command.clone().debug_assert();
        let verbs = command.get_subcommands().filter(|verb| verb.get_name() != "run");
        for help in verbs.map(|verb| verb.get_after_help().map(ToString::to_string)) {
            let help = help.expect("a verb without examples");
            let commands = help.lines().filter_map(|line| line.trim().strip_prefix("mine "));
            let mut found = 0;
            for words in commands {
                // What it does stands behind it, at column 40 or with spaces between.
                let words = words.split("  ").next().unwrap_or_default();
                let words = words.split([';', '>', '&', '|']).next().unwrap_or_default();
                let parsed =
                    Cli::try_parse_from(["mine"].into_iter().chain(words.split_whitespace()));
                assert!(parsed.is_ok(), "mine {words}: {}", parsed.err().unwrap());
                found += 1;
            }
            assert!(found > 0 || help.contains("mine completions"), "{help}");
        }
    }

    #[test]
    fn completions_know_the_verbs() {
        let mut script = Vec::new();
        clap_complete::generate(Shell::Bash, &mut Cli::command(), "mine", &mut script);
        let script = String::from_utf8(script).unwrap();
        for word in ["webdataset", "eval-prompts", "--seed-urls"] {
            assert!(script.contains(word), "{word}");
        }
    }
}
