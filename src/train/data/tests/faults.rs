//! What is corrupt, missing or undecodable is named, or counted and passed over.

use std::fs::OpenOptions;
use std::path::Path;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::fixtures::*;
use crate::record::Split;
use crate::store::Row;
use crate::table::Triplet;
use crate::train::data::{DataError, LoadOptions, Loader, Prepare, Role, Shards};

fn refusal(folder: &Path) -> String {
    Shards::open(folder.to_str().unwrap()).unwrap_err().to_string()
}

#[test]
fn an_empty_folder_has_no_shards() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("README.md"), "nothing here").unwrap();
    let text = refusal(folder.path());
    assert!(text.ends_with(": no triplet shards (*.parquet) in it"), "{text}");
}

#[test]
fn a_corrupt_shard_is_named_before_the_first_step() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(Damage, &str); 4] = [
        (|bytes| bytes.truncate(bytes.len() / 2), "shard b.parquet: "),
        (Vec::clear, "shard b.parquet: "),
        (|bytes| bytes.extend([0; 8]), "shard b.parquet: "),
        // As if the middle were lost in a copy: the footer is whole, and points past the end.
        (|bytes| drop(bytes.drain(4..bytes.len() / 2)), "past the end of the file"),
    ];
    for (damage, named) in damages {
        let folder = folder(&[vec![4], vec![400], vec![4]], u64::from);
        let path = folder.path().join("b.parquet");
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let text = refusal(folder.path());
        assert!(text.starts_with("shard b.parquet: ") && text.contains(named), "{text}");
    }
}

#[test]
fn a_missing_column_is_named_with_its_shard() {
    for column in ["triplet_id", "split", "target_image"] {
        let folder = folder(&[vec![4]], u64::from);
        let mut fields = Triplet::fields();
        fields.retain(|field| field.name() != column);
        let path = folder.path().join("b.parquet");
        write(&path, &fields, &[vec![triplet(9, 9, None)]], properties());
        let text = refusal(folder.path());
        let rest = text.strip_prefix(&format!("shard b.parquet: column {column}")).unwrap();
        assert!(rest.ends_with(" is missing"), "{text}");
    }
}

#[test]
fn hard_negatives_may_be_missing_where_nobody_asks_for_them() {
    let folder = folder(&[vec![4]], u64::from);
    let mut fields = Triplet::fields();
    fields.retain(|field| field.name() != "hard_negatives");
    let path = folder.path().join("b.parquet");
    write(&path, &fields, &[vec![triplet(9, 9, None)]], properties());
    let dataset = train(folder.path());
    assert_eq!(batches(&dataset, &options(5, 5), 0, 1)[0].rows, 5);
    let options = LoadOptions { hard_negatives: 1, ..options(5, 5) };
    let error = Loader::start(&dataset, &options, prepare(), 0).unwrap_err().to_string();
    assert_eq!(error, "shard b.parquet: column hard_negatives is missing");
}

#[test]
fn shards_without_images_say_how_to_get_them() {
    let folder = tempfile::tempdir().unwrap();
    let bare =
        |number| Triplet { query_image: None, target_image: None, ..triplet(number, 0, None) };
    shard(&folder.path().join("a.parquet"), &[(0..300).map(bare).collect()]);
    let shards = Shards::open(folder.path().to_str().unwrap()).unwrap();
    let error = shards.split(Split::Train).unwrap_err().to_string();
    assert!(error.contains("no images in its shards") && error.contains("rehydrate"), "{error}");
}

#[test]
fn a_row_group_of_two_splits_is_refused_with_and_without_statistics() {
    let rows = vec![triplet(0, 0, None), Triplet { split: Split::Val, ..triplet(1, 1, None) }];
    let bare = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None).build();
    for how in [properties(), bare.clone()] {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("a.parquet"), &Triplet::fields(), slice::from_ref(&rows), how);
        let text = refusal(folder.path());
        assert!(text.contains("row group 0 has split train and val"), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &Triplet::fields(), &[rows[..1].to_vec(), rows[1..].to_vec()], bare);
    let shards = Shards::open(folder.path().to_str().unwrap()).unwrap();
    assert_eq!(shards.split(Split::Val).unwrap().rows(), 1);
}

