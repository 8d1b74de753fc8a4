//! Recall on the demo's benchmark, from the embeddings that `search embed` wrote: what
//! `make train-demo` shows. Of several folders of embeddings (one a seed) it gives the mean, each, the standard
//! deviation and the range. With `--bars` it fails where a mean misses what a trained model has to reach.
//!
//! Benchmarks of the literature are not measured here.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use arrow::array::{Array, AsArray};
use arrow::datatypes::Float32Type;
use clap::Parser;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;

/// Ways to ask: the file of queries, and its name in the table.
const WAYS: [(&str, &str); 3] = [
    ("queries", "image + instruction"),
    ("image_only", "image alone, its own left out"),
    ("text_only", "instruction alone"),
];

/// Mean R@1 of image + instruction that is enough.
const LEAST: f64 = 0.5;

/// Measures recall on the demo's benchmark
#[derive(Parser)]
struct Args {
    /// Folder that `demo-world benchmark` wrote
    benchmark: PathBuf,
    /// Folders of embeddings: gallery, queries, image_only and text_only, each .parquet
    #[arg(required = true)]
    embeddings: Vec<PathBuf>,
    /// Fail unless, of the mean, image + instruction has R@1 of 50 % or more, and image alone and instruction
    /// alone each at most half of it
    #[arg(long)]
    bars: bool,
    /// Queries to show with what they find
    #[arg(long, default_value_t = 0)]
    show: usize,
}

/// A query of the benchmark.
#[derive(Deserialize)]
struct Query {
    id: String,
    image: String,
    text: String,
    target: String,
}

/// What an image of the gallery shows.
#[derive(Deserialize)]
struct Shown {
    id: String,
    alt: String,
}

/// Unit vectors by id, in the order of the file.
struct Embeddings {
    ids: Vec<String>,
    vectors: Vec<Vec<f32>>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let queries: Vec<Query> = lines(&args.benchmark.join("queries.jsonl"))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<32}{:>9}{:>9}{:>9}", "", "R@1", "R@5", "R@10")?;
    let mut firsts = Vec::new();
    for (file, name) in WAYS {
        let runs = args.embeddings.iter().map(|folder| recall(folder, file, &queries));
        let runs: Vec<[f64; 3]> = runs.collect::<Result<_>>()?;
        writeln!(out, "{name:<32}{}", row(&mean(&runs)))?;
        if runs.len() > 1 {
            spread(&mut out, &args.embeddings, &runs)?;
        }
        firsts.push(mean(&runs)[0]);
    }
    if args.bars {
        check(&firsts)?;
        writeln!(
            out,
            "bars reached: image + instruction 50 % or more, the others half of it at most"
        )?;
    }
    if args.show > 0 {
        let shown: Vec<Shown> = lines(&args.benchmark.join("truth.jsonl"))?;
        show(&mut out, &args.embeddings[0], &queries[..args.show.min(queries.len())], &shown)?;
    }
    Ok(())
}

fn row(recalls: &[f64; 3]) -> String {
    recalls.iter().map(|recall| format!("{:>7.1} %", 100.0 * recall)).collect()
}

/// Each run, and how far runs are apart.
fn spread(out: &mut impl Write, folders: &[PathBuf], runs: &[[f64; 3]]) -> Result<()> {
    for (folder, run) in folders.iter().zip(runs) {
        writeln!(out, "  {:<30}{}", folder.display(), row(run))?;
    }
    let of = |fold: fn(f64, f64) -> f64, first: f64| {
        [0, 1, 2].map(|at| runs.iter().map(|run| run[at]).fold(first, fold))
    };
    let (least, most) = (of(f64::min, f64::MAX), of(f64::max, f64::MIN));
    writeln!(out, "  {:<30}{}", "standard deviation", row(&deviation(runs)))?;
    writeln!(out, "  {:<30}{}", "least", row(&least))?;
    Ok(writeln!(out, "  {:<30}{}", "most", row(&most))?)
}

/// That of the population the runs are a sample of.
fn deviation(runs: &[[f64; 3]]) -> [f64; 3] {
    let mean = mean(runs);
    [0, 1, 2].map(|at| {
        let squares = runs.iter().map(|run| (run[at] - mean[at]).powi(2));
        (squares.sum::<f64>() / (runs.len() - 1) as f64).sqrt()
    })
}

/// Mean R@1 in the order of [`WAYS`] against what they have to be.
fn check(firsts: &[f64]) -> Result<()> {
    let composed = firsts[0];
    ensure!(composed >= LEAST, "{}: R@1 {:.1} % is below 50 %", WAYS[0].1, 100.0 * composed);
    for (first, (_, name)) in firsts.iter().zip(WAYS).skip(1) {
        let half = 50.0 * composed;
        ensure!(100.0 * first <= half, "{name}: R@1 {:.1} % is above {half:.1} %", 100.0 * first);
    }
    Ok(())
}

