//! Objects by path: a folder on local disk, or a place in an object store.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::error::DataFusionError;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::remote::{self, is_remote};

/// Something in the run directory that cannot be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store said no.
    #[error("{path}: {source}")]
    Object {
        /// Path of the object.
        path: String,
        /// Error of the store.
        source: object_store::Error,
    },
    /// The location is not one that can be opened.
    #[error("{location}: {problem}")]
    Location {
        /// As given.
        location: String,
        /// The problem, and what would be accepted.
        problem: String,
    },
    /// The object exists but its content is not valid.
    #[error("{path}: {problem}")]
    Corrupt {
        /// Path of the object.
        path: String,
        /// Problem with the content.
        problem: String,
    },
    /// A column that was asked for and that a file does not have.
    #[error("{path}: no column `{column}`; its columns are {columns}")]
    NoColumn {
        /// Path of the file.
        path: String,
        /// The column asked for.
        column: String,
        /// Names of the columns that there are.
        columns: String,
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
    /// Executors did not give the rows of a plan, or not those that there are.
    #[error("a plan on executors: {problem}; nothing of it was committed")]
    Engine {
        /// Failure of the last attempt.
        problem: String,
    },
}

impl StoreError {
    /// Creates the error of an object whose content is not valid.
    pub fn corrupt(path: impl Into<String>, problem: impl ToString) -> Self {
        Self::Corrupt { path: path.into(), problem: problem.to_string() }
    }
}

impl From<DataFusionError> for StoreError {
    fn from(error: DataFusionError) -> Self {
        Self::corrupt("plan", error)
    }
}

/// Tells an object from one that was put over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectTag(UpdateVersion);

/// Local folder or object store that holds a run directory.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    /// The bucket, and the prefix of the run directory in it. [`PrefixStore`] reports whole paths for single
    /// objects, which plans compare with the paths that they requested.
    bucket: (Arc<dyn ObjectStore>, Path),
    location: Arc<str>,
    folder: Option<Arc<std::path::Path>>,
    scratch: Arc<std::path::Path>,
}

impl Store {
    /// Opens a local folder, creating it where needed, or a place in an object store.
    pub fn open(location: &str) -> Result<Self, StoreError> {
        let refuse = |problem: String| StoreError::Location { location: location.into(), problem };
        if is_remote(location) {
            let (objects, place) = remote::open(location).map_err(refuse)?;
            if place.as_ref().is_empty() {
                return Err(refuse("give a path below the bucket".into()));
            }
            let location = location.trim_end_matches('/');
            let name = hex::encode(&Sha256::digest(location)[..8]);
            let scratch = std::env::temp_dir().join(format!("magiclens-{name}"));
            let bucket = (Arc::clone(&objects), place.clone());
            let objects = Arc::new(PrefixStore::new(objects, place));
            return Ok(Self {
                objects,
                bucket,
                location: location.into(),
                folder: None,
                scratch: scratch.into(),
            });
        }
        if let Some((scheme, _)) = location.split_once("://")
            && scheme != "file"
        {
            let problem = format!("{scheme}:// is not known, give a local folder, s3:// or gs://");
            return Err(refuse(problem));
        }
        let folder = PathBuf::from(location.strip_prefix("file://").unwrap_or(location));
        std::fs::create_dir_all(&folder).map_err(|error| refuse(error.to_string()))?;
        let folder = folder.canonicalize().map_err(|error| refuse(error.to_string()))?;
        let objects =
            LocalFileSystem::new_with_prefix(&folder).map_err(|error| refuse(error.to_string()))?;
        let location = folder.display().to_string().into();
        let folder: Arc<std::path::Path> = folder.into();
        let scratch = Arc::clone(&folder);
        let objects: Arc<dyn ObjectStore> = Arc::new(objects);
        let bucket = (Arc::clone(&objects), Path::default());
        Ok(Self { objects, bucket, location, folder: Some(folder), scratch })
    }

    /// A store that is open already, with a folder for what grows by appending.
    pub fn within(objects: Arc<dyn ObjectStore>, scratch: &std::path::Path) -> Self {
        let location = objects.to_string().into();
        let bucket = (Arc::clone(&objects), Path::default());
        Self { objects, bucket, location, folder: None, scratch: scratch.into() }
    }

