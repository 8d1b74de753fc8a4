//! Typed rows in Parquet files, streamed both ways in bounded memory.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::reader::ObjectReader;
use super::sink::ParquetSink;
use super::{FileInfo, Store, StoreError, older};

/// A record that is a row of some table.
pub trait Row: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Columns in order. A type with fewer columns than a file reads just those.
    fn fields() -> Vec<FieldRef>;

    /// About how many bytes this row holds in memory: batches and row groups are cut by it.
    fn weight(&self) -> usize;

    /// Columns of image bytes by dotted path: stored without compression, a page for each image, so that
    /// one can be read without its neighbours.
    const BYTES_COLUMNS: &'static [&'static str] = &[];

    /// Key-value metadata of files.
    fn metadata() -> HashMap<String, String> {
        HashMap::new()
    }
}

/// Less than nearly every image: a page ends as soon as it has one.
const IMAGE_PAGE_BYTES: usize = 4096;

/// Row groups and compression of a file.
#[derive(Clone, Copy, Debug)]
pub enum Layout {
    /// A committed part: zstd, dictionaries; row groups of at most 512 rows or 32 MiB where there are
    /// images, else of 8192 rows or 8 MiB.
    Part,
    /// Work in progress: uncompressed, row groups of about 256 KiB, so that many files can be
    /// merged in little memory.
    Segment,
}

impl Layout {
    fn group_rows<R: Row>(self) -> usize {
        if R::BYTES_COLUMNS.is_empty() { 8192 } else { 512 }
    }

    fn group_bytes<R: Row>(self) -> usize {
        match self {
            Self::Part if R::BYTES_COLUMNS.is_empty() => 8 << 20,
            Self::Part => 32 << 20,
            Self::Segment => 256 << 10,
        }
    }

    /// Rows are converted in batches of this many bytes.
    fn batch_bytes<R: Row>(self) -> usize {
        self.group_bytes::<R>().min(1 << 20)
    }

    fn properties<R: Row>(self) -> WriterProperties {
        let software = concat!("magiclens ", env!("CARGO_PKG_VERSION"));
        let mut builder = WriterProperties::builder()
            .set_created_by(software.into())
            .set_max_row_group_row_count(Some(self.group_rows::<R>()));
        if let Self::Part = self {
            let zstd = ZstdLevel::try_new(3).expect("3 is a zstd level");
            builder = builder.set_compression(Compression::ZSTD(zstd));
        } else {
            builder = builder
                .set_dictionary_enabled(false)
                .set_statistics_enabled(EnabledStatistics::None);
        }
        for name in R::BYTES_COLUMNS {
            let column = ColumnPath::new(name.split('.').map(str::to_owned).collect());
            builder = builder
                .set_column_data_page_size_limit(column.clone(), IMAGE_PAGE_BYTES)
                .set_column_compression(column.clone(), Compression::UNCOMPRESSED)
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_statistics_enabled(column, EnabledStatistics::None);
        }
        builder.build()
    }
}

/// Writes rows of one type to one file.
pub struct RowWriter<R: Row> {
    store: Store,
    path: String,
    layout: Layout,
    fields: Vec<FieldRef>,
    sink: ParquetSink,
    pending: Vec<R>,
    pending_bytes: usize,
    rows: u64,
}

impl<R: Row> RowWriter<R> {
    /// Begins a file; nothing is visible at `path` before [`Self::close`].
    pub fn create(store: &Store, path: String, layout: Layout) -> Result<Self, StoreError> {
        let fields = R::fields();
        let schema = Arc::new(Schema::new_with_metadata(fields.clone(), R::metadata()));
        let upload = BufWriter::new(store.objects(), Path::from(path.as_str()));
        let sink = ParquetSink::new(upload, schema, layout.properties::<R>())
            .map_err(|error| StoreError::corrupt(path.clone(), error))?;
        let store = store.clone();
        let pending = Vec::new();
        Ok(Self { store, path, layout, fields, sink, pending, pending_bytes: 0, rows: 0 })
    }

