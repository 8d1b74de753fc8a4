//! Shards that are not what they should be: a clear word, and nothing lost.

use std::fs::File;
use std::path::Path;

use magiclens::table::Triplet;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::bench::{Bench, said};
use super::shards;

/// Fails unless a run ends with 1 and one line that has these words; `run` keeps its checkpoint.
fn assert_refused(bench: &Bench, words: &[&str]) {
    let before = bench.pointer("run", "latest.json");
    for out in ["run", "another"] {
        let output = bench.run(out, SHORT);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("train: ")).collect();
        assert_eq!(errors.len(), 1, "{said}");
        assert!(words.iter().all(|word| errors[0].contains(word)), "{words:?} in {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    assert_eq!(bench.pointer("run", "latest.json"), before);
    bench.assert_whole("run", before);
}

/// A run of a few steps.
const SHORT: &[&str] = &["run.steps=4", "checkpoint.every=2", "eval.every=0"];

/// Shards, and a run that has a checkpoint.
fn trained() -> Bench {
    let bench = Bench::new();
    bench.succeed("run", SHORT);
    bench
}

/// Writes the rows of a shard anew, without a column.
fn drop_column(path: &Path, name: &str) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let kept: Vec<usize> = (0..reader.schema().fields().len())
        .filter(|&at| reader.schema().field(at).name() != name)
        .collect();
    let batches = reader.build().unwrap().map(|batch| batch.unwrap().project(&kept).unwrap());
    let batches: Vec<_> = batches.collect();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), None).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
}

#[test]
fn a_shard_that_is_cut_short_is_named() {
    let bench = trained();
    let path = bench.at("shards/b.parquet");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_refused(&bench, &["shard ", "b.parquet"]);
    // Nothing at all, as a full disk leaves it.
    std::fs::write(&path, "").unwrap();
    assert_refused(&bench, &["shard ", "b.parquet"]);
    std::fs::write(&path, whole).unwrap();
    bench.succeed("run", SHORT);
}

#[test]
fn a_missing_column_is_named_with_its_shard() {
    let bench = trained();
    drop_column(&bench.at("shards/b.parquet"), "target_cluster_id");
    assert_refused(&bench, &["b.parquet", "column target_cluster_id is missing"]);
}

#[test]
fn a_shard_with_damaged_pages_ends_the_run_and_not_its_checkpoints() {
    let bench = Bench::new();
    bench.succeed("run", SHORT);
    let path = bench.at("shards/a.parquet");
    let mut bytes = std::fs::read(&path).unwrap();
    // The first pages, those of `triplet_id`; the footer with the schema is at the end.
    bytes[4..2000].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let output = bench.run("another", SHORT);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("train: shard a.parquet: "), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    bench.assert_whole("run", 4);
}

#[test]
fn a_folder_without_shards_or_none_at_all_is_named() {
    let bench = trained();
    std::fs::rename(bench.at("shards"), bench.at("moved")).unwrap();
    assert_refused(&bench, &["shards: ", "No such file or directory"]);
    std::fs::create_dir(bench.at("shards")).unwrap();
    assert_refused(&bench, &["shards: no "]);
    // Where shards lie is free to change.
    std::fs::remove_dir(bench.at("shards")).unwrap();
    let mut command = super::bench::train(bench.folder.path());
    let output = command.args(["--out", "run", "--shards", "moved"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn other_triplets_than_those_of_the_checkpoint_are_refused() {
    let bench = trained();
    std::fs::remove_file(bench.at("shards/b.parquet")).unwrap();
    let output = bench.run("run", SHORT);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot go on from this checkpoint: "), "{said}");
    bench.assert_whole("run", 4);
}

#[test]
fn an_image_that_does_not_decode_is_left_out_counted_and_named() {
    let mut triplets = shards::triplets();
    let broken = [(3, "query"), (40, "target"), (91, "target")];
    for (number, side) in broken {
        let triplet: &mut Triplet = &mut triplets[number];
        let image = match side {
            "query" => &mut triplet.query_image,
            _ => &mut triplet.target_image,
        };
        image.as_mut().unwrap().bytes.truncate(100);
    }
    // One that is broken anyway, and one without an image at all, as shards of links have it.
    triplets[120].query_image = None;
    let ids: Vec<String> = [3, 40, 91, 120, shards::BROKEN]
        .iter()
        .map(|&at: &usize| triplets[at].triplet_id.clone())
        .collect();
    let bench = Bench::with(triplets);
    // One pass over all triplets.
    let output = bench.succeed("run", &["run.steps=10", "eval.every=0"]);
    let said = said(&output);
    for id in ids {
        let named: Vec<&str> = said.lines().filter(|line| line.contains(&id)).collect();
        assert_eq!(named.len(), 1, "{id} in {said}");
        assert!(named[0].contains("WARN") && named[0].contains("left out: "), "{}", named[0]);
    }
    assert_eq!(bench.state("run", 10)["counters"]["undecodable"], 5);
    let curve = bench.curve("run");
    assert_eq!(curve.len(), 10);
    assert!(curve.iter().all(|point| point["train/loss"].is_finite()), "{curve:?}");
}
