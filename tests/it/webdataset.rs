//! The shards of a run as tar files: what WebDataset reads is what the Parquet shards hold.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use magiclens_demo::Options;

use crate::support::{Mined, mine, python, run};

async fn export(mined: &Mined, more: &[&str]) -> std::process::Output {
    let mut command = mine(mined.folder.path());
    command.args(["export", "run", "--format", "webdataset"]).args(more);
    run(command).await
}

async fn read_back(mined: &Mined, python: &Path) {
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop_tars.py"));
    command.arg(mined.folder.path().join("run"));
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Names of tar files, each with when it was written.
fn tars(mined: &Mined) -> Vec<(String, SystemTime)> {
    let folder = std::fs::read_dir(mined.folder.path().join("run/webdataset")).unwrap();
    let mut tars: Vec<_> = folder
        .map(Result::unwrap)
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap()))
        .filter(|(name, _)| name.ends_with(".tar"))
        .map(|(name, metadata)| (name, metadata.modified().unwrap()))
        .collect();
    tars.sort();
    tars
}

#[tokio::test(flavor = "multi_thread")]
async fn other_readers_find_the_triplets_in_tar_files() {
    let Some(python) = python() else { return };
    let mined = Mined::serve(&Options { hostile: false, ..Options::default() }).await;
    let mut command = mined.command("run");
    command.args(["--set", "export.shard_bytes=200000"]);
    assert!(run(command).await.status.success());

    let output = export(&mined, &[]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    read_back(&mined, &python).await;
    let first = tars(&mined);
    assert!(first.len() > 3, "{first:?}");
    assert!(export(&mined, &[]).await.status.success());
    assert_eq!(tars(&mined), first, "nothing has changed");
    let mut command = mine(mined.folder.path());
    command.args(["export", "run", "--to", "tars"]);
    assert_eq!(run(command).await.status.code(), Some(3), "--to is for tar files");

    // Fewer shards, other rows: the tar files follow.
    let more = ["--redo", "--set", "export.shard_bytes=400000", "--set", "export.hard_negatives=2"];
    assert!(export(&mined, &more).await.status.success());
    assert!(tars(&mined).len() < first.len());
    read_back(&mined, &python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn triplets_without_images_make_no_tar_files() {
    let options = Options { sites: 2, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    let mut command = mined.command("run");
    command.args(["--set", "export.images=none"]);
    assert!(run(command).await.status.success());
    let output = export(&mined, &[]).await;
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("export.images=bytes"), "{said}");
    assert_eq!(tars(&mined), []);
}
