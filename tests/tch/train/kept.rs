//! What a run leaves is what was measured: the best checkpoint, averages, preprocessing, counts.

use std::path::Path;

use magiclens_demo::picture::{Format, Picture};
use magiclens_demo::{Rng, Scene};
use safetensors::SafeTensors;

use super::bench::{Bench, EVEN, assert_near_curve, floats, said, spawn, terminate};
use crate::bounds::{F32, assert_within, guaranteed};
use crate::embed::{embeddings, search};

/// All numbers of a file, in the order of names.
fn numbers(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort();
    names
        .iter()
        .flat_map(|name| floats(file.tensor(name).unwrap().data()).collect::<Vec<_>>())
        .collect()
}

/// What `search embed` makes of a picture and a text.
fn embedded(bench: &Bench, model: &Path, more: &[&str]) -> Vec<f32> {
    let scene = Scene::random(&mut Rng::new(8));
    let picture = Picture::of(scene, (90, 60)).saved_as(Format::Png);
    std::fs::write(bench.at("photo.png"), picture.bytes().unwrap()).unwrap();
    let line = serde_json::json!({ "id": "one", "image": "photo.png", "text": "at night" });
    std::fs::write(bench.at("list.jsonl"), format!("{line}\n")).unwrap();
    let mut command = search(bench.folder.path());
    command.arg("embed").arg("--model").arg(model).args(more);
    let output = command.args(["--queries", "list.jsonl", "--out", "e.parquet"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    embeddings(&bench.at("e.parquet")).remove(0).1
}

/// The mean of the three recalls of each validation, by step.
fn scores(bench: &Bench, out: &str) -> Vec<(u64, f64)> {
    let recalls = ["val/recall@1", "val/recall@5", "val/recall@10"];
    let curve = bench.curve(out).into_iter().filter(|point| point.contains_key(recalls[0]));
    curve
        .map(|point| (point["step"] as u64, recalls.iter().map(|name| point[*name]).sum()))
        .collect()
}

#[test]
fn the_best_checkpoint_is_kept_where_none_is_due() {
    let bench = Bench::new();
    let sets = ["checkpoint.every=1000", "eval.every=3"];
    let mut child = spawn(bench.command_with("run", &sets));
    bench.await_step("run", 4, &mut child);
    terminate(&child);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let stopped = bench.pointer("run", "latest.json");
    assert!(stopped >= 4, "{stopped}");
    let best = |scores: &[(u64, f64)]| {
        let most = scores.iter().map(|(_, score)| *score).fold(f64::MIN, f64::max);
        scores.iter().find(|(_, score)| *score == most).unwrap().0
    };
    let first = scores(&bench, "run");
    assert_eq!(bench.pointer("run", "best.json"), best(&first), "{first:?}");
    bench.assert_whole("run", best(&first));
    bench.succeed("run", &sets);
    let all = scores(&bench, "run");
    assert!(all.len() >= 8, "{all:?}");
    assert_eq!(bench.pointer("run", "best.json"), best(&all), "{all:?}");
    bench.assert_whole("run", best(&all));
}

#[test]
fn the_averages_that_were_validated_are_what_is_loaded() {
    let bench = Bench::new();
    bench.succeed(
        "run",
        &["run.steps=4", "checkpoint.every=1", "checkpoint.keep=9", "eval.every=4"],
    );
    let of = |step, name: &str| numbers(&bench.checkpoint("run", step).join(name));
    let (before, average) = (of(3, "model.safetensors"), of(4, "model.safetensors"));
    let learning = of(4, "learning.safetensors");
    assert_eq!(before.len(), learning.len());
    let mut moved = 0;
    for ((before, average), learning) in before.iter().zip(&average).zip(&learning) {
        let expected = 0.9 * before + 0.1 * learning;
        // The share of either, their sum and the constants, here and there.
        let within = guaranteed(F32, 4) * f64::from(before.abs().max(learning.abs()));
        assert_within(f64::from((average - expected).abs()), within, "an average");
        moved += usize::from((average - learning).abs() > 1e-5);
    }
    assert!(moved > 1000, "{moved} numbers differ from their averages");
    // The run as its folder names the model, and so do its files by themselves.
    let checkpoint = bench.checkpoint("run", 4);
    let run = embedded(&bench, &bench.at("run"), &[]);
    assert_eq!(run, embedded(&bench, &checkpoint.join("model.safetensors"), &[]));
    assert_ne!(run, embedded(&bench, &checkpoint.join("learning.safetensors"), &[]));
    // Without averages there is one file, and it is what learned.
    bench.succeed(
        "plain",
        &["run.steps=1", "ema.decay=0", "optimizer.warmup_steps=1", "eval.every=0"],
    );
    assert!(!bench.checkpoint("plain", 1).join("learning.safetensors").exists());
}

#[test]
fn a_checkpoint_says_how_its_images_become_tensors() {
    let bench = Bench::new();
    let short = ["run.steps=1", "optimizer.warmup_steps=1", "eval.every=0"];
    bench.succeed("run", &[&short[..], &["model.preprocess=\"clip\""]].concat());
    let model = bench.at("run");
    let clip = embedded(&bench, &model, &["--preprocess", "clip"]);
    assert_eq!(embedded(&bench, &model, &[]), clip);
    assert_ne!(embedded(&bench, &model, &["--preprocess", "released"]), clip);
    bench.succeed("released", &short);
    let model = bench.at("released");
    let released = embedded(&bench, &model, &["--preprocess", "released"]);
    assert_eq!(embedded(&bench, &model, &[]), released);
    assert_ne!(embedded(&bench, &model, &["--preprocess", "clip"]), released);
}

#[test]
fn flags_stand_for_keys_and_set_is_stronger() {
    let bench = Bench::new();
    let run = |out: &str, flags: &[&str]| {
        let mut command = bench.command_with(out, &["run.steps=4"]);
        let output = command.args(flags).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let curve = bench.curve(out);
        // The last line may be of a validation.
        let masked = *curve.iter().rev().find_map(|point| point.get("total/masked")).unwrap();
        (masked, scores(&bench, out).into_iter().map(|(step, _)| step).collect::<Vec<_>>())
    };
    let (masked, validated) = run("plain", &["--mask", "none", "--eval-every", "2"]);
    assert_eq!((masked, validated), (0.0, vec![2, 4]));
    let flags = ["--mask", "cluster", "--eval-every", "2", "--set", "eval.every=3"];
    let (masked, validated) = run("set", &flags);
    assert!(masked > 0.0);
    assert_eq!(validated, [3, 4]);
}

#[test]
fn what_is_left_out_or_cut_is_counted_in_the_log_and_at_the_end() {
    let bench = Bench::new();
    // A window of one batch cannot keep the two triplets of a page apart.
    let sets = ["data.shuffle_window=16", "eval.every=0"];
    let output = bench.succeed("run", &sets);
    let curve = bench.curve("run");
    let state = bench.state("run", super::bench::STEPS);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let line = stdout.lines().find(|line| line.starts_with("in all")).unwrap();
    let names = ["undecodable", "cut_texts", "shared_pages", "masked"];
    let words = ["undecodable", "texts cut", "of a page seen in the batch", "logits masked"];
    for (name, words) in names.into_iter().zip(words) {
        let tag = format!("total/{name}");
        let counts: Vec<f64> = curve.iter().map(|point| point[&tag]).collect();
        assert!(counts.is_sorted() && counts[0] < counts[counts.len() - 1], "{name}: {counts:?}");
        let all = state["counters"][name].as_u64().unwrap();
        assert_eq!(counts.last(), Some(&(all as f64)), "{name}");
        assert!(line.contains(&format!(" {all} {words}")), "{line}");
    }
    // A wider one can.
    bench.succeed("apart", &["run.steps=6", "eval.every=0"]);
    assert_eq!(bench.state("apart", 6)["counters"]["shared_pages"], 0);
}

#[test]
fn blocks_that_are_computed_again_change_memory_and_not_the_curve() {
    let bench = Bench::new();
    let short = ["run.steps=6", "eval.every=0", EVEN];
    bench.succeed("kept", &short);
    bench.succeed("again", &[&short[..], &["batch.recompute_blocks=1"]].concat());
    assert_near_curve(&bench.curve("kept"), &bench.curve("again"));
    let estimate = |every: &str| {
        let set = format!("batch.recompute_blocks={every}");
        let sets = ["batch.held_chunks=2", set.as_str(), "model.config=\"base\""];
        let output = bench.command_with("none", &sets).arg("--dry-run").output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find(|line| line.contains("activations")).unwrap();
        let again = text.lines().any(|line| line.contains("recomputed"));
        (line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap(), again)
    };
    let ((whole, none), (little, again)) = (estimate("0"), estimate("1"));
    assert!(little < whole / 3.0, "{little} of {whole}");
    assert!(!none && again);
}
