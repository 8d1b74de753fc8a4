//! What is there after a checkpoint was saved.

use super::*;

#[test]
fn a_checkpoint_gives_back_what_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(&folder.path().join("run/checkpoints"), 3).unwrap();
    assert_eq!(keeper.shelf().latest().unwrap(), None);
    let saved = save(&keeper, 1200, None).unwrap();
    assert!(saved.path.ends_with("run/checkpoints/step-000001200"));
    let opened = keeper.shelf().open(&Which::Latest).unwrap();
    assert_eq!((&opened.path, &opened.state), (&saved.path, &state(1200)));
    for (name, size) in FILES {
        assert_eq!(fs::read(opened.file(name).unwrap()).unwrap(), content(name, 1200));
        assert_eq!(opened.files[name].bytes, size as u64);
    }
    let error = opened.file("learning.safetensors").unwrap_err().to_string();
    assert!(
        error.ends_with(
            "step-000001200: learning.safetensors is not part of it; there are no others"
        )
    );
}

#[test]
fn sha256sum_reads_the_seal() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(folder.path(), 3).unwrap();
    let path = save(&keeper, 1, None).unwrap().path;
    let mut command = std::process::Command::new("sha256sum");
    match command.args(["--check", "state.sha256"]).current_dir(path).output() {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => eprintln!("skipped: sha256sum does not run: {error}"),
    }
}

#[test]
fn the_last_few_and_the_best_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(folder.path(), 2).unwrap();
    let scores =
        [(100, Some(0.3)), (200, Some(0.5)), (300, None), (400, Some(0.5)), (500, Some(f64::NAN))];
    let best: Vec<bool> =
        scores.iter().map(|&(step, score)| save(&keeper, step, score).unwrap().is_best).collect();
    assert_eq!(best, [true, true, false, false, false]);
    let shelf = keeper.shelf();
    assert_eq!(shelf.steps().unwrap(), [500, 400, 200]);
    assert_eq!(shelf.latest().unwrap(), Some(500));
    assert_eq!(shelf.best().unwrap().score, Some(0.5));
    assert_eq!(shelf.open(&Which::Best).unwrap().state.step, 200);
    assert_eq!(save(&keeper, 600, Some(0.6)).unwrap().removed, [400, 200]);
    assert_eq!(leftovers(folder.path()), Vec::<String>::new());
}

#[test]
fn going_back_gives_up_what_came_after() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(folder.path(), 3).unwrap();
    for step in [100, 200, 300] {
        save(&keeper, step, None).unwrap();
    }
    assert_eq!(keeper.shelf().open(&Which::Step(100)).unwrap().state.step, 100);
    assert_eq!(save(&keeper, 150, None).unwrap().removed, [300, 200]);
    assert_eq!(keeper.shelf().latest().unwrap(), Some(150));
    assert_eq!(keeper.shelf().steps().unwrap(), [150, 100]);
}

#[test]
fn a_step_can_be_saved_again() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(folder.path(), 3).unwrap();
    save(&keeper, 100, Some(0.5)).unwrap();
    let write = |path: &Path| Ok(fs::write(path, "again")?);
    keeper.save(&state(100), None, &[("model.safetensors", &write)]).unwrap();
    let opened = keeper.shelf().open(&Which::Best).unwrap();
    assert_eq!(fs::read(opened.file("model.safetensors").unwrap()).unwrap(), b"again");
    assert_eq!(opened.files.len(), 1);
    assert_eq!(leftovers(folder.path()), Vec::<String>::new());
}

#[test]
fn one_process_writes_and_any_may_read() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(folder.path(), 3).unwrap();
    save(&keeper, 1, None).unwrap();
    let error = Keeper::open(folder.path(), 3).unwrap_err();
    let own = std::process::id().to_string();
    assert!(matches!(&error, CheckpointError::Busy { owner, .. } if *owner == own));
    assert_eq!(Checkpoints::at(folder.path()).open(&Which::Latest).unwrap().state.step, 1);
    drop(keeper);
    Keeper::open(folder.path(), 3).unwrap();
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let folder = tempfile::tempdir().unwrap();
    let none = Checkpoints::at(&folder.path().join("never"));
    let said = |shelf: &Checkpoints, which: &str| {
        let error = shelf.open(&which.parse().unwrap()).unwrap_err().to_string();
        error.split_once(": ").unwrap().1.to_owned()
    };
    assert_eq!(said(&none, "latest"), "there is no checkpoint latest; there are no others");
    let keeper = Keeper::open(folder.path(), 3).unwrap();
    save(&keeper, 100, None).unwrap();
    save(&keeper, 200, None).unwrap();
    let shelf = keeper.shelf();
    assert_eq!(
        said(shelf, "150"),
        "there is no checkpoint of step 150; others are of step 200, 100"
    );
    assert_eq!(said(shelf, "best"), "there is no checkpoint best; others are of step 200, 100");
    assert_eq!(
        said(shelf, "newest"),
        "there is no checkpoint `newest`: give latest, best or a step; others are of step 200, 100"
    );
}
