//! The notebooks, from top to bottom, over a mined world; what they found against the tables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use magiclens_demo::Options;
use serde_json::{Value, json};

use crate::source::root;
use crate::support::{Mined, Tables, python, run, soak};

fn notebooks() -> Vec<PathBuf> {
    let files = std::fs::read_dir(root().join("notebooks")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "ipynb"));
    files.sort();
    files
}

/// Runs a notebook; gives what `tests/notebooks.py` says that it found.
async fn found(python: &Path, name: &str, variables: &[(&str, &Path)]) -> Value {
    let mut command = Command::new(python);
    command.arg(root().join("tests/notebooks.py"));
    command.arg(root().join(format!("notebooks/{name}.ipynb")));
    // Nothing is left beside the notebooks, and whatever the libraries would fetch, they must not need here.
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("HF_HUB_OFFLINE", "1");
    command.envs(variables.iter().copied());
    let output = run(command).await;
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A small mined world with hard negatives.
async fn mined(sites: usize) -> (Mined, Tables) {
    let options = Options { sites, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve_few_parts(&options).await;
    let mut command = mined.command("run");
    command.args(["--set", "export.hard_negatives=2"]);
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = mined.tables("run").await;
    (mined, tables)
}

/// Returns true if Python imports a module. `make soak` installs all of them, so there it must.
async fn has_module(python: &Path, name: &str) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", &format!("import {name}")]);
    let output = run(command).await;
    let found = output.status.success();
    assert!(found || soak(0, 1) == 0, "{}", String::from_utf8_lossy(&output.stderr));
    if !found {
        eprintln!("skipped: this Python has no {name} (make soak installs it)");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn exploring_finds_what_was_mined() {
    let Some(python) = python() else { return };
    let (mined, tables) = mined(2).await;
    let out = mined.folder.path().join("run");
    let variables = [("RUN", &*out)];

    let explored = found(&python, "explore", &variables).await;
    for (table, rows) in [
        ("pages", tables.pages.len()),
        ("images", tables.images.len()),
        ("pairs", tables.pairs.len()),
        ("triplets", tables.triplets.len()),
    ] {
        assert_eq!(explored["funnel"][table][1], json!(rows), "{table}");
        assert!(rows > 20, "{rows} {table}: what is compared has to be something");
    }
    let rejects: usize = tables.rejects.iter().map(|(_, rejects)| rejects.len()).sum();
    assert_eq!((&explored["reasons"], &explored["rejects"]), (&json!(rejects), &json!(rejects)));
    assert_eq!(explored["bounds"]["pair.min_visual"], json!(0.4));
    let words = tables.triplets.iter().map(|triplet| triplet.instruction.split(' ').count());
    assert_eq!(explored["words"], json!(words.sum::<usize>()));
    let domains: BTreeSet<_> = tables.triplets.iter().map(|triplet| &triplet.domain).collect();
    assert_eq!(explored["domains"].as_object().unwrap().keys().collect::<BTreeSet<_>>(), domains);
    assert_eq!((&explored["shown"], &explored["figures"]), (&json!(4), &json!(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn loading_gives_batches_of_all_triplets() {
    let Some(python) = python() else { return };
    if !has_module(&python, "torch").await {
        return;
    }
    let (mined, tables) = mined(2).await;
    let (out, cache) = (mined.folder.path().join("run"), mined.folder.path().join("cache"));
    let variables = [("RUN", &*out), ("HF_DATASETS_CACHE", &*cache)];

    let loaded = found(&python, "load", &variables).await;
    let rows = tables.triplets.len();
    assert_eq!((&loaded["seen"], &loaded["usable"]), (&json!(rows), &json!(rows)));
    let negatives = tables.triplets.iter().filter(|triplet| triplet.hard_negatives.is_some());
    assert_eq!(loaded["with_negatives"], json!(negatives.count()));
    assert_eq!(loaded["shape"], json!([16, 3, 224, 224]));
    assert!(loaded["brightest"].as_f64().unwrap() > 0.5, "all of a batch is black");
    assert_eq!(loaded["indices"], json!((0..rows).collect::<Vec<_>>()));
    assert_eq!(loaded["masked_by_page"], json!(0));
    let loss = loaded["loss"].as_f64().unwrap();
    assert!(loss.is_finite() && loss > 0.0, "{loss}");
}

#[cfg(feature = "torch")]
#[tokio::test(flavor = "multi_thread")]
async fn embedding_in_python_gives_the_vectors_of_search_embed() {
    use crate::embed::{embeddings, search};
    use crate::train::Bench;

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

#[test]
fn notebooks_are_kept_without_outputs() {
    let files = notebooks();
    assert!(files.len() >= 3, "{files:?}");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let notebook: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&notebook["nbformat"], &notebook["nbformat_minor"]), (&json!(4), &json!(5)));
        let metadata: Vec<_> = notebook["metadata"].as_object().unwrap().keys().collect();
        assert_eq!(metadata, ["kernelspec", "language_info"], "{}", path.display());
        let mut ids = BTreeSet::new();
        for cell in notebook["cells"].as_array().unwrap() {
            let id = cell["id"].as_str().unwrap();
            assert!(ids.insert(id), "{}: {id} comes twice", path.display());
            assert_eq!(cell["metadata"], json!({}), "{}: {id}", path.display());
            if cell["cell_type"] == "code" {
                assert_eq!(cell["outputs"], json!([]), "{}: {id}", path.display());
                assert_eq!(cell["execution_count"], Value::Null, "{}: {id}", path.display());
            }
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let runner = include_str!("../notebooks.py");
        assert!(runner.contains(&format!("\"{name}\": ")), "no test runs {name}");
    }
}
