//! Which files of a folder are triplet shards.
//!
//! In a run directory of `mine` that is what manifests name, so that a part without a manifest, left
//! by a kill, is never read; in a folder without manifests (a downloaded or rehydrated data set) it
//! is every `.parquet` file.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::OPENED_AT_ONCE;
use crate::store::{FileInfo, Manifest};
use crate::train::data::DataError;
use crate::train::data::location::Location;

/// The table of a run directory that holds shards.
const TRIPLETS: &str = "triplets";

/// A shard to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path in the store.
    pub path: Path,
    /// Bytes.
    pub size: u64,
}

/// All shards of a location, sorted by path: a folder of shards, a run directory or one file.
pub async fn discover(location: &Location) -> Result<Vec<Found>, DataError> {
    let refuse = |error: object_store::Error| DataError::Location {
        location: location.name.to_string(),
        problem: error.to_string(),
    };
    if location.prefix.extension() == Some("parquet")
        && let Ok(file) = location.objects.head(&location.prefix).await
    {
        return Ok(vec![Found { path: file.location, size: file.size }]);
    }
    let folder = folder(location).await.map_err(refuse)?;
    let files: Vec<ObjectMeta> =
        location.objects.list(Some(&folder)).try_collect().await.map_err(refuse)?;
    let (manifests, shards): (Vec<_>, Vec<_>) =
        files.into_iter().filter(|file| is_manifest(file) || is_shard(file)).partition(is_manifest);
    let found = shards.into_iter().map(|file| (file.location, file.size)).collect();
    let committed = committed(location, manifests).await?;
    if committed.is_empty() { Ok(listed(found)) } else { select(found, committed) }
}

/// The folder itself, or `triplets` in it where that is a run directory.
async fn folder(location: &Location) -> object_store::Result<Path> {
    let listing = location.objects.list_with_delimiter(Some(&location.prefix)).await?;
    let triplets = location.prefix.clone().join(TRIPLETS);
    let is_run = listing.common_prefixes.contains(&triplets)
        && !listing.objects.iter().any(|file| is_shard(file) || is_manifest(file));
    Ok(if is_run { triplets } else { location.prefix.clone() })
}

fn is_shard(file: &ObjectMeta) -> bool {
    file.location.extension() == Some("parquet")
}

fn is_manifest(file: &ObjectMeta) -> bool {
    let name = file.location.filename().unwrap_or_default();
    name.starts_with("part-") && name.ends_with(".json")
}

/// What manifests of `triplets` name, by path. One without rows names no file.
async fn committed(
    location: &Location,
    manifests: Vec<ObjectMeta>,
) -> Result<Vec<(Path, FileInfo)>, DataError> {
    let read = |file: ObjectMeta| async move {
        let path = file.location;
        let corrupt = |error: &dyn std::fmt::Display| DataError::shard(&path, error);
        let got = location.objects.get(&path).await.map_err(|error| corrupt(&error))?;
        let bytes = got.bytes().await.map_err(|error| corrupt(&error))?;
        let mut manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| corrupt(&error))?;
        let file = manifest.files.remove("rows").filter(|_| manifest.table == TRIPLETS);
        Ok::<_, DataError>(file.and_then(|file| Some((beside(&path, &file)?, file))))
    };
    let reads = stream::iter(manifests.into_iter().map(read)).buffered(OPENED_AT_ONCE);
    reads.try_filter_map(|file| async { Ok(file) }).try_collect().await
}

/// The file lies beside its manifest, wherever the run directory went.
fn beside(manifest: &Path, file: &FileInfo) -> Option<Path> {
    let name = file.path.rsplit('/').next()?;
    let mut parts: Vec<_> = manifest.parts().collect();
    parts.pop();
    parts.push(name.into());
    Some(Path::from_iter(parts))
}

fn listed(found: BTreeMap<Path, u64>) -> Vec<Found> {
    found.into_iter().map(|(path, size)| Found { path, size }).collect()
}

fn select(
    found: BTreeMap<Path, u64>,
    mut committed: Vec<(Path, FileInfo)>,
) -> Result<Vec<Found>, DataError> {
    committed.sort_by(|(a, _), (b, _)| a.cmp(b));
    let ignored = found.len().saturating_sub(committed.len());
    if ignored > 0 {
        tracing::warn!(ignored, "Parquet files that no manifest names");
    }
    let check = |(path, file): (Path, FileInfo)| match found.get(&path) {
        None => Err(DataError::shard(&path, "is named by its manifest and is not there")),
        Some(&size) if size != file.bytes => {
            let problem = format!("has {size} bytes, its manifest says {}", file.bytes);
            Err(DataError::shard(&path, problem))
        }
        Some(&size) => Ok(Found { path, size }),
    };
    committed.into_iter().map(check).collect()
}
