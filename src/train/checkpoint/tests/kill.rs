//! Kill -9 while checkpoints are written: the last one is there, and whole.

use std::process::Child;
use std::time::{Duration, Instant};

use super::*;
use crate::config::env;
use crate::train::testing::{child, child_folder};

/// What the child has saved for certain, written after the save.
fn reported(folder: &Path) -> u64 {
    let text = fs::read_to_string(folder.join("reported")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Waits until something holds.
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(600);
    while !holds() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Saves one checkpoint after the other, until it is killed.
fn save_without_end(folder: &Path) {
    let keeper = Keeper::open(&folder.join("checkpoints"), 2).unwrap();
    let first = keeper.shelf().latest().unwrap().map_or(1, |step| step + 1);
    for step in first.. {
        save(&keeper, step, (step % 3 == 0).then_some(step as f64)).unwrap();
        let aside = folder.join("reported.new");
        fs::write(&aside, step.to_string()).unwrap();
        fs::rename(aside, folder.join("reported")).unwrap();
    }
}

#[test]
fn kills_at_any_moment_leave_the_last_checkpoint_whole() {
    if let Some(folder) = child_folder() {
        return save_without_end(&folder);
    }
    let test = "kills_at_any_moment_leave_the_last_checkpoint_whole";
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = folder.path().join("checkpoints");
    let rounds = if std::env::var_os(env::SOAK).is_some() { 100 } else { 8 };
    let mut torn = 0;
    for round in 0..rounds {
        let before = reported(folder.path());
        let running = child(module_path!(), test, folder.path()).spawn().unwrap();
        wait_for("three checkpoints", || reported(folder.path()) >= before + 3);
        std::thread::sleep(Duration::from_micros(round * 3_701 % 20_000));
        kill(running);
        let saved = reported(folder.path());
        let shelf = Checkpoints::at(&checkpoints);
        let latest = shelf.open(&Which::Latest).unwrap();
        assert!((saved..=saved + 1).contains(&latest.state.step), "{saved}");
        for step in shelf.steps().unwrap() {
            let opened = shelf.open(&Which::Step(step)).unwrap();
            assert_eq!(opened.state, state(step));
        }
        // Every third is the best so far, and known as such before it is the latest.
        assert!(shelf.open(&Which::Best).unwrap().state.step + 3 > latest.state.step);
        torn += u64::from(!leftovers(&checkpoints).is_empty());
        drop(Keeper::open(&checkpoints, 2).unwrap());
        assert_eq!(leftovers(&checkpoints), Vec::<String>::new());
    }
    assert!(torn > 0, "no kill came in the middle of a checkpoint");
}

/// Stops in the middle of its second file.
fn stop_half_way(folder: &Path) {
    let keeper = Keeper::open(&folder.join("checkpoints"), 2).unwrap();
    save(&keeper, 100, None).unwrap();
    let model = |path: &Path| Ok(fs::write(path, content("model.safetensors", 200))?);
    let optimizer = |path: &Path| {
        fs::write(path, &content("optimizer.safetensors", 200)[..100])?;
        fs::write(folder.join("reported"), "1")?;
        std::thread::sleep(Duration::from_secs(1200));
        Ok(())
    };
    let files: [(&str, &Writer); 2] =
        [("model.safetensors", &model), ("optimizer.safetensors", &optimizer)];
    keeper.save(&state(200), None, &files).unwrap();
}

#[test]
fn a_kill_half_way_leaves_the_checkpoint_before() {
    if let Some(folder) = child_folder() {
        return stop_half_way(&folder);
    }
    let test = "a_kill_half_way_leaves_the_checkpoint_before";
    let folder = tempfile::tempdir().unwrap();
    let running = child(module_path!(), test, folder.path()).spawn().unwrap();
    wait_for("half a checkpoint", || reported(folder.path()) == 1);
    kill(running);
    let checkpoints = folder.path().join("checkpoints");
    assert_eq!(leftovers(&checkpoints), [".writing-step-000000200"]);
    assert_eq!(Checkpoints::at(&checkpoints).steps().unwrap(), [100]);
    let keeper = Keeper::open(&checkpoints, 2).unwrap();
    assert_eq!(leftovers(&checkpoints), Vec::<String>::new());
    assert_eq!(keeper.shelf().open(&Which::Latest).unwrap().state, state(100));
    save(&keeper, 200, None).unwrap();
}

/// A kill between the two renames of a step that is saved again, at either side of the second.
#[test]
fn a_checkpoint_that_was_about_to_be_replaced_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(folder.path(), 2).unwrap();
    let path = save(&keeper, 100, None).unwrap().path;
    drop(keeper);
    let replaced = folder.path().join(".replaced-step-000000100");
    fs::rename(&path, &replaced).unwrap();
    let keeper = Keeper::open(folder.path(), 2).unwrap();
    assert_eq!(keeper.shelf().open(&Which::Latest).unwrap().state, state(100));
    drop(keeper);
    fs::create_dir(&replaced).unwrap();
    let keeper = Keeper::open(folder.path(), 2).unwrap();
    assert_eq!(keeper.shelf().open(&Which::Latest).unwrap().state, state(100));
    assert_eq!(leftovers(folder.path()), Vec::<String>::new());
}
