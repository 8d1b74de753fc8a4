//! Objects by path on local disk; other object stores come with the same interface.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use thiserror::Error;

/// Something in the run directory that cannot be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store said no.
    #[error("{path}: {source}")]
    Object {
        /// Which object.
        path: String,
        /// What the store said.
        source: object_store::Error,
    },
    /// The location is not one that can be opened.
    #[error("{location}: {problem}")]
    Location {
        /// As given.
        location: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The object is there and is not what it should be.
    #[error("{path}: {problem}")]
    Corrupt {
        /// Which object.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// in = out + rejected + failed does not hold: a defect of the stage, so nothing is committed.
    #[error("{table} part {part}: {input} records in, but {accounted} accounted for")]
    Conservation {
        /// Table that was to be committed.
        table: String,
        /// Part number.
        part: u32,
        /// Records that went in.
        input: u64,
        /// Records out, rejected and failed together.
        accounted: u64,
    },
}

impl StoreError {
    /// An object that is there and is not what it should be.
    pub fn corrupt(path: impl Into<String>, problem: impl ToString) -> Self {
        Self::Corrupt { path: path.into(), problem: problem.to_string() }
    }
}

/// Where a run directory lies.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    local: PathBuf,
}

impl Store {
    /// Opens a local folder, creating it where needed.
    pub fn open(location: &str) -> Result<Self, StoreError> {
        let refuse = |problem: String| StoreError::Location { location: location.into(), problem };
        if let Some((scheme, _)) = location.split_once("://")
            && scheme != "file"
        {
            return Err(refuse(format!("{scheme}:// is not supported yet, give a local folder")));
        }
        let local = PathBuf::from(location.strip_prefix("file://").unwrap_or(location));
        std::fs::create_dir_all(&local).map_err(|error| refuse(error.to_string()))?;
        let local = local.canonicalize().map_err(|error| refuse(error.to_string()))?;
        let objects =
            LocalFileSystem::new_with_prefix(&local).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { objects: Arc::new(objects), local })
    }

    /// The folder on local disk.
    pub fn local(&self) -> &std::path::Path {
        &self.local
    }

    /// For readers and plans that speak `object_store` themselves.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        self.objects.clone()
    }

    /// The object's bytes, or none where it is not there.
    pub async fn read(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        let found = match self.objects.get(&Path::from(path)).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        match found {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(StoreError::Object { path: path.into(), source }),
        }
    }

    /// Puts an object unless one is there already; says whether this call put it.
    pub async fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool, StoreError> {
        let payload = PutPayload::from(bytes);
        match self.objects.put_opts(&Path::from(path), payload, PutMode::Create.into()).await {
            Ok(_) => self.sync(path).await.map(|()| true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(source) => Err(StoreError::Object { path: path.into(), source }),
        }
    }

    /// Puts or replaces an object.
    pub async fn replace(&self, path: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let put = self.objects.put(&Path::from(path), PutPayload::from(bytes)).await;
        put.map_err(|source| StoreError::Object { path: path.into(), source })?;
        self.sync(path).await
    }

    /// Paths and sizes below a folder, sorted.
    pub async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let prefix = Path::from(folder);
        let found = self.objects.list(Some(&prefix)).try_collect::<Vec<_>>().await;
        let found = found.map_err(|source| StoreError::Object { path: folder.into(), source })?;
        let mut paths: Vec<_> =
            found.into_iter().map(|meta| (meta.location.to_string(), meta.size)).collect();
        paths.sort();
        Ok(paths)
    }

    /// Removes an object; one that is gone already is no error.
    pub async fn delete(&self, path: &str) -> Result<(), StoreError> {
        match self.objects.delete(&Path::from(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(StoreError::Object { path: path.into(), source }),
        }
    }

    /// Forces an object and its folder entry to disk, so that a manifest never outlives its files
    /// in a power cut.
    pub async fn sync(&self, path: &str) -> Result<(), StoreError> {
        let file = self.local.join(path);
        let synced = tokio::task::spawn_blocking(move || {
            std::fs::File::open(&file)?.sync_all()?;
            file.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
        });
        let synced = synced.await.expect("syncing does not panic");
        synced.map_err(|error| StoreError::corrupt(path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_writer_of_an_object_wins() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        let writers = (0..16).map(|i| {
            let store = store.clone();
            tokio::spawn(async move { store.create("t/part.json", vec![i; 1000]).await })
        });
        let mut winners = Vec::new();
        for (i, writer) in writers.collect::<Vec<_>>().into_iter().enumerate() {
            if writer.await.unwrap().unwrap() {
                winners.push(u8::try_from(i).unwrap());
            }
        }
        assert_eq!(winners.len(), 1);
        let bytes = store.read("t/part.json").await.unwrap().unwrap();
        assert_eq!(bytes, vec![winners[0]; 1000]);
    }

    #[tokio::test]
    async fn what_is_not_there_is_none_and_may_be_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        assert_eq!(store.read("no/such.json").await.unwrap(), None);
        store.delete("no/such.json").await.unwrap();
        assert_eq!(store.list("no").await.unwrap(), []);
    }

    #[test]
    fn other_schemes_are_refused_with_a_reason() {
        let error = Store::open("s3://bucket/run").unwrap_err().to_string();
        assert_eq!(error, "s3://bucket/run: s3:// is not supported yet, give a local folder");
    }
}
