//! `mine rehydrate`: fetches the images of a dataset that was exported without them.
//!
//! An image counts only if its bytes have the sha256 that the row names: what has changed since, or
//! is gone, is lost, and its triplets with it. The loss is reported. Images of some rows are fetched at
//! a time; those that were had lately are kept in a temporary folder of bounded size, for other rows
//! that show them.

mod cache;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::RunError;
use crate::config::{Config, Layers};
use crate::http::{Answer, Client, Kind};
use crate::imaging::prepare_guarded;
use crate::record::{ImageBytes, ImageId};
use crate::stages::context::StageError;
use crate::store::{Layout, Manifest, RowWriter, Store, StoreError, is_remote, read_rows};
use crate::table::Triplet;
use cache::Cache;

/// Rows whose images are fetched side by side.
const ROWS: usize = 512;

/// Bytes of images that are kept for other rows (8 GiB).
const CACHE_BYTES: u64 = 8 << 30;

/// Fetches the images of every shard in `dir` and writes full shards to `out`.
pub async fn rehydrate(
    dir: &str,
    out: &str,
    layers: &Layers,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let config = layers.load()?;
    if config.crawl.contact.trim().is_empty() && config.crawl.allow_addresses.is_empty() {
        return Err(RunError::NoContact);
    }
    let (from, to) = (open(dir)?, Store::open(out)?);
    let client = Client::new(&config)?;
    let mut work = Work::new(from, to, client, config)?;
    let (mut kept, mut lost) = (0, 0);
    for path in shards(&work.from).await? {
        let counts = work.shard(&path, &stop).await?;
        (kept, lost) = (kept + counts.0, lost + counts.1);
    }
    if let Some(card) = work.from.read("README.md").await? {
        work.to.replace("README.md", card.to_vec()).await?;
    }
    tracing::info!(kept, lost, "triplets");
    Ok(())
}

/// The files that manifests name, where there are any: what a killed export left beside them is no
/// shard. A dataset that came without manifests is all its Parquet files.
async fn shards(dir: &Store) -> Result<Vec<String>, StoreError> {
    let files = dir.list("").await?;
    let (mut named, mut found) = (Vec::new(), Vec::new());
    let mut is_committed = false;
    for (path, _) in files {
        if path.ends_with(".parquet") {
            found.push(path);
        } else if path.starts_with("part-") && path.ends_with(".json") {
            is_committed = true;
            let text = dir.read(&path).await?.unwrap_or_default();
            let manifest: Manifest =
                serde_json::from_slice(&text).map_err(|error| StoreError::corrupt(path, error))?;
            let rows = manifest.files.get("rows");
            named.extend(rows.and_then(|file| Some(file.path.rsplit('/').next()?.to_owned())));
        }
    }
    Ok(if is_committed { named } else { found })
}

fn open(dir: &str) -> Result<Store, RunError> {
    if !is_remote(dir) && !Path::new(dir).is_dir() {
        return Err(RunError::NoDataset(dir.into()));
    }
    Ok(Store::open(dir)?)
}

struct Work {
    from: Store,
    to: Store,
    client: Client,
    config: Config,
    cache: Mutex<Cache>,
    /// Hashes of URLs that did not return their image; each URL is requested once.
    failed: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

impl Work {
    fn new(from: Store, to: Store, client: Client, config: Config) -> Result<Self, StoreError> {
        let (cache, failed) = (Mutex::new(Cache::create(CACHE_BYTES)?), Mutex::default());
        Ok(Self { from, to, client, config, cache, failed, hasher: RandomState::new() })
    }

