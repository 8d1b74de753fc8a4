//! The output: a Parquet file of ids and embeddings, there whole or not at all.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Builder, ListBuilder, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tempfile::NamedTempFile;

use super::embed::EmbedError;

/// What new files may be opened by, less the process's mask: temporary ones are private by default.
const MODE: u32 = 0o666;

/// Writes `id` (string) and `embedding` (list of float32).
pub struct Writer {
    path: PathBuf,
    schema: Arc<Schema>,
    writer: ArrowWriter<NamedTempFile>,
}

impl Writer {
    /// Begins a file beside the one it will be.
    pub fn create(path: &Path) -> Result<Self, EmbedError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let aside = tempfile::Builder::new()
            .permissions(Permissions::from_mode(MODE))
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .map_err(|error| EmbedError::File(path.to_owned(), error))?;
        let item = Arc::new(Field::new_list_field(DataType::Float32, false));
        let schema = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("embedding", DataType::List(item), false),
        ]));
        // Floats of unit vectors do not compress.
        let properties =
            WriterProperties::builder().set_compression(Compression::UNCOMPRESSED).build();
        let writer = ArrowWriter::try_new(aside, Arc::clone(&schema), Some(properties))
            .map_err(|error| Self::failed(path, error))?;
        Ok(Self { path: path.to_owned(), schema, writer })
    }

    /// Appends rows; `embeddings` has `width` numbers for each id.
    pub fn push(
        &mut self,
        ids: &[&str],
        embeddings: &[f32],
        width: usize,
    ) -> Result<(), EmbedError> {
        let item = Field::new_list_field(DataType::Float32, false);
        let mut lists = ListBuilder::new(Float32Builder::new()).with_field(item);
        for row in embeddings.chunks_exact(width) {
            lists.values().append_slice(row);
            lists.append(true);
        }
        let columns: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from_iter_values(ids)), Arc::new(lists.finish())];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| Self::failed(&self.path, error))?;
        self.writer.write(&batch).map_err(|error| Self::failed(&self.path, error))
    }

    /// Closes the file, syncs it and puts it in its place.
    pub fn finish(self) -> Result<(), EmbedError> {
        let failed = |error| EmbedError::File(self.path.clone(), error);
        let aside = self.writer.into_inner().map_err(|error| Self::failed(&self.path, error))?;
        aside.as_file().sync_all().map_err(failed)?;
        aside.persist(&self.path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    fn failed(path: &Path, error: impl ToString) -> EmbedError {
        EmbedError::File(path.to_owned(), std::io::Error::other(error.to_string()))
    }
}
