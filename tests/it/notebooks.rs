//! The notebooks, from top to bottom, over a mined world; what they found against the tables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::notebook::{found, mined};
use crate::source::root;
use crate::support::{python, run, soak};

fn notebooks() -> Vec<PathBuf> {
    let files = std::fs::read_dir(root().join("notebooks")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "ipynb"));
    files.sort();
    files
}

/// Returns true if Python imports a module. `make soak` installs all of them, so there it must.
async fn has_module(python: &Path, name: &str) -> bool {
    let mut command = Command::new(python);
    // Isolated: a folder of this name in the working directory would be a module without content.
    command.args(["-I", "-c", &format!("import {name}")]);
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