    /// Returns the folder if the run directory is on local disk.
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.folder.as_deref()
    }

    /// Returns a folder on local disk for files that grow by appending, which objects cannot: the run
    /// directory itself if it is local, else a folder of this machine, whose content is uploaded to the
    /// store in segments.
    pub fn scratch(&self) -> &std::path::Path {
        &self.scratch
    }

    /// The same with another scratch folder.
    pub fn with_scratch(self, scratch: &std::path::Path) -> Self {
        Self { scratch: scratch.into(), ..self }
    }

    /// The folder or URL.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// For readers and plans that speak `object_store` themselves.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        self.objects.clone()
    }

    /// For plans: a store, and the place in it that paths are below.
    pub fn bucket(&self) -> &(Arc<dyn ObjectStore>, Path) {
        &self.bucket
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

    /// Puts or replaces an object. Another process may remove it as soon as it is there.
    pub async fn replace(&self, path: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let put = self.objects.put(&Path::from(path), PutPayload::from(bytes)).await;
        put.map_err(|source| StoreError::Object { path: path.into(), source })?;
        match self.force(path).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(StoreError::corrupt(path, error))
            }
            _ => Ok(()),
        }
    }

    /// Replaces an object that is still as it was when `tag` was read; says what its tag is now, or that
    /// it is another one by now.
    pub async fn update(
        &self,
        path: &str,
        bytes: Vec<u8>,
        tag: &ObjectTag,
    ) -> Result<Option<ObjectTag>, StoreError> {
        let mode = PutMode::Update(tag.0.clone());
        match self.objects.put_opts(&Path::from(path), bytes.into(), mode.into()).await {
            Ok(put) => Ok(Some(ObjectTag(put.into()))),
            Err(
                object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. },
            ) => Ok(None),
            Err(source) => Err(StoreError::Object { path: path.into(), source }),
        }
    }

    /// The object's bytes with what tells whether it is still the same one.
    pub async fn read_tagged(&self, path: &str) -> Result<Option<(Bytes, ObjectTag)>, StoreError> {
        let failed = |source| StoreError::Object { path: path.into(), source };
        let found = match self.objects.get(&Path::from(path)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        let meta = &found.meta;
        let tag = UpdateVersion { e_tag: meta.e_tag.clone(), version: meta.version.clone() };
        Ok(Some((found.bytes().await.map_err(failed)?, ObjectTag(tag))))
    }

    /// Names of the objects right below a folder, sorted.
    pub async fn names(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let found = self.objects.list_with_delimiter(Some(&Path::from(folder))).await;
        let found = found.map_err(|source| StoreError::Object { path: folder.into(), source })?;
        let name = |meta: ObjectMeta| meta.location.filename().map(str::to_owned);
        let mut names: Vec<_> = found.objects.into_iter().filter_map(name).collect();
        names.sort();
        Ok(names)
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
    /// in a power cut. What an object store has taken is there.
    pub async fn sync(&self, path: &str) -> Result<(), StoreError> {
        self.force(path).await.map_err(|error| StoreError::corrupt(path, error))
    }

    async fn force(&self, path: &str) -> std::io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let file = folder.join(path);
        let synced = tokio::task::spawn_blocking(move || {
            std::fs::File::open(&file)?.sync_all()?;
            file.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
        });
        synced.await.expect("syncing does not panic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_put_may_be_removed_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        let path = folder.path().join("t/errand.json");
        let puts = tokio::spawn(async move {
            for _ in 0..2000 {
                store.replace("t/errand.json", vec![1; 100]).await.unwrap();
            }
        });
        let mut removed = 0;
        while !puts.is_finished() {
            removed += usize::from(std::fs::remove_file(&path).is_ok());
        }
        puts.await.unwrap();
        assert!(removed > 0);
    }

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
        let refused = |location: &str| Store::open(location).unwrap_err().to_string();
        let error = refused("ftp://host/run");
        assert_eq!(
            error,
            "ftp://host/run: ftp:// is not known, give a local folder, s3:// or gs://"
        );
        assert_eq!(refused("s3://bucket"), "s3://bucket: give a path below the bucket");
    }
}
