//! A disk that is full when a checkpoint is due: the one before stays, and the run says so.

use std::path::Path;
use std::process::{Command, Output};

use super::bench::{Bench, STEPS, assert_same_curve, assert_same_tensors, said};

/// Room for one checkpoint of 14 MB, and not for a second one beside it.
const ROOM: &str = "size=21m";

/// A file system in memory, for as long as this lives.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    /// None, with a word about it, where this user may not mount.
    fn mount(at: &'a Path) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", ROOM, "tmpfs"]).arg(at).output();
        if done.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        eprintln!("skipped: cannot mount a small file system: {done:?}");
        None
    }

    /// Makes it larger.
    fn grow(&self) {
        let mut mount = Command::new("mount");
        let done = mount.args(["-o", "remount,size=400m"]).arg(self.0).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

/// Fails unless a checkpoint in between was given up with a warning, and the last one with the run.
fn assert_says_what_is_lost(output: &Output) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let lost = |step: u64| format!("the checkpoint of step {step} was not written, earlier ones");
    assert!(said.contains(&format!("no checkpoint, training goes on: {}", lost(20))), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with(&format!("train: {}", lost(STEPS))), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// Names of what is in a folder of checkpoints.
fn names(bench: &Bench, out: &str) -> Vec<String> {
    let entries = std::fs::read_dir(bench.at(out).join("checkpoints")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Fails unless a run that had no room came to the same end once there was some.
fn assert_same_end(bench: &Bench, out: &str) {
    assert_same_curve(&bench.curve("undisturbed"), &bench.curve(out));
    let model = |out: &str| bench.checkpoint(out, STEPS).join("model.safetensors");
    assert_same_tensors(&model("undisturbed"), &model(out));
}

#[test]
fn a_full_disk_costs_a_run_the_checkpoints_that_do_not_fit_and_no_other() {
    let bench = Bench::new();
    let full = bench.at("full");
    let Some(disk) = Tmpfs::mount(&full) else { return };
    let output = bench.run("full/run", &["eval.every=0"]);
    assert_says_what_is_lost(&output);
    assert!(said(&output).contains("No space left on device"), "{}", said(&output));
    assert_eq!(bench.pointer("full/run", "latest.json"), 5);
    bench.assert_whole("full/run", 5);
    // What could not be written takes no room.
    assert_eq!(names(&bench, "full/run"), [".lock", "latest.json", "step-000000005"]);
    disk.grow();
    bench.succeed("undisturbed", &["eval.every=0"]);
    let output = bench.succeed("full/run", &["eval.every=0"]);
    assert!(said(&output).contains("step-000000005"), "{}", said(&output));
    assert_same_end(&bench, "full/run");
}

#[test]
fn a_file_that_may_not_grow_as_large_is_a_full_disk_too() {
    let bench = Bench::new();
    bench.succeed("undisturbed", &["eval.every=0"]);
    let mut child = bench.start("run");
    bench.await_step("run", 12, &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = bench.pointer("run", "latest.json");
    let train = bench.command("run");
    let arguments = train.get_args().map(|argument| argument.to_str().unwrap().to_owned());
    // In blocks of 1 KiB: less than the optimizer's moments take; a signal would end it else.
    let script = r#"trap "" XFSZ; ulimit -f 5000; exec "$0" "$@""#;
    let mut limited = Command::new("bash");
    limited.args(["-c", script]).arg(train.get_program()).args(arguments);
    limited.args(["--set", "eval.every=0"]);
    limited.current_dir(bench.folder.path()).env("OMP_NUM_THREADS", "1");
    limited.env("CUDA_VISIBLE_DEVICES", "");
    let output = limited.output().unwrap();
    assert_says_what_is_lost(&output);
    assert!(said(&output).contains("File too large"), "{}", said(&output));
    assert_eq!(bench.pointer("run", "latest.json"), kept);
    bench.assert_whole("run", kept);
    bench.succeed("run", &["eval.every=0"]);
    let model = |out: &str| bench.checkpoint(out, STEPS).join("model.safetensors");
    assert_same_tensors(&model("undisturbed"), &model("run"));
}
