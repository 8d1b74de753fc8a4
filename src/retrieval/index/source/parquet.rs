//! Images in rows of Parquet files: shards of triplets, test pools, and what others write with a struct
//! column of `bytes`, as the Hugging Face `datasets` library does. An image that occurs more than once
//! is taken once, by its id. Files are local.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::schema::types::SchemaDescriptor;
use sha2::{Digest, Sha256};

use super::Found;
use super::folder::walk;
use crate::retrieval::index::error::IndexError;
use crate::retrieval::index::items::{Item, Place};
use crate::retrieval::pump::{Picture, Work};
use crate::store::Manifest;
use crate::table::{TEST_POOL, TRIPLETS};

/// Rows that are held at a time.
const BATCH: usize = 64;

/// Columns of images, each with those of its id, URL and caption.
const COLUMNS: [[&str; 4]; 3] = [
    ["image", "image_id", "url", "caption"],
    ["target_image", "target_image_id", "target_url", "target_caption"],
    ["query_image", "query_image_id", "query_url", "query_caption"],
];

/// The Parquet files of a folder. Of a run of `mine` these are its triplets and its test pool, as their
/// manifests name them.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, IndexError> {
    if folder.join(TRIPLETS).join("stage.json").is_file() {
        let mut files = Vec::new();
        for table in [TRIPLETS, TEST_POOL] {
            committed(folder, table, &mut files)?;
        }
        return Ok(files);
    }
    let mut files = Vec::new();
    let is_parquet = |path: &Path| path.extension().is_some_and(|name| name == "parquet");
    walk(folder, Path::new(""), &is_parquet, &mut files)?;
    Ok(files.into_iter().map(|file| folder.join(file)).collect())
}

/// A part without a manifest, left by a kill, is not read.
fn committed(run: &Path, table: &str, files: &mut Vec<PathBuf>) -> Result<(), IndexError> {
    let folder = run.join(table);
    if !folder.is_dir() {
        return Ok(());
    }
    let mut manifests = Vec::new();
    let is_manifest = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("part-") && name.ends_with(".json")
    };
    walk(&folder, Path::new(""), &is_manifest, &mut manifests)?;
    for manifest in manifests {
        let path = folder.join(manifest);
        let text = std::fs::read(&path).map_err(IndexError::file(&path))?;
        let manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|error| IndexError::Damaged(path, error.to_string()))?;
        files.extend(manifest.files.get("rows").map(|file| run.join(&file.path)));
    }
    Ok(())
}

/// All images of some files, in order.
pub fn images<'a>(root: &'a Path, files: &'a [PathBuf]) -> impl Iterator<Item = Found> + Send + 'a {
    let mut seen = HashSet::new();
    files.iter().flat_map(move |file| rows(root, file)).filter(move |found| match found {
        Ok(work) => seen.insert(key(&work.tag.id)),
        Err(_) => true,
    })
}

/// Half a sha256: a set of these is small, and two ids never share one.
fn key(id: &str) -> [u8; 16] {
    let hash = Sha256::digest(id);
    std::array::from_fn(|at| hash[at])
}

/// The images of one file, or the one error that kept it from being read.
fn rows(root: &Path, file: &Path) -> Box<dyn Iterator<Item = Found> + Send> {
    let shown = file.strip_prefix(root).unwrap_or(file).to_owned();
    match open(file) {
        Ok((columns, batches)) => {
            let (file, mut first) = (file.to_owned(), 0);
            Box::new(batches.flat_map(move |batch| {
                let found: Vec<Found> = match batch {
                    Ok(batch) => {
                        let base = first;
                        first += batch.num_rows() as u64;
                        columns.iter().flat_map(|of| column(&batch, of, &shown, base)).collect()
                    }
                    Err(error) => {
                        vec![Err(IndexError::Damaged(file.clone(), error.to_string()))]
                    }
                };
                found
            }))
        }
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}

type Batches = parquet::arrow::arrow_reader::ParquetRecordBatchReader;

fn open(path: &Path) -> Result<(Vec<[&'static str; 4]>, Batches), IndexError> {
    let damaged = |problem: String| IndexError::Damaged(path.to_owned(), problem);
    let file = File::open(path).map_err(IndexError::file(path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| damaged(format!("is no Parquet file: {error}")))?;
    let schema = builder.parquet_schema();
    let columns: Vec<_> =
        COLUMNS.into_iter().filter(|[image, ..]| has(schema, &bytes(image))).collect();
    if columns.is_empty() {
        let known: Vec<_> = COLUMNS.iter().map(|[image, ..]| bytes(image)).collect();
        return Err(damaged(format!("has no images: none of {}", known.join(", "))));
    }
    let names = columns.iter().flat_map(|[image, others @ ..]| {
        std::iter::once(bytes(image)).chain(others.iter().map(ToString::to_string))
    });
    let names: Vec<String> = names.filter(|name| has(schema, name)).collect();
    let mask = ProjectionMask::columns(schema, names.iter().map(String::as_str));
    let batches = builder.with_projection(mask).with_batch_size(BATCH).build();
    Ok((columns, batches.map_err(|error| damaged(error.to_string()))?))
}

fn bytes(column: &str) -> String {
    format!("{column}.bytes")
}

fn has(schema: &SchemaDescriptor, name: &str) -> bool {
    schema.columns().iter().any(|column| column.path().string() == name)
}

/// The images in one column of a batch whose first row is row `base` of the file.
fn column(batch: &RecordBatch, names: &[&str; 4], file: &Path, base: u64) -> Vec<Found> {
    let [image, id, url, caption] = *names;
    let Some(cells) = bytes_of(batch, image) else { return Vec::new() };
    let cells: &BinaryArray = cells.as_binary();
    let [ids, urls, captions] = [id, url, caption].map(|name| text_of(batch, name));
    let text = |column: &Option<StringArray>, row: usize| {
        let column = column.as_ref().filter(|column| column.is_valid(row))?;
        Some(column.value(row).to_owned()).filter(|text| !text.is_empty())
    };
    let of_row = |row: usize| {
        let place = base + row as u64;
        let id = text(&ids, row).unwrap_or_else(|| format!("{}#{image}#{place}", file.display()));
        let place = Place::Parquet { file: file.to_owned(), column: image.into(), row: place };
        // Without bytes it fails as an image that is none, and is named.
        let bytes = if cells.is_valid(row) { cells.value(row) } else { &[] };
        let picture = Picture::Bytes(Bytes::copy_from_slice(bytes));
        let tag = Item { id, place, url: text(&urls, row), caption: text(&captions, row) };
        Ok(Work { picture, text: String::new(), tag })
    };
    (0..batch.num_rows()).map(of_row).collect()
}

/// The bytes in a struct column, null where the image is.
pub fn bytes_of(batch: &RecordBatch, column: &str) -> Option<ArrayRef> {
    let images = batch.column_by_name(column)?.as_struct_opt()?;
    cast(images.column_by_name("bytes")?, &DataType::Binary).ok()
}

fn text_of(batch: &RecordBatch, column: &str) -> Option<StringArray> {
    let texts = cast(batch.column_by_name(column)?, &DataType::Utf8).ok()?;
    Some(texts.as_string::<i32>().clone())
}
