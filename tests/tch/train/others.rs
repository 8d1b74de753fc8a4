//! What a run leaves is open to others: TensorBoard's records and safetensors, read in Python.

use std::path::Path;
use std::process::{Command, Output};

use magiclens::model::ModelConfig;
use magiclens::model::tokenizer::Tokenizer;
use magiclens_demo::picture::{Format, Picture};
use magiclens_demo::{Rng, Scene};
use serde_json::Value;

use super::bench::{Bench, STEPS, said, terminate};
use crate::embed::{assert_same_vector, embeddings, search};
use crate::support::python;

/// Prints `{tag: [[step, value], …]}` of a folder of event files.
const READ_EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read_events.py");

/// The example that users are pointed to.
const LOADER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/load_magiclens.py");

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A tag's curve as the log has it, in the precision of event files.
fn logged(bench: &Bench, out: &str, tag: &str) -> Value {
    let curve = bench.curve(out);
    let points = curve.iter().filter_map(|point| Some((point["step"], *point.get(tag)? as f32)));
    points.map(|(step, value)| serde_json::json!([step as u64, f64::from(value)])).collect()
}

#[test]
fn the_curves_of_a_resumed_run_are_read_from_its_event_files() {
    let Some(python) = python() else { return };
    let bench = Bench::new();
    let mut child = bench.start("run");
    bench.await_step("run", 7, &mut child);
    // Steps after the last checkpoint are in the first file, and come again in the second.
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = bench.start("run");
    bench.await_step("run", 13, &mut child);
    terminate(&child);
    assert!(child.wait().unwrap().success());
    bench.succeed("run", &[]);
    let events = bench.at("run/events");
    assert_eq!(std::fs::read_dir(&events).unwrap().count(), 3);
    let read = json(&Command::new(python).arg(READ_EVENTS).arg(events).output().unwrap());
    for tag in ["train/loss", "train/accuracy", "train/rate_new", "val/recall@5"] {
        assert_eq!(read[tag], logged(&bench, "run", tag), "{tag}");
    }
    assert_eq!(read["train/loss"].as_array().unwrap().len() as u64, STEPS);
    assert_eq!(read["val/recall@1"].as_array().unwrap().len(), 4);
    assert!(read["recipe"][0][1].as_str().unwrap().contains("warmup_steps = 4"), "{read}");
}

#[test]
fn a_checkpoint_loads_in_python_and_embeds_the_same() {
    let Some(python) = python() else { return };
    let bench = Bench::new();
    bench.succeed("run", &["run.steps=6", "eval.every=3", "optimizer.lr_new=1e-2"]);
    // Lossless, for the two decoders of JPEG differ.
    let scene = Scene::random(&mut Rng::new(8));
    let picture = Picture::of(scene, (90, 60)).saved_as(Format::Png);
    std::fs::write(bench.at("photo.png"), picture.bytes().unwrap()).unwrap();
    let text = "The same barn at night";
    let list = [("bare", ""), ("asked", text)].map(|(id, text)| {
        serde_json::json!({ "id": id, "image": "photo.png", "text": text }).to_string() + "\n"
    });
    std::fs::write(bench.at("list.jsonl"), list.concat()).unwrap();
    let checkpoint = bench.checkpoint("run", 6);
    let mut command = search(bench.folder.path());
    command.arg("embed").arg("--model").arg(&checkpoint);
    let output = command.args(["--queries", "list.jsonl", "--out", "e.parquet"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let ours = embeddings(&bench.at("e.parquet"));
    let config = ModelConfig::read(&bench.at("sizes.json")).unwrap();
    for (text, (id, ours)) in ["", text].into_iter().zip(ours) {
        let theirs = load(&python, &checkpoint, &bench.at("photo.png"), text);
        assert_same_vector(&ours, &theirs, &config, &id);
    }
}

/// What the example in Python makes of an image and a text.
fn load(python: &Path, checkpoint: &Path, image: &Path, text: &str) -> Vec<f32> {
    let ids = Tokenizer::clip().encode(text).ids;
    let mut command = Command::new(python);
    command.arg(LOADER).arg(checkpoint).arg("--image").arg(image).arg("--ids");
    let output = command.args(ids.iter().map(u32::to_string)).output().unwrap();
    let numbers = json(&output);
    let numbers = numbers.as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap() as f32).collect()
}
