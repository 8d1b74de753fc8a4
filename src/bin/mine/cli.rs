//! The command line of `mine`: its verbs and flags.

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
/// Running the same command again resumes an interrupted run, even after kill -9. With only --out,
/// a run resumes with the configuration that its run directory keeps.
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
    /// Mine web pages (the default verb).
    Run(RunArgs),
    /// Print the funnel of a run: records in, out, rejected and failed at each step.
    #[command(after_help = examples::STATUS)]
    Status {
        /// The run directory.
        out: String,
    },
    /// Print the first rows of a table.
    #[command(after_help = examples::HEAD)]
    Head {
        /// The table: RUN/TABLE, or RUN/rejects/TABLE for what was rejected.
        table: String,
        /// Columns to print, in this order; else all of them.
        columns: Vec<String>,
        /// Rows to print.
        #[arg(long, value_name = "N", default_value_t = 5)]
        limit: usize,
    },
    /// Write a report of a run as one HTML file: funnel, rejects, triplets and statistics.
    #[command(after_help = examples::REPORT)]
    Report {
        /// The run directory.
        out: String,
        /// The file to write [default: report.html in the run directory].
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Maximum number of triplets to show with their images.
        #[arg(long, value_name = "N", default_value_t = 300)]
        sample: usize,
    },
    /// Serve the report in a browser during a run, with search and with review marks that export
    /// applies.
    #[command(after_help = examples::SERVE)]
    Serve {
        /// The run directory.
        out: String,
        /// Address to listen on. Other addresses than loopback require a token: MAGICLENS_TOKEN, or
        /// a random one.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
        listen: SocketAddr,
    },
    /// Exclude pages, domains or images from all later output.
    #[command(after_help = examples::FORGET)]
    Forget {
        /// The run directory.
        out: String,
        /// URL of a page or an image. Repeatable, like the other flags.
        #[arg(long)]
        url: Vec<String>,
        /// A host name, with all of its subdomains.
        #[arg(long)]
        domain: Vec<String>,
        /// sha256 of an image's original bytes in hexadecimal (image_id).
        #[arg(long)]
        sha256: Vec<String>,
        /// A near-duplicate cluster: an image with all of its near-duplicates (cluster_id).
        #[arg(long)]
        cluster: Vec<String>,
    },
    /// Erase forgotten data from tables, cached replies and lists.
    #[command(after_help = examples::COMPACT)]
    Compact {
        /// The run directory.
        out: String,
    },
    /// Fetch the images of a dataset that was exported without images, and report how many are
    /// lost.
    #[command(after_help = examples::REHYDRATE)]
    Rehydrate {
        /// Folder of shards.
        dir: String,
        /// Folder for the shards with images.
        #[arg(long)]
        out: String,
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Write instructions for the same pairs of a run with two prompts or models, into one table.
    #[command(after_help = examples::EVAL_PROMPTS)]
    EvalPrompts {
        /// The run directory.
        out: String,
        /// Configuration of side A: the keys of [instruct] that differ from the run.
        #[arg(long, value_name = "FILE")]
        a: PathBuf,
        /// Configuration of side B.
        #[arg(long, value_name = "FILE")]
        b: PathBuf,
        /// Number of pairs; every call draws the same ones.
        #[arg(long, value_name = "N", default_value_t = 100)]
        sample: usize,
        /// The Parquet file to write.
        #[arg(long, value_name = "FILE", default_value = "eval-prompts.parquet")]
        table: PathBuf,
    },
    /// Show how similar the images of a run's pages are, to choose the bounds of [pair] by eye.
    #[command(after_help = examples::TUNE_PAIRS)]
    TunePairs {
        /// The run directory; stages up to describe (and embed) must be done.
        #[arg(long, value_name = "DIR")]
        out: String,
        /// The HTML file of examples to write [default: tune-pairs.html in the run directory].
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Print the WARC files of a Common Crawl crawl, or a share of them, as a list for --warc.
    #[command(after_help = examples::WARC_PATHS)]
    WarcPaths {
        /// The crawl, such as CC-MAIN-2024-10.
        #[arg(long, value_name = "ID")]
        crawl: String,
        /// Every n-th file from the i-th on; i starts at 0.
        #[arg(long, value_name = "I/N", default_value = "0/1")]
        slice: Slice,
        /// URL or folder that holds the crawl.
        #[arg(long, value_name = "URL|DIR", default_value = "https://data.commoncrawl.org/")]
        base: String,
        /// A local copy of its warc.paths.gz, instead of downloading it.
        #[arg(long, value_name = "FILE")]
        list: Option<String>,
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Write the hashes of a folder's images to a file, so that --decontaminate works without the
    /// images.
    #[command(after_help = examples::HASH_IMAGES)]
    HashImages {
        /// The folder of images.
        folder: PathBuf,
        /// The Parquet file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Estimate the machines, time, storage and cost of a number of triplets from a finished run.
    #[command(after_help = examples::PLAN)]
    Plan {
        /// Number of triplets to plan for, such as 36.7M.
        #[arg(long, value_name = "N")]
        target_triplets: String,
        /// The run directory of the finished run.
        #[arg(long, value_name = "DIR")]
        from: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Write the shards of a run whose other stages are done, optionally as tar files too.
    #[command(after_help = examples::EXPORT)]
    Export {
        /// The run directory.
        out: String,
        /// Format to write in addition to the Parquet shards.
        #[arg(long, value_name = "FORMAT", default_value = "parquet")]
        format: ExportFormat,
        /// Folder for tar files [default: webdataset/ in the run directory].
        #[arg(long, value_name = "DIR")]
        to: Option<String>,
        /// Write the shards again, with the current configuration and reviews.
        #[arg(long)]
        redo: bool,
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Judge two prompts, the results of two models, or a run's triplets blind in the browser.
    #[command(after_help = examples::JUDGE)]
    Judge {
        /// A table of eval-prompts, a folder of `evaluate --model-b`, or a run directory.
        what: String,
        /// The run directory that a table of eval-prompts was made from, for its images.
        #[arg(long, value_name = "DIR")]
        run: Option<String>,
        /// Number of triplets to draw from a run.
        #[arg(long, value_name = "N", default_value_t = 100)]
        sample: usize,
        /// Name of the judge; verdicts are kept by name.
        #[arg(long, value_name = "NAME", default_value = "")]
        name: String,
        /// File for the verdicts [default: judgements.jsonl next to the judged data].
        #[arg(long, value_name = "FILE")]
        verdicts: Option<PathBuf>,
        /// Address to listen on. Other addresses than loopback require a token.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8092")]
        listen: SocketAddr,
        /// Print the results so far and exit.
        #[arg(long)]
        results: bool,
    },
    /// Print the completions of this command for a shell.
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Execute parts of global steps for `mine --engine` over the same run directory, until the
    /// process is stopped (feature `cluster`).
    #[command(after_help = examples::EXECUTOR)]
    Executor {
        /// The run directory, as seen from this machine.
        #[arg(long, value_name = "DIR")]
        out: String,
        /// A loopback port, or an address with a port; port 0 takes a free one. The address is
        /// printed.
        #[arg(long, value_name = "PORT|ADDR", default_value = "7001")]
        listen: String,
        #[command(flatten)]
        layers: ConfigArgs,
    },
    /// Print the configuration in effect.
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
    /// Shards in triplets/, which every run writes.
    Parquet,
    /// A tar file for each shard, for WebDataset.
    Webdataset,
}

#[derive(Args)]
pub struct ConfigArgs {
    /// Configuration file [default: ./pipeline.toml, if it exists].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One key, such as crawl.max_depth=3. Repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Args)]
pub struct RunArgs {
    /// Seed URLs, or files with one URL per line.
    #[arg(long, value_name = "FILE|URL", num_args = 1..)]
    seed_urls: Vec<String>,
    /// WARC files to take pages from, by path or URL, or lists of them (.txt, .paths, .paths.gz).
    #[arg(long, value_name = "FILE|URL|LIST", num_args = 1..)]
    warc: Vec<String>,
    /// Base of relative lines in such lists [archive.base; default: the folder of the list].
    #[arg(long, value_name = "URL|DIR")]
    warc_base: Option<String>,
    /// Tables of images and the pages that show them: Parquet, CSV or JSONL.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    table: Vec<String>,
    /// Names of their columns, such as image_url=url,alt=caption [tables].
    #[arg(long, value_name = "COLUMN=NAME,…", value_delimiter = ',')]
    table_columns: Vec<String>,
    /// The run directory: a folder, s3://BUCKET/PATH or gs://BUCKET/PATH.
    #[arg(long, value_name = "DIR", default_value = "runs/mine")]
    out: String,
    #[command(flatten)]
    layers: ConfigArgs,
    /// Extent of the crawl around a seed [crawl.scope].
    #[arg(long)]
    scope: Option<Scope>,
    /// Maximum number of links from a seed to a page [crawl.max_depth].
    #[arg(long, value_name = "N")]
    max_depth: Option<u32>,
    /// Maximum number of pages requested from one host [crawl.max_pages_per_host].
    #[arg(long, value_name = "N")]
    max_pages_per_host: Option<usize>,
    /// Stages to run: one, or a range such as collect..fetch.
    #[arg(long, value_name = "A..B")]
    stages: Option<String>,
    /// Process only share i of n of each map stage, i from 0, and wait for the other slices where a
    /// whole table is needed. N alone takes i from JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID.
    #[arg(long, value_name = "I/N|N", env = SLICE, value_parser = slice_of)]
    slice: Option<Slice>,
    /// Make the tables of a stage, and of all later stages, again.
    #[arg(long, value_name = "STAGE")]
    redo: Option<RunStage>,
    /// Leave out triplets that show images of a benchmark: a folder of images, or a list that
    /// hash-images wrote [decontaminate.benchmarks]. Repeatable.
    #[arg(long, value_name = "FOLDER|LIST", num_args = 1..)]
    decontaminate: Vec<String>,
    /// Run global steps in this process (local) or on executors (http://HOST:PORT,…)
    /// [store.engine].
    #[arg(long, value_name = "local|URL,…")]
    engine: Option<String>,
    /// Check everything and print the plan, without sending a request or writing a file.
    #[arg(long)]
    dry_run: bool,
    /// Serve metrics for Prometheus on a loopback port, or on an address with a port.
    #[arg(long, value_name = "PORT|ADDR")]
    metrics: Option<String>,
    /// Format of the log lines.
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
