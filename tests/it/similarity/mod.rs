//! `mine` with vectors of a model to compare by: from an embeddings endpoint, and from CLIP's towers here.

mod benchmarks;
#[cfg(feature = "torch")]
mod clip;
mod endpoint;
mod faults;
#[cfg(not(feature = "torch"))]
mod without;

use std::collections::{BTreeMap, HashSet};
use std::process::Command;

use magiclens::record::{Embedding, Pair};
use magiclens_demo::Options;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::model_server::{Call, ModelServer};
use crate::support::{Mined, run};

/// Numbers of a vector of the server.
const WIDTH: usize = 8;

fn options() -> Options {
    Options { sites: 2, odd: false, hostile: false, ..Options::default() }
}

/// What a call wants vectors of.
fn inputs(body: &Value) -> Vec<String> {
    if let Some(image) = body.pointer("/messages/0/content/0/image_url/url") {
        return vec![image.as_str().unwrap().to_owned()];
    }
    let input = body["input"].as_array().expect("a list of inputs");
    input.iter().map(|input| input.as_str().unwrap().to_owned()).collect()
}

/// A direction that the content decides, near enough to all others to be a pair's.
fn vector(content: &str) -> Vec<f64> {
    let digest = Sha256::digest(content);
    let number = |at: usize| f64::from(digest[at]) / 255.0 - 0.5;
    (0..WIDTH).map(|at| if at == 0 { 1.5 } else { number(at) }).collect()
}

/// All vectors of a call, the last one first.
fn vectors(call: &Call) -> Value {
    assert_eq!(call.path, "/v1/embeddings");
    assert_eq!(call.body["model"], "test-model");
    let all = inputs(&call.body).into_iter().enumerate();
    let mut data: Vec<Value> = all
        .map(|(index, input)| {
            if call.body["modality"] == "image" {
                assert!(input.starts_with("data:image/"), "{input:.40}");
            }
            json!({ "object": "embedding", "index": index, "embedding": vector(&input) })
        })
        .collect();
    data.reverse();
    json!({ "object": "list", "data": data, "usage": { "prompt_tokens": 5, "total_tokens": 5 } })
}

fn set(command: &mut Command, pairs: &[(&str, &str)]) {
    for (key, value) in pairs {
        command.arg("--set").arg(format!("{key}={value}"));
    }
}

/// A run whose pairs are compared by the server's vectors.
fn by_endpoint(mined: &Mined, server: &ModelServer, out: &str) -> Command {
    let mut command = mined.command(out);
    set(
        &mut command,
        &[
            ("pair.similarity", "endpoint"),
            ("embed.batch", "8"),
            ("embed.endpoint.base_url", &server.url()),
            ("embed.endpoint.model", "test-model"),
        ],
    );
    command
}

async fn done(command: Command) -> String {
    let output = run(command).await;
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The most that two dot products of the same unit vectors differ by, whatever the order of addition:
/// each rounding is half an epsilon of the products' absolute values, which add up to 1 at most.
fn dot_within(width: usize) -> f32 {
    (width + 1) as f32 * f32::EPSILON
}

/// Every pair's similarities are the cosines of its rows of `embeddings`.
fn check_cosines(pairs: &[Pair], embeddings: &[Embedding]) {
    let by_place: BTreeMap<_, _> =
        embeddings.iter().map(|row| ((row.group_id.as_str(), row.position), row)).collect();
    for pair in pairs {
        let of = |position| by_place[&(pair.group_id.as_str(), position)];
        let (query, target) = (of(pair.query_position), of(pair.target_position));
        for (query, target, cosine) in [
            (&query.image, &target.image, pair.visual_similarity),
            (&query.text, &target.text, pair.text_similarity),
        ] {
            let apart = (dot(query, target) - cosine).abs();
            assert!(apart <= dot_within(query.len()), "{apart}: {pair:?}");
        }
    }
}

/// A run that must end with exit code 3; what it says.
async fn refused(command: Command) -> String {
    let output = run(command).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    stderr
}

/// The names of vectors that a run's journals hold, by part.
fn kept_vectors(mined: &Mined, out: &str) -> Vec<Vec<String>> {
    let folder = mined.folder.path().join(out).join("replies/embed");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let journals = files.filter(|path| path.extension().is_some_and(|name| name == "jsonl"));
    let keys = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        // A line that a kill cut short is none.
        let replies = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let vectors = replies.filter(|reply| reply["ended"] == "said");
        vectors.map(|reply| reply["key"].as_str().unwrap().to_owned()).collect()
    };
    journals.map(keys).collect()
}

/// Inputs of all bodies.
fn sent(bodies: &[String]) -> usize {
    bodies.iter().map(|body| inputs(&serde_json::from_str(body).unwrap()).len()).sum()
}

/// How many different images and texts a run has vectors of.
fn known(mined: &Mined, out: &str) -> usize {
    kept_vectors(mined, out).into_iter().flatten().collect::<HashSet<_>>().len()
}

/// Each image and each text was sent once, whatever its part, and is kept in each part that has it.
fn check_sent_once(mined: &Mined, out: &str, server: &ModelServer) {
    for part in kept_vectors(mined, out) {
        assert_eq!(part.iter().collect::<HashSet<_>>().len(), part.len(), "kept twice");
    }
    assert_eq!(sent(&server.bodies()), known(mined, out));
}
