//! Checkpoints that are no longer what was written.

use super::*;

/// Two checkpoints, of which the latest was changed; what opening it says.
fn damaged(change: impl Fn(&Path)) -> (tempfile::TempDir, Checkpoints, String) {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(folder.path(), 3).unwrap();
    save(&keeper, 100, None).unwrap();
    change(&save(&keeper, 200, None).unwrap().path);
    let shelf = keeper.shelf().clone();
    let error = shelf.open(&Which::Latest).unwrap_err();
    assert!(matches!(&error, CheckpointError::Damaged { others, .. } if *others == [100]));
    let said = error.to_string();
    let said = said.strip_prefix(&format!("{}: ", shelf.path_of(200).display())).unwrap();
    (folder, shelf, said.to_owned())
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn damage_is_named_and_the_checkpoint_before_is_offered() {
    type Change = fn(&Path);
    let changes: [(Change, &str); 7] = [
        (
            |path| {
                let model = path.join("model.safetensors");
                let mut bytes = fs::read(&model).unwrap();
                bytes[299_999] ^= 1;
                fs::write(model, bytes).unwrap();
            },
            "model.safetensors is not what was written: its sha256 differs",
        ),
        (
            |path| {
                let file = fs::File::options().write(true).open(path.join("optimizer.safetensors"));
                file.unwrap().set_len(599_999).unwrap();
            },
            "optimizer.safetensors has 599999 bytes, not 600000",
        ),
        (
            |path| fs::remove_file(path.join("config.json")).unwrap(),
            "config.json cannot be read: No such file or directory (os error 2)",
        ),
        (
            |path| edit(&path.join("state.json"), "\"step\": 200", "\"step\": 201"),
            "state.json is not what was written: its sha256 differs",
        ),
        (
            |path| fs::write(path.join("state.json"), "").unwrap(),
            "state.json is not what was written: its sha256 differs",
        ),
        (
            |path| fs::remove_file(path.join("state.json")).unwrap(),
            "state.json cannot be read: No such file or directory (os error 2)",
        ),
        (
            |path| fs::remove_file(path.join("state.sha256")).unwrap(),
            "state.sha256 cannot be read: No such file or directory (os error 2)",
        ),
    ];
    for (change, problem) in changes {
        let (_folder, shelf, said) = damaged(change);
        assert_eq!(said, format!("{problem}; others are of step 100"));
        let (whole, passed_over) = shelf.open_whole().unwrap();
        assert_eq!(whole.unwrap().state, state(100));
        assert_eq!(passed_over.len(), 1);
    }
}

#[test]
fn a_later_format_is_not_guessed_at() {
    let (_folder, _, said) = damaged(|path| {
        use sha2::{Digest, Sha256};
        edit(&path.join("state.json"), "\"format\": 1", "\"format\": 2");
        let hash = hex::encode(Sha256::digest(fs::read(path.join("state.json")).unwrap()));
        fs::write(path.join("state.sha256"), format!("{hash}  state.json\n")).unwrap();
    });
    assert!(
        said.starts_with("state.json has format 2, which is newer than this program"),
        "{said}"
    );
}

#[test]
fn without_a_pointer_the_newest_counts() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(folder.path(), 3).unwrap();
    save(&keeper, 100, None).unwrap();
    save(&keeper, 200, None).unwrap();
    for wrong in
        [Some("{"), Some("{\"step\":300,\"path\":\"step-000000300\",\"score\":null}"), None]
    {
        let pointer = folder.path().join("latest.json");
        match wrong {
            Some(text) => fs::write(pointer, text).unwrap(),
            None => fs::remove_file(pointer).unwrap(),
        }
        assert_eq!(keeper.shelf().open(&Which::Latest).unwrap().state.step, 200);
    }
}
