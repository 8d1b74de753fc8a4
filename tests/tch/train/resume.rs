//! Stopped or killed at any step, run again: the curve and the weights as if nothing had happened.

use std::process::Output;

use magiclens_demo::Rng;

use super::bench::{Bench, STEPS, assert_same_curve, assert_same_tensors, said, terminate};
use crate::support::soak;

/// Files whose numbers a resumed run must arrive at.
const TENSORS: [&str; 3] = ["model.safetensors", "optimizer.safetensors", "learning.safetensors"];

/// Steps that are left after the last stop, so that no run is over before its signal comes.
const LEFT: u64 = 6;

/// Fails unless a run that was interrupted is the undisturbed one.
fn assert_same_run(bench: &Bench, out: &str) {
    assert_same_curve(&bench.curve("undisturbed"), &bench.curve(out));
    let (one, other) = (bench.state("undisturbed", STEPS), bench.state(out, STEPS));
    assert_eq!(one["step"], STEPS);
    for key in ["data", "triplets", "counters", "recipe", "best_score"] {
        assert_eq!(one[key], other[key], "{key}");
    }
    assert_eq!(bench.pointer("undisturbed", "best.json"), bench.pointer(out, "best.json"));
    for name in TENSORS {
        let file = |out: &str| bench.checkpoint(out, STEPS).join(name);
        assert_same_tensors(&file("undisturbed"), &file(out));
    }
}

/// Has a run stopped once it has logged a step; gives the step that it stopped at.
fn stop_at(bench: &Bench, out: &str, step: u64) -> u64 {
    let mut child = bench.start(out);
    bench.await_step(out, step, &mut child);
    terminate(&child);
    let output: Output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("stopped by  SIGTERM"), "{stdout}");
    let stopped = bench.pointer(out, "latest.json");
    assert!((step..STEPS).contains(&stopped), "asked at {step}, stopped at {stopped}");
    bench.assert_whole(out, stopped);
    assert_eq!(bench.curve(out).last().unwrap()["step"], stopped as f64);
    stopped
}

#[test]
fn a_run_stopped_at_three_random_steps_has_the_curve_of_an_undisturbed_one() {
    let bench = Bench::new();
    bench.succeed("undisturbed", &[]);
    let curve = bench.curve("undisturbed");
    let losses: Vec<f64> =
        curve.iter().filter_map(|point| point.get("train/loss")).copied().collect();
    assert_eq!(losses.len() as u64, STEPS);
    // A step that is repeated or skipped is seen: no two losses are the same.
    assert!(losses.windows(2).all(|two| two[0] != two[1]), "{losses:?}");
    let seed = 11;
    let mut rng = Rng::new(seed);
    for round in 0..soak(1, 10) {
        let out = format!("stopped-{round}");
        let mut stopped = 0;
        for left in (1..=3).rev() {
            let span = (STEPS - LEFT - stopped) / left;
            let step = stopped + 1 + rng.below(span.max(1) as usize) as u64;
            stopped = stop_at(&bench, &out, step);
            eprintln!("seed {seed}, round {round}: asked at step {step}, stopped at {stopped}");
        }
        bench.succeed(&out, &[]);
        assert_same_run(&bench, &out);
    }
}

#[test]
fn a_killed_run_goes_on_from_its_last_checkpoint() {
    let bench = Bench::new();
    bench.succeed("undisturbed", &[]);
    let mut rng = Rng::new(12);
    for round in 0..soak(1, 10) {
        let out = format!("killed-{round}");
        let step = 6 + rng.below(8) as u64;
        let mut child = bench.start(&out);
        bench.await_step(&out, step, &mut child);
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), None, "it was over before the kill");
        let kept = bench.pointer(&out, "latest.json");
        eprintln!("round {round}: killed at step {step}, kept {kept}");
        let is_due = kept.is_multiple_of(5) || kept.is_multiple_of(6);
        assert!((5..STEPS).contains(&kept) && is_due, "{kept}");
        bench.assert_whole(&out, kept);
        let output = bench.succeed(&out, &[]);
        assert!(said(&output).contains(&format!("resuming from {out}")), "{}", said(&output));
        assert_same_run(&bench, &out);
    }
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_named() {
    let bench = Bench::new();
    bench.succeed("undisturbed", &[]);
    let weights = bench.checkpoint("undisturbed", STEPS).join("model.safetensors");
    let curve = bench.curve("undisturbed");
    let mut bytes = std::fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let output = bench.succeed("undisturbed", &[]);
    let said = said(&output);
    assert!(said.contains("passed over") && said.contains("model.safetensors"), "{said}");
    assert!(said.contains("resuming from undisturbed/checkpoints/step-000000020"), "{said}");
    assert_same_curve(&curve, &bench.curve("undisturbed"));
    bench.assert_whole("undisturbed", STEPS);
}

#[test]
fn a_finished_run_that_is_started_again_trains_no_more() {
    let bench = Bench::new();
    let sets = ["run.steps=6", "eval.every=3"];
    bench.succeed("run", &sets);
    let (curve, best) = (bench.curve("run"), bench.pointer("run", "best.json"));
    let output = bench.succeed("run", &sets);
    assert!(String::from_utf8_lossy(&output.stdout).contains("steps       6\n"));
    assert_eq!(bench.curve("run"), curve);
    assert_eq!(bench.pointer("run", "best.json"), best);
    bench.assert_whole("run", 6);
    let mode = |name: &str| std::fs::metadata(bench.at(name)).unwrap().permissions();
    for name in ["latest.json", "best.json", "step-000000006/learning.safetensors"] {
        assert_eq!(mode(&format!("run/checkpoints/{name}")), mode("recipe.toml"), "{name}");
    }
}
