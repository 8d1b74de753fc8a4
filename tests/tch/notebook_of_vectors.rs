//! The notebook that embeds in Python, against `search embed`.

use serde_json::json;

use crate::embed::{embeddings, search};
use crate::notebook::{found, mined};
use crate::support::{python, run};
use crate::train::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn embedding_in_python_gives_the_vectors_of_search_embed() {
    let Some(python) = python() else { return };
    let (mined, tables) = mined(1).await;
    let bench = tokio::task::spawn_blocking(|| {
        let bench = Bench::new();
        bench.succeed("model", &["run.steps=6", "eval.every=3", "optimizer.lr_new=1e-2"]);
        bench
    });
    let bench = bench.await.unwrap();
    let (out, model) = (mined.folder.path().join("run"), bench.at("model"));
    let embedded = found(&python, "embed", &[("RUN", &*out), ("CHECKPOINT", &*model)]).await;

    let rows = tables.triplets.len().min(256);
    assert_eq!(embedded["saved"], json!(rows));
    let recall = embedded["recall"].as_array().unwrap();
    assert_eq!(recall.len(), 3);
    for (line, k) in recall.iter().flat_map(|line| ["R@1", "R@5", "R@10"].map(|k| (line, k))) {
        assert!((0.0..=1.0).contains(&line[k].as_f64().unwrap()), "{line}");
    }
    // Decoders of JPEG differ by a level here and there, so vectors are close and not equal.
    let named =
        |triplet: &&magiclens::table::Triplet| triplet.triplet_id == embedded["triplets"][0];
    let triplet = tables.triplets.iter().find(named).unwrap();
    std::fs::write(bench.at("query.jpg"), &triplet.query_image.as_ref().unwrap().bytes).unwrap();
    let line = json!({ "id": "0", "image": "query.jpg", "text": triplet.instruction });
    std::fs::write(bench.at("list.jsonl"), line.to_string()).unwrap();
    let mut command = search(bench.folder.path());
    command.arg("embed").arg("--model").arg(&model);
    command.args(["--queries", "list.jsonl", "--out", "ours.parquet"]);
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (_, ours) = embeddings(&bench.at("ours.parquet")).remove(0);
    let theirs = embedded["queries"][0].as_array().unwrap();
    let theirs: Vec<_> = theirs.iter().map(|number| number.as_f64().unwrap() as f32).collect();
    assert_eq!(json!(theirs.len()), embedded["width"]);
    let cosine: f32 = ours.iter().zip(&theirs).map(|(a, b)| a * b).sum();
    assert!(cosine > 0.999, "{cosine}");
    let other = embedded["queries"][1].as_array().unwrap();
    let other: f64 = ours.iter().zip(other).map(|(a, b)| f64::from(*a) * b.as_f64().unwrap()).sum();
    assert!(other < 0.999, "any two queries are as close: {other}");
}
