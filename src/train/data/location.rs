//! Where shards lie: a local folder, or an object store named by URL (crate `object_store`).
//!
//! Credentials and endpoints of object stores come from the environment (`AWS_*`, `GOOGLE_*`).

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use tokio::runtime::{Builder, Runtime};

use super::DataError;
use crate::store::open_remote;

/// Threads that wait for the store and take Parquet apart; decoding has its own.
const IO_THREADS: usize = 4;

/// A store, the place in it, and the runtime that its connections live on.
#[derive(Clone, Debug)]
pub(super) struct Location {
    pub objects: Arc<dyn ObjectStore>,
    pub prefix: Path,
    /// As given, for messages.
    pub name: Arc<str>,
    io: Arc<Io>,
}

impl Location {
    /// Opens a folder, a single shard, or a URL that `object_store` knows.
    pub fn open(location: &str) -> Result<Self, DataError> {
        let refuse = |problem: String| DataError::Location { location: location.into(), problem };
        let (objects, prefix) = match location.split_once("://") {
            None => local(location).map_err(refuse)?,
            Some(("file", path)) => local(path).map_err(refuse)?,
            Some(_) => open_remote(location).map_err(refuse)?,
        };
        let io = Arc::new(Io::new().map_err(|error| refuse(error.to_string()))?);
        Ok(Self { objects, prefix, name: location.into(), io })
    }

    /// A store that is open already, such as one in memory.
    pub fn within(objects: Arc<dyn ObjectStore>, prefix: &str) -> Result<Self, DataError> {
        let refuse = |error: std::io::Error| DataError::Location {
            location: prefix.into(),
            problem: error.to_string(),
        };
        let io = Arc::new(Io::new().map_err(refuse)?);
        Ok(Self { objects, prefix: Path::from(prefix), name: prefix.into(), io })
    }

    /// Where futures on this store run.
    pub fn runtime(&self) -> &Runtime {
        self.io.0.as_ref().expect("taken only when dropped")
    }
}

fn local(location: &str) -> Result<(Arc<dyn ObjectStore>, Path), String> {
    let path = std::path::Path::new(location);
    let path = path.canonicalize().map_err(|error| error.to_string())?;
    let folder = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(&path) };
    let objects = LocalFileSystem::new_with_prefix(folder).map_err(|error| error.to_string())?;
    let prefix = match path.file_name().filter(|_| path.is_file()) {
        Some(name) => Path::from(name.to_string_lossy().as_ref()),
        None => Path::default(),
    };
    Ok((Arc::new(objects), prefix))
}

/// A runtime that may be dropped anywhere: what it still reads ends by itself.
#[derive(Debug)]
struct Io(Option<Runtime>);

impl Io {
    fn new() -> std::io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(IO_THREADS).thread_name("data-io").enable_all();
        builder.build().map(Some).map(Self)
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_says_why() {
        let error = Location::open("/no/such/folder").unwrap_err().to_string();
        assert_eq!(error, "/no/such/folder: No such file or directory (os error 2)");
        let error = Location::open("carrier-pigeon://coop/shards").unwrap_err().to_string();
        assert!(error.starts_with("carrier-pigeon://coop/shards: "), "{error}");
    }
}
