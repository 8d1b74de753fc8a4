//! Ranged Parquet reads from an object store.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Fields, Schema};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::{Store, StoreError};

type Result<T, E = ParquetError> = std::result::Result<T, E>;

/// One object, read by range.
pub struct ObjectReader {
    objects: Arc<dyn ObjectStore>,
    path: Path,
}

impl ObjectReader {
    /// Reads nothing yet.
    pub fn new(objects: Arc<dyn ObjectStore>, path: &str) -> Self {
        Self { objects, path: Path::from(path) }
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for ObjectReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move { self.objects.get_range(&self.path, range).await.map_err(external) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move { self.objects.get_ranges(&self.path, &ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let size = self.objects.head(&self.path).await.map_err(external)?.size;
            let reader = ParquetMetaDataReader::new().with_arrow_reader_options(options);
            reader.load_and_finish(self, size).await.map(Arc::new)
        }
        .boxed()
    }
}

/// The same file, a column of it to be read as views into its pages: nothing is copied out of them.
fn with_views(metadata: &ArrowReaderMetadata, column: &str) -> Result<ArrowReaderMetadata> {
    let as_view = |field: &FieldRef| match field.name() == column {
        true => Arc::new(field.as_ref().clone().with_data_type(DataType::BinaryView)),
        false => Arc::clone(field),
    };
    let fields: Fields = metadata.schema().fields().iter().map(as_view).collect();
    let schema = Schema::new_with_metadata(fields, metadata.schema().metadata().clone());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)
}

/// One column of one file, read by row.
#[derive(Clone)]
pub struct PageReader {
    objects: Arc<dyn ObjectStore>,
    path: String,
    column: &'static str,
    metadata: ArrowReaderMetadata,
}

/// Reads the first `limit` rows of a file, whatever its columns: those named, in the order named, or all
/// where none is.
pub async fn first_rows(
    store: &Store,
    path: &str,
    columns: &[String],
    limit: usize,
) -> Result<Vec<RecordBatch>, StoreError> {
    let corrupt = |error: ParquetError| StoreError::corrupt(path, error);
    let reader = ObjectReader::new(store.objects(), path);
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(corrupt)?;
    let schema = Arc::clone(builder.schema());
    if let Some(column) = columns.iter().find(|column| schema.index_of(column).is_err()) {
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let names = names.collect::<Vec<_>>().join(", ");
        let (path, column) = (path.to_owned(), column.clone());
        return Err(StoreError::NoColumn { path, column, columns: names });
    }
    let mask = match columns {
        [] => ProjectionMask::all(),
        _ => ProjectionMask::columns(builder.parquet_schema(), columns.iter().map(String::as_str)),
    };
    let builder = builder.with_projection(mask).with_limit(limit).with_batch_size(BATCH_ROWS);
    let batches: Vec<_> = builder.build().map_err(corrupt)?.collect().await;
    let in_order = |batch: Result<RecordBatch>| {
        let batch = batch.map_err(corrupt)?;
        let order = columns.iter().map(|column| batch.schema().index_of(column));
        let order = order.collect::<Result<Vec<_>, _>>().map_err(|error| corrupt(error.into()))?;
        let ordered = if columns.is_empty() { Ok(batch) } else { batch.project(&order) };
        ordered.map_err(|error| corrupt(error.into()))
    };
    batches.into_iter().map(in_order).collect()
}

/// Rows of a batch read at once.
const BATCH_ROWS: usize = 64;

impl PageReader {
    /// Reads the page index, so that later reads touch nothing but the pages they need.
    pub async fn open(store: &Store, path: &str, column: &'static str) -> Result<Self, StoreError> {
        let mut reader = ObjectReader::new(store.objects(), path);
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let metadata = ArrowReaderMetadata::load_async(&mut reader, options).await;
        let metadata = metadata.and_then(|metadata| with_views(&metadata, column));
        let metadata = metadata.map_err(|error| StoreError::corrupt(path, error))?;
        Ok(Self { objects: store.objects(), path: path.to_owned(), column, metadata })
    }

    /// The column's values in `rows`, which are sorted and distinct.
    pub fn read(
        &self,
        rows: &[u32],
    ) -> Result<impl Stream<Item = Result<RecordBatch, StoreError>> + Unpin + use<>, StoreError>
    {
        let path = self.path.clone();
        let corrupt = move |error: ParquetError| StoreError::corrupt(path.clone(), error);
        let total = self.metadata.metadata().file_metadata().num_rows();
        let total = usize::try_from(total).unwrap_or_default();
        let ranges = rows.iter().map(|&row| row as usize..row as usize + 1);
        let selection = RowSelection::from_consecutive_ranges(ranges, total);
        let reader = ObjectReader::new(Arc::clone(&self.objects), &self.path);
        let builder =
            ParquetRecordBatchStreamBuilder::new_with_metadata(reader, self.metadata.clone());
        let mask = ProjectionMask::columns(builder.parquet_schema(), [self.column]);
        let batches = builder
            .with_projection(mask)
            .with_row_selection(selection)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(&corrupt)?;
        Ok(batches.map(move |batch| batch.map_err(&corrupt)))
    }
}
