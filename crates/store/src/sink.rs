//! Files on their way to a store: put into blocks as they are written, and handed over block by block
//! without another copy.
//!
//! `AsyncArrowWriter` has each row group in one buffer that grows, and copies it into the parts of an upload:
//! two thirds of what export took were the page faults of that.

use std::io::{self, Write};
use std::mem;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use object_store::buffered::BufWriter;
use parquet::arrow::ArrowWriter;
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use tokio::io::AsyncWriteExt;

/// Large enough that few blocks are needed, small enough that the allocator can reuse them.
const BLOCK_BYTES: usize = 1 << 20;

/// One Parquet file; nothing of it is visible before [`Self::finish`].
pub(super) struct ParquetSink {
    writer: ArrowWriter<Blocks>,
    upload: BufWriter,
}

impl ParquetSink {
    pub(super) fn new(
        upload: BufWriter,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self> {
        let writer = ArrowWriter::try_new(Blocks::default(), schema, Some(properties))?;
        Ok(Self { writer, upload })
    }

    /// Adds rows to the row group that is being written.
    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch)?;
        self.hand_over().await
    }

    /// Bytes of the row group that is being written.
    pub(super) fn in_progress_bytes(&self) -> usize {
        self.writer.in_progress_size()
    }

    /// Ends the row group.
    pub(super) async fn end_row_group(&mut self) -> Result<()> {
        self.writer.flush()?;
        self.hand_over().await
    }

    /// Ends the file; gives its size in bytes.
    pub(super) async fn finish(mut self) -> Result<u64> {
        self.writer.finish()?;
        let bytes = self.writer.bytes_written() as u64;
        self.writer.inner_mut().end(&mut self.upload).await.map_err(external)?;
        Ok(bytes)
    }

    /// Gives the file up, and what the store holds of it.
    pub(super) async fn abort(mut self) -> object_store::Result<()> {
        self.upload.abort().await
    }

    async fn hand_over(&mut self) -> Result<()> {
        self.writer.inner_mut().hand_over(&mut self.upload).await.map_err(external)
    }
}

fn external(error: io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// Bytes that were written and not yet passed on.
#[derive(Default)]
pub(super) struct Blocks {
    full: Vec<Bytes>,
    open: Vec<u8>,
}

impl Blocks {
    /// Hands the full blocks over.
    pub(super) async fn hand_over(&mut self, upload: &mut BufWriter) -> io::Result<()> {
        for block in mem::take(&mut self.full) {
            upload.put(block).await?;
        }
        Ok(())
    }

    /// Hands all of it over and ends the file.
    pub(super) async fn end(&mut self, upload: &mut BufWriter) -> io::Result<()> {
        self.hand_over(upload).await?;
        let last = mem::take(&mut self.open);
        if !last.is_empty() {
            upload.put(last.into()).await?;
        }
        upload.shutdown().await
    }
}

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open.reserve_exact(BLOCK_BYTES - self.open.len());
        let taken = bytes.len().min(BLOCK_BYTES - self.open.len());
        self.open.extend_from_slice(&bytes[..taken]);
        if self.open.len() == BLOCK_BYTES {
            self.full.push(mem::take(&mut self.open).into());
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_what_was_written() {
        let mut blocks = Blocks::default();
        let bytes: Vec<u8> = (0..BLOCK_BYTES * 5 / 2).map(|at| (at % 251) as u8).collect();
        for chunk in bytes.chunks(77_777) {
            blocks.write_all(chunk).unwrap();
        }
        assert_eq!(blocks.full.iter().map(Bytes::len).collect::<Vec<_>>(), [BLOCK_BYTES; 2]);
        let mut all = blocks.full.concat();
        all.extend(blocks.open);
        assert!(all == bytes);
    }
}