#[test]
fn an_undecodable_image_is_a_row_that_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows: Vec<Triplet> = (0..6).map(|n| triplet(n, u64::from(n), Some(2))).collect();
    rows[1].query_image.as_mut().unwrap().bytes = b"this is no image at all".as_slice().into();
    rows[3].target_image = None;
    rows[4].hard_negatives.as_mut().unwrap()[0].bytes.truncate(30);
    shard(&folder.path().join("a.parquet"), &[rows]);
    let options = LoadOptions { hard_negatives: 2, ..options(6, 6) };
    let dataset = train(folder.path());
    let loader = Loader::in_order(&dataset, &options, prepare(), None);
    let batch = loader.unwrap().next().unwrap().unwrap();
    assert_eq!(batch.valid, [true, false, true, false, true, true]);
    assert_eq!(batch.hard_row, [0, 0, 2, 2, 4, 5, 5]);
    assert_eq!(batch.pixels.len(), 3 * (12 + 7));
    assert_eq!(batch.pixels[3..6], [0.0; 3]);
    assert_eq!(batch.pixels[3 * 9..3 * 10], [0.0; 3]);
    // The second hard negative of row 4 moved up.
    assert_eq!(batch.pixels[3 * 16..3 * 17], [4.0, 0.0, f32::from(HARD + 1)]);
    let failed: Vec<_> = batch.failures.iter().map(|failure| (failure.row, failure.role)).collect();
    assert_eq!(failed, [(1, Role::Query), (3, Role::Target), (4, Role::HardNegative(0))]);
    assert_eq!(batch.failures[1].problem, "the shard has no image here");
}

#[test]
fn a_panic_in_decoder_or_tokenizer_is_a_row_that_does_not_count() {
    let folder = folder(&[vec![5]], u64::from);
    let dataset = train(folder.path());
    let ours = prepare();
    let (image, text) = (ours.image.clone(), ours.text.clone());
    let image = move |bytes: &[u8], seed: u64, pixels: &mut [f32]| {
        assert!(bytes != png(2, TARGET), "cannot stand this one");
        image(bytes, seed, pixels)
    };
    let text = move |words: &str| {
        assert!(words != "turn ", "too short");
        text(words)
    };
    let prepare = Prepare { image: Arc::new(image), text: Arc::new(text), ..ours };
    let batch = Loader::in_order(&dataset, &options(5, 5), prepare, None).unwrap().next();
    let batch = batch.unwrap().unwrap();
    assert_eq!(batch.valid, [false, true, false, true, true]);
    let problems: Vec<_> = batch.failures.iter().map(|failure| failure.problem.as_str()).collect();
    assert_eq!(problems, ["panicked: too short", "panicked: cannot stand this one"]);
    assert_eq!(batch.ids[..batch.length], vec![0; batch.length]);
}

#[test]
fn a_shard_that_breaks_mid_run_ends_it_in_its_place_and_is_named() {
    let folder = folder(&[vec![8, 8, 8, 8]], u64::from);
    let dataset = train(folder.path());
    let path = folder.path().join("a.parquet");
    let size = std::fs::metadata(&path).unwrap().len();
    let options = LoadOptions { ready_batches: 1, prefetch_mib: 0, ..options(2, 2) };
    let mut loader = Loader::start(&dataset, &options, prepare(), 0).unwrap();
    let first = loader.next().unwrap().unwrap();
    assert_eq!(first.step, 0);
    OpenOptions::new().write(true).open(&path).unwrap().set_len(size / 2).unwrap();
    let rest: Vec<_> = loader.take(10_000).collect();
    let (error, good) = rest.split_last().unwrap();
    assert!(good.iter().zip(1..).all(|(batch, step)| batch.as_ref().unwrap().step == step));
    match error {
        Err(DataError::Shard { shard, .. }) => assert_eq!(shard, "a.parquet"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let folder = folder(&[vec![4]], u64::from);
    let dataset = train(folder.path());
    let refuse = |options: LoadOptions| {
        Loader::start(&dataset, &options, prepare(), 0).unwrap_err().to_string()
    };
    let ours = options(4, 4);
    let text = refuse(LoadOptions { world: 3, ..ours.clone() });
    assert_eq!(text, "a batch of 4 cannot be shared by 3 ranks equally");
    let text = refuse(LoadOptions { world: 2, rank: 2, ..ours.clone() });
    assert_eq!(text, "rank 2 is not one of 2");
    assert!(refuse(LoadOptions { batch: 0, ..ours }).starts_with("batch, "));
}

#[test]
fn a_dropped_loader_stops_before_it_has_decoded_everything() {
    let folder = folder(&[vec![256]], u64::from);
    let dataset = train(folder.path());
    let decoded = Arc::new(AtomicUsize::new(0));
    let (begun, wait) = std::sync::mpsc::channel();
    let count = decoded.clone();
    let image = move |_: &[u8], _: u64, _: &mut [f32]| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            begun.send(()).unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        Ok(())
    };
    let prepare = Prepare { image: Arc::new(image), ..prepare() };
    let loader = Loader::start(&dataset, &options(256, 256), prepare, 0).unwrap();
    wait.recv().unwrap();
    drop(loader);
    assert!(decoded.load(Ordering::SeqCst) < 512);
}