fn mean(runs: &[[f64; 3]]) -> [f64; 3] {
    [0, 1, 2].map(|at| runs.iter().map(|run| run[at]).sum::<f64>() / runs.len() as f64)
}

/// Shares of queries whose target is the first, among five, among ten. A tie is a miss.
fn recall(folder: &Path, way: &str, queries: &[Query]) -> Result<[f64; 3]> {
    let gallery = Embeddings::read(&folder.join("gallery.parquet"))?;
    let asked = Embeddings::read(&folder.join(format!("{way}.parquet")))?;
    ensure!(asked.ids.len() == queries.len(), "{way}: not all queries are embedded");
    let mut ranks = Vec::new();
    for (query, vector) in queries.iter().zip(&asked.vectors) {
        // An image without a text is embedded as in the gallery, so it finds itself.
        let left_out = (way == "image_only").then_some(query.image.as_str());
        let found = gallery.ranked(vector);
        let target = found.iter().find(|(id, _)| *id == query.target);
        let (_, score) = target.with_context(|| format!("{}: no such image", query.target))?;
        let is_rival = |(id, rival): &&(&str, f32)| {
            *id != query.target && Some(*id) != left_out && rival >= score
        };
        ranks.push(found.iter().filter(is_rival).count());
    }
    let within = |k| ranks.iter().filter(|&&rank| rank < k).count() as f64 / ranks.len() as f64;
    Ok([1, 5, 10].map(within))
}

/// Queries in words, and the first three that they find.
fn show(out: &mut impl Write, folder: &Path, queries: &[Query], shown: &[Shown]) -> Result<()> {
    let alts: HashMap<&str, &str> =
        shown.iter().map(|shown| (shown.id.as_str(), shown.alt.as_str())).collect();
    let gallery = Embeddings::read(&folder.join("gallery.parquet"))?;
    let asked = Embeddings::read(&folder.join("queries.parquet"))?;
    for query in queries {
        let at = asked.ids.iter().position(|id| *id == query.id);
        let vector = &asked.vectors[at.with_context(|| format!("{} is not embedded", query.id))?];
        writeln!(out, "\n{}\n  + \"{}\"", alts[query.image.as_str()], query.text)?;
        for (place, (id, _)) in gallery.ranked(vector).into_iter().take(3).enumerate() {
            let mark = if id == query.target { "  <- target" } else { "" };
            writeln!(out, "  {}. {}{mark}", place + 1, alts[id])?;
        }
    }
    Ok(())
}

impl Embeddings {
    fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let (mut ids, mut vectors) = (Vec::new(), Vec::new());
        for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
            let batch = batch?;
            let names = batch.column_by_name("id").context("no column id")?;
            ids.extend(names.as_string::<i32>().iter().flatten().map(str::to_owned));
            let lists = batch.column_by_name("embedding").context("no column embedding")?;
            let lists = lists.as_list::<i32>();
            for at in 0..lists.len() {
                vectors.push(lists.value(at).as_primitive::<Float32Type>().values().to_vec());
            }
        }
        Ok(Self { ids, vectors })
    }

    /// All ids with their similarity to a vector, the most similar first.
    fn ranked(&self, query: &[f32]) -> Vec<(&str, f32)> {
        let score = |vector: &Vec<f32>| vector.iter().zip(query).map(|(a, b)| a * b).sum();
        let scores = self.vectors.iter().map(score);
        let mut all: Vec<(&str, f32)> = self.ids.iter().map(String::as_str).zip(scores).collect();
        all.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        all
    }
}

fn lines<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    BufReader::new(file).lines().map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_missed_by_too_little_and_by_shortcuts() {
        check(&[0.5, 0.25, 0.1]).unwrap();
        let problem = |firsts: [f64; 3]| check(&firsts).unwrap_err().to_string();
        assert_eq!(problem([0.49, 0.1, 0.1]), "image + instruction: R@1 49.0 % is below 50 %");
        assert!(problem([0.6, 0.31, 0.1]).starts_with("image alone"));
        assert!(problem([0.6, 0.1, 0.31]).starts_with("instruction alone"));
    }

    #[test]
    fn a_spread_is_that_of_a_sample() {
        let runs = [[0.1, 0.5, 1.0], [0.2, 0.5, 1.0], [0.3, 0.5, 1.0]];
        let [first, same, _] = deviation(&runs);
        assert!((first - 0.1).abs() < 1e-12 && same == 0.0, "{first} {same}");
    }
}
