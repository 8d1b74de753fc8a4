//! Object stores by URL: `s3://bucket/path`, `gs://bucket/path` (crate `object_store`).
//!
//! Credentials and endpoints come from the environment (`AWS_*`, `GOOGLE_*`), by the names that
//! `object_store` documents.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt;
use url::Url;

use super::StoreError;

/// A large part on a slow line, or on a machine that is busy with else, takes longer than the 30 seconds
/// for a request and 5 to connect that `object_store` has for both. What the environment says comes last.
const DEFAULTS: [(&str, &str); 2] = [("timeout", "120 seconds"), ("connect_timeout", "20 seconds")];

/// Returns true if a name is that of an object in a store, and not a file or a web address.
pub fn is_remote(name: &str) -> bool {
    matches!(name.split_once("://"), Some(("s3" | "s3a" | "gs", _)))
}

/// The store of a URL, and the place in it.
pub fn open(location: &str) -> Result<(Arc<dyn ObjectStore>, Path), String> {
    // Object stores speak TLS by the provider of the process; who asked first has chosen it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = Url::parse(location).map_err(|error| error.to_string())?;
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let options = DEFAULTS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options = options.into_iter().chain(std::env::vars_os().filter_map(text));
    let opened = object_store::parse_url_opts(&url, options);
    let (objects, place) = opened.map_err(|error| error.to_string())?;
    Ok((objects.into(), place))
}

/// Single objects by URL, such as a run's inputs; each bucket is opened once.
#[derive(Debug, Default)]
pub struct Objects(Mutex<HashMap<String, Arc<dyn ObjectStore>>>);

/// The pieces of an object in their order.
pub type Pieces = BoxStream<'static, Result<Bytes, object_store::Error>>;

impl Objects {
    fn open(&self, name: &str) -> Result<(Arc<dyn ObjectStore>, Path), StoreError> {
        let refuse = |problem: String| StoreError::Location { location: name.into(), problem };
        let mut opened = self.0.lock().expect("no holder of this lock panics");
        let bucket = name.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let (objects, place) = match opened.get(&bucket) {
            Some(objects) => {
                let path = name.get(bucket.len()..).unwrap_or_default();
                (Arc::clone(objects), Path::from_url_path(path).map_err(|e| refuse(e.to_string()))?)
            }
            None => open(name).map_err(refuse)?,
        };
        opened.insert(bucket, Arc::clone(&objects));
        Ok((objects, place))
    }

    /// The object's size.
    pub async fn size(&self, name: &str) -> Result<u64, StoreError> {
        let (objects, place) = self.open(name)?;
        let head = objects.head(&place).await;
        head.map(|meta| meta.size)
            .map_err(|source| StoreError::Object { path: name.into(), source })
    }

    /// Streams the bytes of the object, or of a range.
    pub async fn pieces(
        &self,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Pieces, StoreError> {
        let (objects, place) = self.open(name)?;
        let options = GetOptions { range: range.map(Into::into), ..GetOptions::default() };
        let found = objects.get_opts(&place, options).await;
        let found = found.map_err(|source| StoreError::Object { path: name.into(), source })?;
        Ok(found.into_stream())
    }

    /// The object's bytes, `most` of them at most.
    pub async fn read(&self, name: &str, most: usize) -> Result<Vec<u8>, StoreError> {
        let mut pieces = self.pieces(name, None).await?;
        let mut bytes = Vec::new();
        let failed = |source| StoreError::Object { path: name.into(), source };
        while let Some(piece) = pieces.try_next().await.map_err(failed)? {
            if bytes.len() + piece.len() > most {
                return Err(StoreError::corrupt(name, format!("has over {most} bytes")));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Writes the object to a file, for readers that go back and forth.
    pub async fn copy(&self, name: &str, to: &std::path::Path) -> Result<(), StoreError> {
        let failed = |source| StoreError::Object { path: name.into(), source };
        let at = |error: std::io::Error| StoreError::corrupt(to.display().to_string(), error);
        let mut pieces = self.pieces(name, None).await?;
        let mut file = tokio::fs::File::create(to).await.map_err(at)?;
        while let Some(piece) = pieces.try_next().await.map_err(failed)? {
            file.write_all(&piece).await.map_err(at)?;
        }
        file.flush().await.map_err(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_objects_are_told_from_files_and_web_addresses() {
        for name in ["s3://bucket/run", "gs://bucket", "s3a://b/x.warc.gz"] {
            assert!(is_remote(name), "{name}");
        }
        for name in ["runs/mine", "/s3/x", "https://a.example/s3://x", "file:///x"] {
            assert!(!is_remote(name), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_opened_says_why() {
        let error = open("carrier-pigeon://coop/shards").unwrap_err();
        assert!(error.contains("carrier-pigeon"), "{error}");
    }
}
