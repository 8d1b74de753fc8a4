//! `mine rehydrate`: fetches the images of a dataset that was exported without them.
//!
//! An image counts only if its bytes have the sha256 that the row names: what has changed since, or
//! is gone, is lost, and its triplets with it. The loss is reported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::RunError;
use crate::config::{Config, Layers};
use crate::http::{Answer, Client, Kind};
use crate::imaging::prepare_guarded;
use crate::record::{ImageBytes, ImageId};
use crate::stages::context::StageError;
use crate::store::{Layout, RowWriter, Store, StoreError, read_rows};
use crate::table::Triplet;

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
    let cache =
        tempfile::tempdir().map_err(|error| StoreError::corrupt("temporary folder", error))?;
    let client = Client::new(&config)?;
    let work = Work { from, to, client, config, cache: cache.path().to_owned() };
    let (mut kept, mut lost) = (0, 0);
    for (path, _) in work.from.list("").await? {
        if stop.is_cancelled() {
            return Err(StageError::Interrupted.into());
        }
        if path.ends_with(".parquet") {
            let counts = work.shard(&path).await?;
            (kept, lost) = (kept + counts.0, lost + counts.1);
        } else if let Some(card) = work.from.read(&path).await?.filter(|_| path == "README.md") {
            work.to.replace(&path, card.to_vec()).await?;
        }
    }
    tracing::info!(kept, lost, "triplets");
    Ok(())
}

fn open(dir: &str) -> Result<Store, RunError> {
    if !Path::new(dir).is_dir() {
        return Err(RunError::NoDataset(dir.into()));
    }
    Ok(Store::open(dir)?)
}

struct Work {
    from: Store,
    to: Store,
    client: Client,
    config: Config,
    cache: PathBuf,
}

impl Work {
    /// Gives the numbers of triplets kept and lost.
    async fn shard(&self, path: &str) -> Result<(u64, u64), StoreError> {
        let wanted = self.wanted(path).await?;
        let limits = Arc::new(self.config.fetch.clone());
        let fetches = wanted.iter().map(|(id, urls)| self.image(id, urls, Arc::clone(&limits)));
        let mut fetches = stream::iter(fetches).buffer_unordered(self.config.http.concurrency);
        while let Some(fetched) = fetches.next().await {
            fetched?;
        }
        drop(fetches);
        let mut rows = read_rows::<Triplet>(&self.from, path, 256).await?;
        let mut writer = RowWriter::create(&self.to, path.to_owned(), Layout::Part)?;
        let mut lost = 0;
        while let Some(batch) = rows.next().await? {
            for mut triplet in batch {
                triplet.query_image = self.cached(&triplet.query_image_id);
                triplet.target_image = self.cached(&triplet.target_image_id);
                let is_whole = triplet.query_image.is_some() && triplet.target_image.is_some();
                if is_whole { writer.push(triplet).await? } else { lost += 1 }
            }
        }
        let kept = writer.close().await?.map_or(0, |file| file.rows);
        Ok((kept, lost))
    }

    /// Images of a shard with the URLs they were found at.
    async fn wanted(&self, path: &str) -> Result<BTreeMap<String, BTreeSet<String>>, StoreError> {
        let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut rows = read_rows::<Triplet>(&self.from, path, 256).await?;
        while let Some(batch) = rows.next().await? {
            for triplet in batch {
                let query = (triplet.query_image_id, triplet.query_url);
                let target = (triplet.target_image_id, triplet.target_url);
                for (id, url) in [query, target] {
                    wanted.entry(id.to_string()).or_default().insert(url);
                }
            }
        }
        wanted.retain(|id, _| !self.cache.join(id).exists());
        Ok(wanted)
    }

    /// Tries the URLs of an image until one has it.
    async fn image(
        &self,
        id: &str,
        urls: &BTreeSet<String>,
        limits: Arc<crate::config::Fetch>,
    ) -> Result<(), StoreError> {
        for url in urls {
            let Ok(url) = Url::parse(url) else { continue };
            let Ok(Answer::Fetched(fetched)) = self.client.get(&url, Kind::Image).await else {
                continue;
            };
            if ImageId::of(&fetched.body).as_str() != id {
                tracing::debug!(%url, id, "other bytes now");
                continue;
            }
            let waiting = self.client.backlog().enter();
            let prepared = prepare_guarded(fetched.body, Arc::clone(&limits)).await;
            drop(waiting);
            if let Ok(prepared) = prepared {
                let file = self.cache.join(id);
                return std::fs::write(&file, prepared.bytes)
                    .map_err(|error| StoreError::corrupt(file.display().to_string(), error));
            }
        }
        Ok(())
    }

    fn cached(&self, image_id: &ImageId) -> Option<ImageBytes> {
        let id = image_id.as_str();
        // A dataset comes from anywhere: what is no id must not become a path.
        let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bytes = is_id.then(|| std::fs::read(self.cache.join(id)).ok()).flatten()?;
        Some(ImageBytes::named(image_id, bytes))
    }
}
