//! `evaluate` on miniature benchmarks in the official layouts: what it ranks and measures is worked out again
//! from `search embed`'s vectors, in the plainest way.

mod layouts;
mod lists;
mod official;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use magiclens::model::ModelConfig;
use serde_json::{Value, json};

use crate::bounds::{F32, assert_within, likely, roundings};
use crate::embed::embeddings;
use crate::search::{Place, said, scenes};

/// `evaluate ARGUMENTS` on the CPU.
pub fn evaluate(place: &Place, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evaluate"));
    command.env("OMP_NUM_THREADS", "1").env("CUDA_VISIBLE_DEVICES", "");
    command.current_dir(place.folder.path()).stdin(Stdio::null()).args(arguments);
    command.output().unwrap()
}

/// The same with `--data data --out out`, with exit code 0; what it prints.
pub fn measured(place: &Place, benchmark: &str, arguments: &[&str]) -> String {
    let fixed = ["--benchmark", benchmark, "--data", "data", "--out", "out"];
    let output = evaluate(place, &[&fixed, arguments].concat());
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Writes a file below `data`, with its folders.
pub fn put(place: &Place, name: &str, content: impl AsRef<[u8]>) {
    let path = place.at("data").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Draws an image for each name.
pub fn draw(place: &Place, names: impl IntoIterator<Item = String>) {
    for (name, bytes) in names.into_iter().zip(scenes()) {
        put(place, &name, bytes);
    }
}

/// A file of JSON.
pub fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Percent by measure, from `metrics.json`.
pub fn percents(place: &Place) -> BTreeMap<String, f64> {
    let metrics = json_of(&place.at("out/metrics.json"));
    let all = metrics["measures"].as_array().unwrap().iter();
    all.map(|m| (m["name"].as_str().unwrap().to_owned(), m["percent"].as_f64().unwrap())).collect()
}

/// The lines of `rankings.jsonl`.
pub fn rankings(place: &Place) -> Vec<Value> {
    let text = std::fs::read_to_string(place.at("out/rankings.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Images of a ranking.
pub fn names(ranking: &Value) -> Vec<String> {
    let pairs = ranking.as_array().unwrap().iter();
    pairs.map(|pair| pair[0].as_str().unwrap().to_owned()).collect()
}

/// Vectors of (image below `data`, text), by `search embed`.
pub fn vectors(place: &Place, asked: &[(&str, &str)]) -> Vec<Vec<f32>> {
    let line = |(id, (image, text)): (usize, &(&str, &str))| {
        format!(
            "{}\n",
            json!({ "id": id.to_string(), "image": format!("data/{image}"), "text": text })
        )
    };
    let lines: String = asked.iter().enumerate().map(line).collect();
    std::fs::write(place.at("list.jsonl"), lines).unwrap();
    let arguments = ["embed", "--model", "model", "--queries", "list.jsonl", "--out", "v.parquet"];
    let output = place.run(&arguments);
    assert!(output.status.success(), "{}", said(&output));
    embeddings(&place.at("v.parquet")).into_iter().map(|(_, vector)| vector).collect()
}

/// Gallery images by falling score, as (name, score).
pub fn ranked(query: &[f32], gallery: &[(String, Vec<f32>)]) -> Vec<(String, f32)> {
    let score = |vector: &Vec<f32>| vector.iter().zip(query).map(|(a, b)| a * b).sum();
    let mut all: Vec<(String, f32)> =
        gallery.iter().map(|(name, vector)| (name.clone(), score(vector))).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all
}

/// Asserts that a ranking has exactly these images with these scores. Images may change places if their
/// scores differ by no more than the rounding errors of the model.
pub fn assert_ranked(ranking: &Value, expected: &[(String, f32)]) {
    let scores: BTreeMap<&str, f64> =
        expected.iter().map(|(name, score)| (name.as_str(), f64::from(*score))).collect();
    let ranked = names(ranking);
    let distinct: BTreeSet<&str> = ranked.iter().map(String::as_str).collect();
    assert!(distinct.into_iter().eq(scores.keys().copied()), "{ranking} and {expected:?}");
    assert_eq!(ranked.len(), expected.len());
    for (pair, (_, at_place)) in ranking.as_array().unwrap().iter().zip(expected) {
        let score = scores[pair[0].as_str().unwrap()];
        let within = scores_within();
        assert_within((pair[1].as_f64().unwrap() - score).abs(), within, pair);
        assert_within((score - f64::from(*at_place)).abs(), 2.0 * within, pair);
    }
}

/// The bound of scores: products of unit vectors that a model gives.
fn scores_within() -> f64 {
    let config = ModelConfig::tiny();
    likely(F32, roundings(&config) + config.clip.embed_dim as usize)
}
