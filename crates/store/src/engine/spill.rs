//! Rows of one try, in a file without a name: it goes with its handle, however the process ends.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek};

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use futures::{StreamExt, stream};

use crate::session::Batches;

/// Writes batches of one schema.
#[derive(Default)]
pub struct SpillWriter {
    writer: Option<StreamWriter<BufWriter<File>>>,
    rows: u64,
}

impl SpillWriter {
    /// Adds a batch. An error is about this machine's disk.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            empty => {
                let file = tempfile::tempfile().map_err(|error| unwritten(&error))?;
                let writer = StreamWriter::try_new(BufWriter::new(file), &batch.schema());
                empty.insert(writer.map_err(|error| unwritten(&error))?)
            }
        };
        writer.write(batch).map_err(|error| unwritten(&error))?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Ends it.
    pub fn finish(self) -> Result<Spill, String> {
        let Some(mut writer) = self.writer else { return Ok(Spill { file: None, rows: 0 }) };
        writer.finish().map_err(|error| unwritten(&error))?;
        let writer = writer.into_inner().map_err(|error| unwritten(&error))?;
        let mut file = writer.into_inner().map_err(|error| unwritten(&error))?;
        file.rewind().map_err(|error| unwritten(&error))?;
        Ok(Spill { file: Some(file), rows: self.rows })
    }
}

fn unwritten(error: &impl std::fmt::Display) -> String {
    format!("rows could not be kept in {}: {error}", std::env::temp_dir().display())
}

/// Batches that have all come.
pub struct Spill {
    file: Option<File>,
    rows: u64,
}

impl Spill {
    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Reads them.
    pub fn into_batches(self) -> Result<Batches, String> {
        let Some(file) = self.file else { return Ok(stream::empty().boxed()) };
        let reader = StreamReader::try_new(BufReader::new(file), None);
        let reader = reader.map_err(|error| error.to_string())?;
        Ok(stream::iter(reader.map(|batch| batch.map_err(|error| error.to_string()))).boxed())
    }
}
