//! Recipes: what cannot change in a run, what is no key, and what a dry run says.

use std::process::Output;

use super::bench::{Bench, said};

/// A run of a few steps.
const SHORT: &[&str] = &["run.steps=3", "optimizer.warmup_steps=1", "eval.every=0"];

/// Fails unless a command was refused for its configuration, in one line with these words.
fn assert_misconfigured(output: &Output, words: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{words:?} in {said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("train: ")).count(), 1, "{said}");
}

#[test]
fn what_would_bend_the_curve_cannot_change_on_the_way() {
    let bench = Bench::new();
    bench.succeed("run", SHORT);
    let whole = std::fs::read(bench.at("run/log.jsonl")).unwrap();
    for (set, words) in [
        ("optimizer.lr_new=0.5", "optimizer.lr_new is 0.001 in the run that is resumed"),
        ("batch.size=32", "batch.size is 16 in the run that is resumed"),
        ("run.seed=6", "run.seed is 5 in the run that is resumed"),
        ("loss.query_negatives=false", "loss.query_negatives is true in the run that is resumed"),
    ] {
        let output = bench.run("run", &[SHORT, &[set]].concat());
        assert_misconfigured(&output, &[words, "give another --out"]);
    }
    assert_eq!(std::fs::read(bench.at("run/log.jsonl")).unwrap(), whole);
    bench.assert_whole("run", 3);
    // Cadence and chunks are free to change.
    let free = [
        "batch.chunk=16",
        "batch.recompute_blocks=1",
        "checkpoint.every=2",
        "log.every=2",
        "data.workers=1",
    ];
    bench.succeed("run", &[SHORT, &free].concat());
}

#[test]
fn the_folder_alone_is_enough_to_go_on() {
    let bench = Bench::new();
    let sets = ["run.steps=8", "checkpoint.every=3"];
    bench.succeed("whole", &sets);
    let mut child = super::bench::spawn(bench.command_with("run", &sets));
    bench.await_step("run", 4, &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut command = super::bench::train(bench.folder.path());
    let output = command.args(["--out", "run"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    super::bench::assert_same_curve(&bench.curve("whole"), &bench.curve("run"));
}

#[test]
fn what_is_no_key_or_no_value_is_refused_before_anything_is_made() {
    let bench = Bench::new();
    for (set, word) in [
        ("optimizer.lr_old=1", "lr_old"),
        ("optimiser.lr_new=1", "optimiser"),
        ("batch.size=none", "batch.size"),
        ("batch.chunk=0", "batch.chunk"),
        ("model.weights=\"no-such-clip\"", "no-such-clip"),
        ("model.config=\"no-such-sizes.json\"", "no-such-sizes.json"),
    ] {
        let output = bench.run("run", &[set]);
        assert_misconfigured(&output, &[word]);
        assert!(!bench.at("run").exists(), "{set} left a folder");
    }
    let mut command = super::bench::train(bench.folder.path());
    let output = command.args(["--out", "run", "--recipe", "none.toml"]).output().unwrap();
    assert_misconfigured(&output, &["none.toml"]);
    let mut command = super::bench::train(bench.folder.path());
    let output = command.args(["--out", "run", "--recipe", "recipe.toml"]).output().unwrap();
    assert_misconfigured(&output, &["data.shards"]);
    assert!(!bench.at("run").exists());
}

#[test]
fn a_dry_run_says_what_it_takes_and_leaves_nothing() {
    let bench = Bench::new();
    let mut command = bench.command("run");
    let output = command.arg("--dry-run").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).trim()[name.len()..].trim().to_owned()
    };
    let (_, tiny) = bench_parameters(&bench);
    assert_eq!(value("parameters").replace(',', ""), tiny.to_string());
    assert_eq!(value("steps"), "24 of 16");
    assert_eq!(value("passes"), "2.40 over 160 triplets");
    for part in ["memory, about", "weights", "optimizer", "activations", "a triplet"] {
        assert!(!value(part).is_empty());
    }
    assert!(!bench.at("run").exists(), "a dry run made a folder");
    // Without shards it says all but the passes.
    let mut command = super::bench::train(bench.folder.path());
    command.args(["--out", "run", "--recipe", "recipe.toml", "--dry-run"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("passes"));
}

/// Numbers in the weights that a run of no steps writes, and how many tensors they are in.
fn bench_parameters(bench: &Bench) -> (usize, usize) {
    bench.succeed("weights", &["run.steps=0", "optimizer.warmup_steps=0", "eval.every=0"]);
    let path = bench.checkpoint("weights", 0).join("model.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let sizes = file.tensors().into_iter().map(|(_, view)| view.shape().iter().product::<usize>());
    (file.len(), sizes.sum())
}
