//! Both logs together: the bytes as TensorBoard's own writer has them, going on, and a full disk.

use std::fs;

use serde_json::Value;

use super::*;
use crate::train::testing::{fill, on_small_disk};

/// Written by tensorboard 2.21.0 with its own protobufs and record writer, in hex: version, the
/// start of a session at step 1201, two scalars of step 1300 (one of them 0), a text at step 0.
const GOLDEN: &str = "\
    1800000000000000a37f4b220900001040fc54d9411a0d627261696e2e4576656e743a32338d2fe9100000000000\
    000095fbfe180900001040fc54d94110b1093a0208017c9cd4733200000000000000241956ec0900005040fc54d9\
    4110940a2a240a110a0a747261696e2f6c6f737315000014400a0f0a08747261696e2f6c7215000000003fcffe58\
    31000000000000009d8383e90900009040fc54d9412a260a240a06726563697065421008071204120208014206c3\
    a9206078604a080a060a0474657874770b4be9";

#[test]
fn an_event_file_is_what_tensorboard_writes() {
    let folder = tempfile::tempdir().unwrap();
    let time = 1_700_000_000.25;
    fs::write(folder.path().join("events.out.tfevents.1699999999.host.1"), "").unwrap();
    let mut events = EventFile::create(folder.path(), 1200, time).unwrap();
    events.scalars(1300, time + 1.0, &[("train/loss", 2.3125), ("train/lr", 0.0)]).unwrap();
    events.text(0, time + 2.0, "recipe", "é `x`").unwrap();
    assert_eq!(hex::encode(fs::read(events.path()).unwrap()), GOLDEN);
}

/// Event files in the order in which they are read.
fn event_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join(EVENTS)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn a_resumed_run_goes_on_in_both_logs() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = RunLog::open(folder.path(), 0).unwrap();
    for step in [10, 20, 30] {
        log.scalars(step, &[("train/loss", 1.0)]).unwrap();
    }
    drop(log);
    let mut log = RunLog::open(folder.path(), 20).unwrap();
    log.scalars(30, &[("train/loss", 0.5)]).unwrap();
    log.sync().unwrap();

    let text = fs::read_to_string(folder.path().join(JSONL)).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let points = lines.iter().map(|line| (line["step"].as_u64(), line["train/loss"].as_f64()));
    let expected = [(10, 1.0), (20, 1.0), (30, 0.5)].map(|(step, loss)| (Some(step), Some(loss)));
    assert_eq!(points.collect::<Vec<_>>(), expected);

    // Both begun within a second, or nearly: the names must still tell which came later.
    let files = event_files(folder.path());
    let counts = files.iter().map(|file| record::unframe(&fs::read(file).unwrap()).unwrap().len());
    assert_eq!(counts.collect::<Vec<_>>(), [4, 3], "version and 3 steps; version, start, 1 step");
    let bytes = fs::read(&files[1]).unwrap();
    let start = record::unframe(&bytes).unwrap()[1];
    assert!(start.ends_with(&[0x10, 21, 0x3a, 2, 8, 1]), "step 21, session log, start: {start:?}");
}

#[test]
fn a_run_that_begins_again_leaves_nothing_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    RunLog::open(folder.path(), 0).unwrap().scalars(10, &[]).unwrap();
    RunLog::open(folder.path(), 0).unwrap().scalars(5, &[]).unwrap();
    let text = fs::read_to_string(folder.path().join(JSONL)).unwrap();
    assert!(text.starts_with("{\"step\":5,") && text.matches('\n').count() == 1, "{text}");
    let bytes = fs::read(&event_files(folder.path())[1]).unwrap();
    let start = record::unframe(&bytes).unwrap()[1];
    assert_eq!(start[9..], [0x3a, 2, 8, 1], "no step, session log, start");
}

#[test]
fn names_of_event_files_count_on_when_the_clock_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let name = |time: f64| {
        let events = EventFile::create(folder.path(), 0, time).unwrap();
        events.path().file_name().unwrap().to_string_lossy().into_owned()
    };
    let names = [name(1000.0), name(1000.9), name(500.0), name(2000.0)];
    assert!(names.is_sorted(), "{names:?}");
    let seconds = names.each_ref().map(|name| name.split('.').nth(3).unwrap());
    assert_eq!(seconds, ["0000001000", "0000001001", "0000001002", "0000002000"]);
}

#[test]
fn a_full_disk_leaves_whole_records_and_the_log_goes_on() {
    let test = "a_full_disk_leaves_whole_records_and_the_log_goes_on";
    on_small_disk(module_path!(), test, 1 << 20, |folder| {
        let mut log = RunLog::open(folder, 0).unwrap();
        log.scalars(1, &[("loss", 1.0)]).unwrap();
        let ballast = fill(folder, 16 << 10);
        let wide: Vec<String> = (0..50).map(|n| format!("a value with a long name, {n}")).collect();
        let values: Vec<(&str, f64)> = wide.iter().map(|name| (name.as_str(), 0.5)).collect();
        let mut failed = 0;
        for step in 2..30 {
            if let Err(LogError { error, .. }) = log.scalars(step, &values) {
                assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                failed += 1;
            }
        }
        assert!((5..28).contains(&failed), "{failed}");
        fs::remove_file(ballast).unwrap();
        log.scalars(30, &[("loss", 2.0)]).unwrap();

        let text = fs::read_to_string(folder.join(JSONL)).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert_eq!(lines.collect::<Vec<_>>().last().unwrap()["step"], 30);
        let events = fs::read(&event_files(folder)[0]).unwrap();
        let records = record::unframe(&events).expect("no record is torn");
        assert!(records.len() > 3 && records.len() < 31, "{}", records.len());
    });
}
