//! The bytes of an item's image, wherever they lie.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use arrow::array::{AsArray, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelectionPolicy,
};
use parquet::file::metadata::PageIndexPolicy;

use super::error::IndexError;
use super::items::{Item, Place};
use super::source::parquet::bytes_of;

/// Parquet files whose footer is kept.
const FOOTERS: usize = 64;

/// Reads images of an index.
#[derive(Debug, Default)]
pub struct Pictures {
    folder: PathBuf,
    root: PathBuf,
    footers: Mutex<HashMap<PathBuf, ArrowReaderMetadata>>,
}

impl Pictures {
    /// For an index in `folder` whose items are relative to `root`.
    pub fn new(folder: &Path, root: &Path) -> Self {
        Self { folder: folder.to_owned(), root: root.to_owned(), footers: Mutex::default() }
    }

    /// The file that holds an image.
    pub fn location(&self, item: &Item) -> PathBuf {
        match &item.place {
            Place::File(path) => self.root.join(path),
            Place::Stored(path) => self.folder.join(path),
            Place::Parquet { file, .. } => self.root.join(file),
        }
    }

    /// The bytes of an image's file.
    pub fn read(&self, item: &Item) -> Result<Vec<u8>, IndexError> {
        let path = self.location(item);
        match &item.place {
            Place::Parquet { column, row, .. } => self.cell(&path, column, *row),
            Place::File(_) | Place::Stored(_) => {
                std::fs::read(&path).map_err(IndexError::file(path))
            }
        }
    }

    /// One image of a Parquet file: only its page is read where the file has a page index.
    fn cell(&self, path: &Path, column: &str, row: u64) -> Result<Vec<u8>, IndexError> {
        let damaged = |problem: String| IndexError::Damaged(path.to_owned(), problem);
        let footer = self.footer(path)?;
        let rows = footer.metadata().file_metadata().num_rows().unsigned_abs() as usize;
        let row = row as usize;
        if row >= rows {
            return Err(damaged(format!("has {rows} rows, and row {row} was indexed")));
        }
        let file = File::open(path).map_err(IndexError::file(path))?;
        let mask =
            ProjectionMask::columns(footer.parquet_schema(), [format!("{column}.bytes").as_str()]);
        let selection = RowSelection::from_consecutive_ranges(std::iter::once(row..row + 1), rows);
        let mut batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer)
            .with_projection(mask)
            .with_row_selection(selection)
            .with_row_selection_policy(RowSelectionPolicy::Selectors)
            .with_batch_size(1)
            .build()
            .map_err(|error| damaged(error.to_string()))?;
        let batch: Option<Result<RecordBatch, _>> = batches.next();
        let batch = batch.transpose().map_err(|error| damaged(error.to_string()))?;
        let bytes = batch.as_ref().and_then(|batch| bytes_of(batch, column));
        let image = bytes.as_ref().and_then(|bytes| bytes.as_binary_opt::<i32>()?.iter().next()?);
        Ok(image.ok_or_else(|| damaged(format!("has no image at row {row}")))?.to_vec())
    }

    fn footer(&self, path: &Path) -> Result<ArrowReaderMetadata, IndexError> {
        let mut footers = self.footers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(footer) = footers.get(path) {
            return Ok(footer.clone());
        }
        let file = File::open(path).map_err(IndexError::file(path))?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let footer = ArrowReaderMetadata::load(&file, options)
            .map_err(|error| IndexError::Damaged(path.to_owned(), error.to_string()))?;
        if footers.len() >= FOOTERS {
            footers.clear();
        }
        footers.insert(path.to_owned(), footer.clone());
        Ok(footer)
    }
}