    /// Adds a row.
    pub async fn push(&mut self, row: R) -> Result<(), StoreError> {
        self.pending_bytes += row.weight();
        self.pending.push(row);
        self.rows += 1;
        if self.pending_bytes >= self.layout.batch_bytes::<R>() || self.pending.len() >= 512 {
            self.write_pending().await?;
        }
        Ok(())
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the file and forces it to disk; a file without rows is not kept.
    pub async fn close(mut self) -> Result<Option<FileInfo>, StoreError> {
        self.write_pending().await?;
        if self.rows == 0 {
            return Ok(None);
        }
        let corrupt = |error| StoreError::corrupt(self.path.clone(), error);
        let bytes = self.sink.finish().await.map_err(corrupt)?;
        self.store.sync(&self.path).await?;
        Ok(Some(FileInfo { path: self.path, rows: self.rows, bytes }))
    }

    /// Gives up what was begun: parts of a large object that were sent off would stay in the store.
    pub async fn discard(self) {
        // It is about room only, and the store has its own rules for what is left behind.
        let _ = self.sink.abort().await;
    }

    async fn write_pending(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let corrupt = |error: String| StoreError::corrupt(self.path.clone(), error);
        let batch = serde_arrow::to_record_batch(&self.fields, &self.pending)
            .map_err(|error| corrupt(error.to_string()))?;
        self.pending.clear();
        self.pending_bytes = 0;
        self.sink.write(&batch).await.map_err(|error| corrupt(error.to_string()))?;
        if self.sink.in_progress_bytes() >= self.layout.group_bytes::<R>()
            || matches!(self.layout, Layout::Segment)
        {
            self.sink.end_row_group().await.map_err(|error| corrupt(error.to_string()))?;
        }
        Ok(())
    }
}

/// Rows in file order, a batch at a time.
pub struct RowStream<R> {
    path: String,
    batches: BoxStream<'static, Result<RecordBatch, String>>,
    row: PhantomData<R>,
}

impl<R: Row> RowStream<R> {
    /// Rows out of batches that have at least the columns of `R`; `path` is for messages.
    pub(super) fn new(
        path: &str,
        batches: BoxStream<'static, Result<RecordBatch, String>>,
    ) -> Self {
        Self { path: path.into(), batches, row: PhantomData }
    }

    /// The next rows, or none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<R>>, StoreError> {
        let corrupt = |error: String| StoreError::corrupt(self.path.clone(), error);
        let Some(batch) = self.batches.next().await else { return Ok(None) };
        let batch = batch.map_err(corrupt)?;
        let rows = serde_arrow::from_record_batch(&batch);
        rows.map(Some).map_err(|error| corrupt(error.to_string()))
    }

    /// All rows at once; for tables whose parts are small by configuration.
    pub async fn collect(mut self) -> Result<Vec<R>, StoreError> {
        let mut all = Vec::new();
        while let Some(rows) = self.next().await? {
            all.extend(rows);
        }
        Ok(all)
    }
}

/// Opens a file for the columns that `R` has, `batch_rows` rows at a time. A column that may be null may
/// be missing, as it is in files of versions that did not have it.
///
/// ```
/// use magiclens_core::{Reason, Reject};
/// use magiclens_store::{Layout, RowWriter, RunDir, read_rows};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyhow::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let location = folder.path().to_string_lossy();
/// let run = RunDir::open(&location)?;
/// let path = "rejects/pages/example.parquet".to_owned();
/// let mut writer = RowWriter::create(run.store(), path.clone(), Layout::Part)?;
/// writer.push(Reject::new("https://example.org/", Reason::Noindex, "meta robots")).await?;
/// writer.close().await?;
///
/// let mut rejects = read_rows::<Reject>(run.store(), &path, 512).await?;
/// while let Some(batch) = rejects.next().await? {
///     assert_eq!(batch[0].reason, Reason::Noindex);
/// }
/// # Ok(())
/// # }
/// ```
pub async fn read_rows<R: Row>(
    store: &Store,
    path: &str,
    batch_rows: usize,
) -> Result<RowStream<R>, StoreError> {
    let corrupt = |error: parquet::errors::ParquetError| StoreError::corrupt(path, error);
    let reader = ObjectReader::new(store.objects(), path);
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(corrupt)?;
    let wanted = R::fields();
    let mut names: Vec<&str> = Vec::new();
    for field in &wanted {
        let has = older::has(builder.schema(), field);
        if has.map_err(|problem| StoreError::corrupt(path, problem))? {
            names.push(field.name());
        }
    }
    let mask = ProjectionMask::columns(builder.parquet_schema(), names);
    let batches = builder
        .with_projection(mask)
        .with_batch_size(batch_rows)
        .build()
        .map_err(corrupt)?
        .map(|batch| batch.map_err(|error| error.to_string()));
    Ok(RowStream::new(path, batches.boxed()))
}
