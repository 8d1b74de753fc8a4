//! `mine` with vectors of an embeddings endpoint to compare by.

mod benchmarks;
mod endpoint;
mod faults;
#[cfg(not(feature = "torch"))]
mod without;

use std::collections::HashSet;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::model_server::{Call, ModelServer};
use crate::support::Mined;
use crate::vectors::{check_cosines, done, options, refused, set};

/// Numbers of a vector of the server.
const WIDTH: usize = 8;

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
