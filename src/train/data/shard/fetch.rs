//! Ranged reads of one object that survive a passing failure.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{Error, ObjectStore};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::train::data::DataError;

/// Read from the end of a shard at once: the footer of half a GiB of triplets fits.
const FOOTER_BYTES: usize = 256 << 10;
/// Tries after the first. A store over HTTP has tried ten times by itself before it says no.
const RETRIES: usize = 3;

/// One object, read by range. Neighbouring ranges are put together as the store likes it: not at
/// all on local disk, across gaps of up to a MiB over HTTP.
#[derive(Clone, Debug)]
pub struct Fetch {
    objects: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl Fetch {
    /// Reads nothing yet.
    pub fn new(objects: Arc<dyn ObjectStore>, path: Path, size: u64) -> Self {
        Self { objects, path, size }
    }

    /// The path in the store, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(100))
            .with_max_times(RETRIES)
            .build();
        loop {
            let error = match self.objects.get_ranges(&self.path, ranges).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            let Some(pause) = pauses.next().filter(|_| is_transient(&error)) else {
                return Err(ParquetError::External(Box::new(error)));
            };
            tracing::warn!(shard = %self.path, %error, "read failed, trying again");
            tokio::time::sleep(pause).await;
        }
    }
}

/// Whether the same request may succeed a moment later.
fn is_transient(error: &Error) -> bool {
    // Timeouts, resets, 5xx and errors of the disk are all `Generic`; the others are answers.
    matches!(error, Error::Generic { .. } | Error::JoinError { .. })
}

impl AsyncFileReader for Fetch {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move { Ok(self.ranges(&[range]).await?.swap_remove(0)) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move { self.ranges(&ranges).await }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        let size = self.size;
        let reader = ParquetMetaDataReader::new().with_arrow_reader_options(options);
        let reader = reader.with_prefetch_hint(Some(FOOTER_BYTES));
        async move { reader.load_and_finish(self, size).await.map(Arc::new) }.boxed()
    }
}

/// The footer of a shard, checked against its size.
pub async fn footer(fetch: &mut Fetch) -> Result<Arc<ParquetMetaData>, DataError> {
    let path = fetch.path().clone();
    let size = fetch.size;
    let metadata = fetch.get_metadata(None).await;
    let metadata = metadata.map_err(|error| DataError::shard(&path, error))?;
    for (at, group) in metadata.row_groups().iter().enumerate() {
        for column in group.columns() {
            let (start, length) = column.byte_range();
            if start.checked_add(length).is_none_or(|end| end > size) {
                let problem = format!("row group {at} reaches past the end of the file");
                return Err(DataError::shard(&path, problem));
            }
        }
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let source = || Box::from("connection reset");
        assert!(is_transient(&Error::Generic { store: "S3", source: source() }));
        for answer in [
            Error::NotFound { path: "a".into(), source: source() },
            Error::PermissionDenied { path: "a".into(), source: source() },
            Error::Unauthenticated { path: "a".into(), source: source() },
        ] {
            assert!(!is_transient(&answer), "{answer}");
        }
    }
}
