//! The data side of training alone: shards on disk to batches of normalised tensors, through the whole
//! `Loader`, as triplets a second and images a second of one core by CPU time.
//!
//! `cargo bench --features torch --bench loader`. The shards are drawn and written here: photo-like JPEGs 512
//! pixels wide, encoded as the store encodes. `TRIPLETS` (512), `BATCH` (64) and `BATCHES` (24) change how much.
//! Wall time is that of the whole machine, whoever else uses it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use magiclens::model::ModelConfig;
use magiclens::model::input::ImageInput;
use magiclens::model::preprocess::{ImageSpec, Preprocess};
use magiclens::model::tokenizer::Tokenizer;
use magiclens::record::{ImageBytes, ImageId, Split, content_id};
use magiclens::store::{Layout, RowWriter, Store};
use magiclens::table::Triplet;
use magiclens::train::data::{LoadOptions, Loader, Prepare, Shards};

#[path = "support/pictures.rs"]
mod pictures;
#[path = "support/process_time.rs"]
mod process_time;

/// Distinct pictures: drawing them takes longer than decoding.
const PICTURES: u32 = 32;

fn main() {
    // Asked to list its tests, or to run them, it has none.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), number("TRIPLETS", 512));
    for how in [Preprocess::Released, Preprocess::Clip] {
        measure(folder.path(), how);
    }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Writes a shard of triplets.
fn write(folder: &Path, triplets: usize) {
    let files: Vec<Vec<u8>> = (0..PICTURES)
        .map(|n| pictures::jpeg(512, if n % 2 == 0 { 384 } else { 512 }, 90, n))
        .collect();
    let bytes: usize = files.iter().map(Vec::len).sum();
    eprintln!("512×384 and 512×512: {} bytes a file on average", bytes / files.len());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let store = Store::open(&folder.to_string_lossy()).expect("a folder is a store");
    runtime.expect("a runtime").block_on(async {
        let name = "train.parquet".into();
        let mut writer = RowWriter::create(&store, name, Layout::Part).expect("a new file");
        for row in 0..triplets {
            writer.push(triplet(row, &files)).await.expect("room on the disk");
        }
        writer.close().await.expect("room on the disk");
    });
}

fn triplet(row: usize, files: &[Vec<u8>]) -> Triplet {
    let image = |at: usize| {
        let bytes = files[at % files.len()].clone();
        ImageBytes { bytes: bytes.into(), path: "drawn.jpg".into() }
    };
    let cluster = |side: &str| ImageId::of(format!("{side} {row}").as_bytes());
    Triplet {
        triplet_id: content_id(&["triplet", &row.to_string()]),
        group_id: content_id(&["page", &row.to_string()]),
        instruction: format!("the same at night, number {row}"),
        query_cluster_id: cluster("query"),
        target_cluster_id: cluster("target"),
        query_image: Some(image(2 * row)),
        target_image: Some(image(2 * row + 1)),
        split: Split::Train,
        ..Triplet::default()
    }
}

fn measure(folder: &Path, how: Preprocess) {
    let shards = Shards::open(&folder.to_string_lossy()).expect("the shards written above");
    let dataset = shards.split(Split::Train).expect("all of them are for training");
    let (batch, batches) = (number("BATCH", 64), number("BATCHES", 24));
    let options = LoadOptions { batch, ..LoadOptions::default() };
    let loader = Loader::start(&dataset, &options, prepare(how), 0).expect("options that fit");
    let (began, before, mut rows) = (Instant::now(), process_time::cpu(), 0);
    let mut loader = loader;
    for _ in 0..batches {
        let batch = loader.next().expect("training has no end").expect("whole shards");
        assert!(batch.failures.is_empty(), "{:?}", batch.failures);
        rows += batch.rows;
        loader.recycle(batch);
    }
    // What is prepared ahead is paid for, too, and not counted: a little to our disadvantage.
    let (cpu, wall) = (process_time::cpu() - before, began.elapsed());
    let (cpu, wall, rows) = (cpu.as_secs_f64(), wall.as_secs_f64(), rows as f64);
    eprintln!(
        "{how:?}: {:.0} triplets/s and {:.0} images/s per core, {:.0} triplets/s on this machine",
        rows / cpu,
        2.0 * rows / cpu,
        rows / wall
    );
}

/// As the trainer prepares.
fn prepare(how: Preprocess) -> Prepare {
    let spec = ImageSpec::from(&ModelConfig::base());
    let (input, tokenizer) = (ImageInput { spec, how, crop: None }, Tokenizer::clip());
    Prepare {
        size: spec.size,
        image: Arc::new(move |bytes, seed, pixels| input.read(bytes, seed, pixels)),
        text: Arc::new(move |text| {
            let tokens = tokenizer.encode(text);
            (tokens.ids, tokens.cut)
        }),
    }
}