    /// Gives the numbers of triplets kept and lost.
    async fn shard(
        &mut self,
        path: &str,
        stop: &CancellationToken,
    ) -> Result<(u64, u64), RunError> {
        let mut rows = read_rows::<Triplet>(&self.from, path, ROWS).await?;
        let mut writer = RowWriter::create(&self.to, path.to_owned(), Layout::Part)?;
        let mut lost = 0;
        while let Some(batch) = rows.next().await? {
            if stop.is_cancelled() {
                return Err(StageError::Interrupted.into());
            }
            self.fetch(&batch).await?;
            for mut triplet in batch {
                triplet.query_image = self.cached(&triplet.query_image_id)?;
                triplet.target_image = self.cached(&triplet.target_image_id)?;
                let is_whole = triplet.query_image.is_some() && triplet.target_image.is_some();
                if is_whole { writer.push(triplet).await? } else { lost += 1 }
            }
            self.cache().trim()?;
        }
        let kept = writer.close().await?.map_or(0, |file| file.rows);
        Ok((kept, lost))
    }

    /// Fetches what some rows show and the cache lacks.
    async fn fetch(&self, rows: &[Triplet]) -> Result<(), StoreError> {
        let mut wanted: BTreeMap<&ImageId, BTreeSet<&str>> = BTreeMap::new();
        for row in rows {
            wanted.entry(&row.query_image_id).or_default().insert(&row.query_url);
            wanted.entry(&row.target_image_id).or_default().insert(&row.target_url);
        }
        wanted.retain(|id, _| !self.cache().has(id));
        let limits = Arc::new(self.config.fetch.clone());
        let fetches = wanted.iter().map(|(id, urls)| self.image(id, urls, Arc::clone(&limits)));
        let mut fetches = stream::iter(fetches).buffer_unordered(self.config.http.concurrency);
        while let Some(fetched) = fetches.next().await {
            fetched?;
        }
        Ok(())
    }

    /// Tries the URLs of an image until one has it.
    async fn image(
        &self,
        id: &ImageId,
        urls: &BTreeSet<&str>,
        limits: Arc<crate::config::Fetch>,
    ) -> Result<(), StoreError> {
        for url in urls {
            let name = self.hasher.hash_one((id, url));
            if self.failed().contains(&name) {
                continue;
            }
            if let Some(bytes) = self.bytes(id, url, Arc::clone(&limits)).await {
                return self.cache().put(id, &bytes);
            }
            self.failed().insert(name);
        }
        Ok(())
    }

    async fn bytes(
        &self,
        id: &ImageId,
        url: &str,
        limits: Arc<crate::config::Fetch>,
    ) -> Option<Vec<u8>> {
        let url = Url::parse(url).ok()?;
        let Ok(Answer::Fetched(fetched)) = self.client.get(&url, Kind::Image).await else {
            return None;
        };
        if ImageId::of(&fetched.body) != *id {
            tracing::debug!(%url, %id, "other bytes now");
            return None;
        }
        let _waiting = self.client.backlog().enter();
        Some(prepare_guarded(fetched.body, limits).await.ok()?.bytes)
    }

    fn cached(&self, id: &ImageId) -> Result<Option<ImageBytes>, StoreError> {
        Ok(self.cache().get(id)?.map(|bytes| ImageBytes::named(id, bytes.into())))
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().expect("no holder of this lock panics")
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, HashSet<u64>> {
        self.failed.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shards_are_what_manifests_name() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Store::open(folder.path().to_str().unwrap()).unwrap();
        for name in ["part-00000-aa.parquet", "part-00000-bb.parquet", "README.md"] {
            dir.replace(name, vec![1]).await.unwrap();
        }
        let all = ["part-00000-aa.parquet", "part-00000-bb.parquet"];
        assert_eq!(shards(&dir).await.unwrap(), all);
        let manifest = r#"{"table": "triplets", "part": 0, "fingerprint": "", "software": "",
            "files": {"rows": {"path": "triplets/part-00000-bb.parquet", "rows": 1, "bytes": 1}},
            "counts": {"input": 1, "output": 1, "rejected": {}, "failed": {}}}"#;
        dir.replace("part-00000.json", manifest.into()).await.unwrap();
        assert_eq!(shards(&dir).await.unwrap(), ["part-00000-bb.parquet"]);
    }
}
