//! Two processes over TCP train as one with the same batch, and end together.

use std::net::TcpListener;
use std::process::Child;

use super::bench::{
    Bench, EVEN, STEPS, assert_near_curve, assert_same_curve, assert_same_tensors, said, spawn,
    terminate,
};

/// Starts both ranks as torchrun would.
fn start(bench: &Bench, out: &str) -> [Child; 2] {
    start_with(bench, out, &[EVEN])
}

/// The same with other keys.
fn start_with(bench: &Bench, out: &str, sets: &[&str]) -> [Child; 2] {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    ["0", "1"].map(|rank| {
        let mut command = bench.command_with(out, sets);
        command.env("RANK", rank).env("LOCAL_RANK", rank).env("WORLD_SIZE", "2");
        command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
        spawn(command)
    })
}

/// Waits for both; fails the test unless they end with 0.
fn succeed(ranks: [Child; 2]) {
    for rank in ranks {
        let output = rank.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn two_ranks_have_the_curve_of_one() {
    let bench = Bench::new();
    bench.succeed("one", &[EVEN]);
    succeed(start(&bench, "two"));
    assert_near_curve(&bench.curve("one"), &bench.curve("two"));
    let (one, two) = (bench.state("one", STEPS), bench.state("two", STEPS));
    for key in ["data", "triplets", "counters"] {
        assert_eq!(one[key], two[key], "{key}");
    }
    assert_eq!((&one["world_size"], &two["world_size"]), (&1.into(), &2.into()));
    // All of it is there to be counted, and on both ranks.
    for counter in ["undecodable", "cut_texts", "masked"] {
        assert!(one["counters"][counter].as_u64().unwrap() > 0, "{counter}");
    }
}

#[test]
fn a_signal_to_one_rank_stops_both_and_one_process_goes_on() {
    let bench = Bench::new();
    bench.succeed("one", &[EVEN]);
    let mut ranks = start(&bench, "two");
    bench.await_step("two", 7, &mut ranks[0]);
    terminate(&ranks[1]);
    succeed(ranks);
    let stopped = bench.pointer("two", "latest.json");
    assert!((7..STEPS).contains(&stopped), "{stopped}");
    bench.assert_whole("two", stopped);
    bench.succeed("two", &[EVEN]);
    assert_near_curve(&bench.curve("one"), &bench.curve("two"));
}

#[test]
fn a_rank_that_dies_ends_the_other_and_both_resume() {
    let bench = Bench::new();
    let mut ranks = start(&bench, "two");
    bench.await_step("two", 7, &mut ranks[0]);
    ranks[1].kill().unwrap();
    let [first, second] = ranks;
    assert!(!second.wait_with_output().unwrap().status.success());
    let output = first.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("train: lost rank 1 in "), "{}", said(&output));
    // Of a step that was due, or the best of those that were validated.
    let kept = bench.pointer("two", "latest.json");
    assert!(kept.is_multiple_of(5) || kept.is_multiple_of(6), "{kept}");
    succeed(start(&bench, "two"));
    succeed(start(&bench, "whole"));
    assert_same_curve(&bench.curve("whole"), &bench.curve("two"));
    let model = |out: &str| bench.checkpoint(out, STEPS).join("model.safetensors");
    assert_same_tensors(&model("whole"), &model("two"));
}

#[test]
fn weights_that_another_ranks_signal_stopped_have_no_score_of_earlier_ones() {
    let bench = Bench::new();
    let sets = [EVEN, "checkpoint.every=1000"];
    let mut ranks = start_with(&bench, "two", &sets);
    bench.await_step("two", 7, &mut ranks[0]);
    terminate(&ranks[1]);
    let [first, second] = ranks;
    assert!(second.wait_with_output().unwrap().status.success());
    let output = first.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("stopped by  a signal to another rank; the same"), "{stdout}");
    let (latest, best) = (bench.pointer("two", "latest.json"), bench.pointer("two", "best.json"));
    assert!((7..STEPS).contains(&latest), "{latest}");
    assert!(best.is_multiple_of(6), "{best} was not validated");
    bench.assert_whole("two", best);
}
