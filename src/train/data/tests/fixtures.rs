//! Shards of tiny images that say which triplet they are of.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema};
use image::{ImageFormat, Rgb, RgbImage};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::record::{ImageBytes, ImageId, Split, content_id};
use crate::store::Row;
use crate::table::Triplet;
use crate::train::data::{Batch, Dataset, LoadOptions, Loader, Prepare, Shards};

/// Marks of the images of a triplet.
pub const QUERY: u8 = 1;
/// See [`QUERY`].
pub const TARGET: u8 = 2;
/// See [`QUERY`]; of the first hard negative, the next has one more.
pub const HARD: u8 = 3;

/// A PNG of one colour that holds the triplet's number and a mark.
pub fn png(number: u32, mark: u8) -> Vec<u8> {
    let color = Rgb([(number % 256) as u8, (number / 256) as u8, mark]);
    let image = RgbImage::from_pixel(2, 2, color);
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// The id of a triplet by its number.
pub fn id(number: u32) -> String {
    content_id(&["triplet", &number.to_string()])
}

/// A triplet with `hard` hard negatives, or with null for them.
pub fn triplet(number: u32, page: u64, hard: Option<u8>) -> Triplet {
    let image = |mark| ImageBytes { bytes: png(number, mark).into(), path: format!("{mark}.png") };
    let image_id = |name: &str| ImageId::of(format!("{name} {number}").as_bytes());
    Triplet {
        triplet_id: id(number),
        group_id: content_id(&["page", &page.to_string()]),
        instruction: "turn ".repeat(1 + number as usize % 5),
        query_image: Some(image(QUERY)),
        target_image: Some(image(TARGET)),
        query_cluster_id: image_id("query"),
        target_cluster_id: image_id("target"),
        split: Split::Train,
        hard_negatives: hard.map(|hard| (0..hard).map(|at| image(HARD + at)).collect()),
        ..Triplet::default()
    }
}

/// As the product writes: images uncompressed with a page each, the rest zstd.
pub fn properties() -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap()));
    for name in Triplet::BYTES_COLUMNS {
        let column = ColumnPath::new(name.split('.').map(str::to_owned).collect());
        builder = builder
            .set_column_data_page_size_limit(column.clone(), 16)
            .set_column_compression(column.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    // A page ends where a batch of writing does, so that small images have pages of their own too.
    builder.set_write_batch_size(1).build()
}

/// Writes a shard of these row groups with these columns.
pub fn write(path: &Path, fields: &[FieldRef], groups: &[Vec<Triplet>], how: WriterProperties) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let schema = Schema::new_with_metadata(fields.to_vec(), Triplet::metadata());
    let mut writer = ArrowWriter::try_new(file, Arc::new(schema), Some(how)).unwrap();
    for group in groups {
        writer.write(&serde_arrow::to_record_batch(fields, group).unwrap()).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}

/// Writes a shard as the product does.
pub fn shard(path: &Path, groups: &[Vec<Triplet>]) {
    write(path, &Triplet::fields(), groups, properties());
}

/// Writes shards `a.parquet`, `b.parquet`… with row groups of these sizes; triplets are numbered on
/// and `page` gives the page of each.
pub fn folder(shards: &[Vec<u32>], page: impl Fn(u32) -> u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut next = 0;
    for (name, sizes) in ('a'..='z').zip(shards) {
        let groups: Vec<Vec<Triplet>> = sizes
            .iter()
            .map(|&size| {
                next += size;
                let numbers = next - size..next;
                numbers.map(|number| triplet(number, page(number), hard_of(number))).collect()
            })
            .collect();
        shard(&folder.path().join(format!("{name}.parquet")), &groups);
    }
    folder
}

/// How many hard negatives the triplets of [`folder`] have.
pub fn hard_of(number: u32) -> Option<u8> {
    match (number % 3) as u8 {
        0 => None,
        rest => Some(rest),
    }
}

/// Opens the training split of a folder.
pub fn train(folder: &Path) -> Dataset {
    Shards::open(folder.to_str().unwrap()).unwrap().split(Split::Train).unwrap()
}

/// An image becomes its first pixel and, for the seed, nothing; a text as many ids as words.
pub fn prepare() -> Prepare {
    let image = |bytes: &[u8], _: u64, pixels: &mut [f32]| {
        let image = image::load_from_memory(bytes).map_err(|error| error.to_string())?;
        let color = image.to_rgb8().get_pixel(0, 0).0;
        pixels.copy_from_slice(&color.map(f32::from));
        Ok(())
    };
    let text = |text: &str| {
        let words = text.split_whitespace().count().min(4);
        let ids = [49406].into_iter().chain((1..=words as u32).chain([49407])).collect();
        (ids, text.split_whitespace().count() > 4)
    };
    Prepare { size: 1, image: Arc::new(image), text: Arc::new(text) }
}

/// Small batches on one thread.
pub fn options(batch: usize, window_rows: usize) -> LoadOptions {
    LoadOptions {
        batch,
        shuffle_window_rows: window_rows,
        prefetch_mib: 1,
        threads: 1,
        reads_at_once: 3,
        seed: 11,
        ..LoadOptions::default()
    }
}

/// The batches of some steps.
pub fn batches(dataset: &Dataset, options: &LoadOptions, first: u64, count: usize) -> Vec<Batch> {
    let loader = Loader::start(dataset, options, prepare(), first).unwrap();
    loader.take(count).map(Result::unwrap).collect()
}

/// The ids of all rows of some batches, in order.
pub fn ids(batches: &[Batch]) -> Vec<String> {
    batches.iter().flat_map(|batch| batch.triplet_ids.clone()).collect()
}
