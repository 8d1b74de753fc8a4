//! One row group of a shard, read by row.
//!
//! A footer and page index of a whole shard take a MiB or more; a block keeps the part of its own
//! row group only, so that a window over many shards stays small. Values are views of the fetched
//! pages: uncompressed image bytes are not copied.

use std::sync::Arc;

use arrow::array::{
    Array, AsArray, BinaryViewArray, ByteView, RecordBatch, StringViewArray, StructArray,
};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, RowSelection, RowSelectionPolicy,
};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask, parquet_to_arrow_schema};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    FileMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataReader,
};

use super::{Columns, Fetch, footer};
use crate::train::data::DataError;

/// A row group that can be read without going back to the footer.
#[derive(Clone)]
pub struct Block {
    fetch: Fetch,
    metadata: ArrowReaderMetadata,
    columns: Columns,
    rows: usize,
}

impl Block {
    /// Opens some row groups of one shard: one read of its footer, one page index each.
    pub async fn open(
        objects: Arc<dyn ObjectStore>,
        path: Path,
        size: u64,
        groups: &[u32],
    ) -> Result<Vec<Self>, DataError> {
        let mut fetch = Fetch::new(objects, path, size);
        let footer = footer(&mut fetch).await?;
        let path = fetch.path().clone();
        let schema = footer.file_metadata().schema_descr();
        let columns = Columns::find(schema).map_err(|(column, problem)| DataError::Column {
            shard: path.to_string(),
            column,
            problem,
        })?;
        let corrupt = |error: ParquetError| DataError::shard(&path, error);
        let options = options(&footer).map_err(corrupt)?;
        let mut blocks = Vec::with_capacity(groups.len());
        for &group in groups {
            if group as usize >= footer.num_row_groups() {
                return Err(DataError::shard(
                    &path,
                    "has fewer row groups than when it was opened",
                ));
            }
            let own = indexed(&footer, group as usize, &mut fetch).await.map_err(corrupt)?;
            let rows = usize::try_from(own.file_metadata().num_rows()).unwrap_or_default();
            let metadata = ArrowReaderMetadata::try_new(Arc::new(own), options.clone());
            let metadata = metadata.map_err(corrupt)?;
            blocks.push(Self { fetch: fetch.clone(), metadata, columns: columns.clone(), rows });
        }
        Ok(blocks)
    }

    /// Which leaf holds what.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The leaves `leaves` of `rows`, which are sorted and distinct; only their pages are fetched.
    pub async fn read(&self, leaves: &[usize], rows: &[u32]) -> Result<RecordBatch, DataError> {
        let read = self.batches(leaves, rows).await;
        let batches = read.map_err(|error| DataError::shard(self.fetch.path(), error))?;
        let got: usize = batches.iter().map(RecordBatch::num_rows).sum();
        match <[RecordBatch; 1]>::try_from(batches) {
            Ok([batch]) if got == rows.len() => Ok(batch),
            _ => {
                let problem = format!("gave {got} rows where {} were asked for", rows.len());
                Err(DataError::shard(self.fetch.path(), problem))
            }
        }
    }

    async fn batches(
        &self,
        leaves: &[usize],
        rows: &[u32],
    ) -> Result<Vec<RecordBatch>, ParquetError> {
        let mask = ProjectionMask::leaves(self.metadata.parquet_schema(), leaves.iter().copied());
        let metadata = self.metadata.clone();
        let mut builder =
            ParquetRecordBatchStreamBuilder::new_with_metadata(self.fetch.clone(), metadata)
                .with_projection(mask)
                .with_batch_size(rows.len().max(1));
        if rows.len() < self.rows {
            let ranges = rows.iter().map(|&row| row as usize..row as usize + 1);
            builder = builder
                .with_row_selection(RowSelection::from_consecutive_ranges(ranges, self.rows))
                // A mask would decode the pages between, which are not fetched.
                .with_row_selection_policy(RowSelectionPolicy::Selectors);
        }
        builder.build()?.try_collect().await
    }
}

/// The footer of one row group alone, with its offset index.
async fn indexed(
    footer: &ParquetMetaData,
    group: usize,
    fetch: &mut Fetch,
) -> Result<ParquetMetaData, ParquetError> {
    let (file, group) = (footer.file_metadata(), footer.row_group(group));
    let orders = file.column_orders().cloned();
    let schema = file.schema_descr_ptr();
    let file = FileMetaData::new(file.version(), group.num_rows(), None, None, schema, orders);
    let own = ParquetMetaDataBuilder::new(file).add_row_group(group.clone()).build();
    let mut reader = ParquetMetaDataReader::new_with_metadata(own)
        .with_column_index_policy(PageIndexPolicy::Skip)
        .with_offset_index_policy(PageIndexPolicy::Optional);
    reader.load_page_index(fetch).await?;
    reader.finish()
}

/// Strings and bytes are read as views, whatever Arrow types the writer noted.
fn options(footer: &ParquetMetaData) -> Result<ArrowReaderOptions, ParquetError> {
    let schema = parquet_to_arrow_schema(footer.file_metadata().schema_descr(), None)?;
    let fields: Fields = schema.fields().iter().map(as_views).collect();
    Ok(ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields))))
}

fn as_views(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(as_views).collect()),
        DataType::List(item) => DataType::List(as_views(item)),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

/// A text column of a batch.
pub fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StringViewArray> {
    batch.column_by_name(name)?.as_string_view_opt()
}

/// The images of a struct column, a null as none.
pub fn images(batch: &RecordBatch, name: &str) -> Option<Vec<Option<Buffer>>> {
    bytes_of(batch.column_by_name(name)?.as_struct_opt()?)
}

/// The images of a column of lists of structs; a null list is an empty one.
pub fn list_images(batch: &RecordBatch, name: &str) -> Option<Vec<Vec<Buffer>>> {
    let lists = batch.column_by_name(name)?.as_list_opt::<i32>()?;
    let images = bytes_of(lists.values().as_struct_opt()?)?;
    let of_row = |row: usize| {
        let (start, end) = (lists.value_offsets()[row], lists.value_offsets()[row + 1]);
        let range = if lists.is_null(row) { 0..0 } else { start as usize..end as usize };
        images.get(range).map(|images| images.iter().flatten().cloned().collect())
    };
    (0..lists.len()).map(of_row).collect()
}

fn bytes_of(images: &StructArray) -> Option<Vec<Option<Buffer>>> {
    let bytes = images.column_by_name("bytes")?.as_binary_view_opt()?;
    let of_row = |row| (images.is_valid(row) && bytes.is_valid(row)).then(|| value(bytes, row));
    Some((0..images.len()).map(of_row).collect())
}

/// The bytes of one row, which share the fetched page.
fn value(array: &BinaryViewArray, row: usize) -> Buffer {
    let view = ByteView::from(array.views()[row]);
    // Up to twelve bytes lie in the view itself.
    if view.length <= 12 {
        return Buffer::from(array.value(row));
    }
    let page = &array.data_buffers()[view.buffer_index as usize];
    page.slice_with_length(view.offset as usize, view.length as usize)
}
