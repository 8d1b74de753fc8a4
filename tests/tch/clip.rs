//! Vectors of CLIP's towers, computed here.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use magiclens::model::{MagicLens, ModelConfig};

use crate::bounds::{F32, assert_within, likely, tower_roundings};
use crate::embed::{apart, largest};
use crate::kept_out::{BLIND, card, kept_out, plant};
use crate::support::{Mined, mine};
use crate::vectors::{check_cosines, done, dot, dot_within, options, refused, set};

/// A run whose pairs are compared by CLIP.
fn by_clip(mined: &Mined, out: &str, batch: &str) -> Command {
    let mut command = mined.command(out);
    set(
        &mut command,
        &[("pair.similarity", "clip"), ("embed.weights", "clip"), ("embed.batch", batch)],
    );
    command.env("OMP_NUM_THREADS", "1").env("CUDA_VISIBLE_DEVICES", "");
    command
}

fn save(path: &Path, seed: i64) {
    MagicLens::new(&ModelConfig::tiny(), tch::Device::Cpu, seed).save(path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn clip_compares_and_its_vectors_do_not_depend_on_the_batch() {
    let mined = Mined::serve(&options()).await;
    save(&mined.folder.path().join("clip"), 7);
    done(by_clip(&mined, "run", "32")).await;
    let tables = mined.tables("run").await;
    assert_eq!(tables.embeddings.len(), tables.descriptions.len());
    for row in &tables.embeddings {
        for vector in [&row.image, &row.text] {
            // Four roundings more where the model makes the length 1.
            assert!((dot(vector, vector) - 1.0).abs() <= dot_within(vector.len() + 4), "{row:?}");
        }
    }
    check_cosines(&tables.pairs, &tables.embeddings);
    // The same image, the same vector.
    let mut by_image: BTreeMap<_, &[f32]> = BTreeMap::new();
    for row in &tables.embeddings {
        let known = by_image.entry(&row.image_id).or_insert(&row.image);
        assert_eq!(*known, row.image);
    }

    done(by_clip(&mined, "again", "32")).await;
    assert_eq!(tables.difference(&mined.tables("again").await), None);
    done(by_clip(&mined, "single", "1")).await;
    let single = mined.tables("single").await;
    let config = ModelConfig::tiny();
    let within = likely(F32, tower_roundings(&config) + config.clip.embed_dim as usize);
    for (one, other) in tables.embeddings.iter().zip(&single.embeddings) {
        assert_eq!((&one.group_id, one.position), (&other.group_id, other.position));
        for (a, b) in [(&one.image, &other.image), (&one.text, &other.text)] {
            assert_within(f64::from(apart(a, b)), within * largest(a), "a vector of another batch");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_finds_its_weights_from_anywhere_and_once_finished_needs_none() {
    let mined = Mined::serve(&options()).await;
    save(&mined.folder.path().join("clip"), 7);
    save(&mined.folder.path().join("other"), 8);
    let mut described = by_clip(&mined, "run", "32");
    described.args(["--stages", "collect..describe"]);
    done(described).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let out = mined.folder.path().join("run");
    let go_on = |settings: &[(&str, &str)], arguments: &[&str]| {
        let mut command = mine(elsewhere.path());
        command.arg("--out").arg(&out).args(arguments);
        set(&mut command, settings);
        command.env("OMP_NUM_THREADS", "1").env("CUDA_VISIBLE_DEVICES", "");
        command
    };
    done(go_on(&[], &[])).await;
    let tables = mined.tables("run").await;
    assert_eq!(tables.embeddings.len(), tables.descriptions.len());

    // Other weights are refused, whichever stage is asked for.
    let other = mined.folder.path().join("other").display().to_string();
    for arguments in [&[][..], &["--stages", "pair"]] {
        let stderr = refused(go_on(&[("embed.weights", &other)], arguments)).await;
        assert!(stderr.contains("embed.weights") && stderr.contains("--redo"), "{stderr}");
    }
    // The same ones under another path are the same.
    std::fs::rename(mined.folder.path().join("clip"), mined.folder.path().join("moved")).unwrap();
    let moved = mined.folder.path().join("moved").display().to_string();
    done(go_on(&[("embed.weights", &moved)], &[])).await;
    std::fs::remove_dir_all(moved).unwrap();
    done(go_on(&[], &["--redo", "pair"])).await;
    assert_eq!(tables.difference(&mined.tables("run").await), None);
    let stderr = refused(go_on(&[], &["--redo", "embed"])).await;
    assert!(stderr.contains("embed.weights"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_that_are_missing_are_said_before_anything_is_fetched() {
    let mined = Mined::serve(&options()).await;
    for (settings, word) in [
        (&[("pair.similarity", "clip")][..], "embed.weights"),
        (&[("pair.similarity", "clip"), ("embed.weights", "nowhere")], "no such file"),
    ] {
        let mut command = mined.command("run");
        set(&mut command, settings);
        let stderr = refused(command).await;
        assert!(stderr.contains(word), "{word}: {stderr}");
    }
    assert!(mined.world.log().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn clip_embeds_a_benchmark_and_without_its_weights_hashes_must_do() {
    let mined = Mined::serve(&options()).await;
    let weights = mined.folder.path().join("clip");
    MagicLens::new(&ModelConfig::tiny(), tch::Device::Cpu, 7).save(&weights).unwrap();
    let command = || {
        let mut command = mined.command("run");
        set(&mut command, &[("pair.similarity", "clip"), ("embed.weights", "clip")]);
        set(&mut command, &BLIND);
        command.env("OMP_NUM_THREADS", "1").env("CUDA_VISIBLE_DEVICES", "");
        command
    };
    kept_out(&mined, command).await;
    // What is kept of the benchmark is enough, until it has another image.
    std::fs::rename(&weights, mined.folder.path().join("away")).unwrap();
    let again = || {
        // The weights are those that the run directory keeps.
        let mut command = mined.command("run");
        command.args(["--decontaminate", "bench", "--redo", "export"]);
        command
    };
    done(again()).await;
    assert!(card(&mined).contains("hashes and cosines of embeddings"), "{}", card(&mined));
    plant(&mined, &mined.tables("run").await, "two.jpg");
    done(again()).await;
    let card = card(&mined);
    assert!(card.contains("hashes only: ") && card.contains("not available"), "{card}");
}
