//! No room for a checkpoint: those before stay whole, and the next one may find room again.

use super::*;
use crate::train::testing::{fill, on_small_disk};

#[test]
fn a_full_disk_costs_the_new_checkpoint_and_no_other() {
    let test = "a_full_disk_costs_the_new_checkpoint_and_no_other";
    on_small_disk(module_path!(), test, 6 << 20, |disk| {
        let folder = disk.join("checkpoints");
        let keeper = Keeper::open(&folder, 2).unwrap();
        save(&keeper, 100, Some(0.1)).unwrap();
        save(&keeper, 200, Some(0.2)).unwrap();
        // Room for the model and not for the optimizer, then for nothing at all.
        for (room, file) in [(400_000, "optimizer.safetensors"), (0, "model.safetensors")] {
            let ballast = fill(disk, room);
            let error = save(&keeper, 300, Some(0.3)).unwrap_err();
            assert!(error.is_disk_full(), "{error}");
            let said = error.to_string();
            let start = "the checkpoint of step 300 was not written, earlier ones are whole: ";
            assert!(said.starts_with(&format!("{start}{file}: No space left")), "{said}");
            assert_eq!(leftovers(&folder), Vec::<String>::new());
            for step in [100, 200] {
                assert_eq!(keeper.shelf().open(&Which::Step(step)).unwrap().state, state(step));
            }
            assert_eq!(keeper.shelf().latest().unwrap(), Some(200));
            assert_eq!(keeper.shelf().best().unwrap().step, 200);
            fs::remove_file(ballast).unwrap();
        }
        assert_eq!(save(&keeper, 300, Some(0.3)).unwrap().removed, [100]);
        assert_eq!(keeper.shelf().open(&Which::Best).unwrap().state.step, 300);
    });
}

/// As above where nothing can be mounted: the kernel's device that is always full.
#[test]
fn a_write_without_room_is_told_from_other_failures() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(folder.path(), 2).unwrap();
    save(&keeper, 100, None).unwrap();
    let full = |_: &Path| Ok(fs::write("/dev/full", "x")?);
    let refused = |_: &Path| Err("a tensor is not finite".into());
    let writers: [(&Writer, bool); 2] = [(&full, true), (&refused, false)];
    for (writer, is_full) in writers {
        let error = keeper.save(&state(200), None, &[("model.safetensors", writer)]).unwrap_err();
        assert_eq!(error.is_disk_full(), is_full, "{error}");
        let CheckpointError::Write { step: 200, file, .. } = &error else { panic!("{error}") };
        assert_eq!(file, "model.safetensors");
        assert_eq!(keeper.shelf().open(&Which::Latest).unwrap().state.step, 100);
        assert_eq!(leftovers(folder.path()), Vec::<String>::new());
    }
}

#[test]
fn a_writer_that_writes_nothing_fails() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(folder.path(), 2).unwrap();
    let error = keeper.save(&state(1), None, &[("model.safetensors", &|_| Ok(()))]).unwrap_err();
    assert!(matches!(&error, CheckpointError::Write { file, .. } if file == "model.safetensors"));
    assert_eq!(keeper.shelf().steps().unwrap(), Vec::<u64>::new());
}
