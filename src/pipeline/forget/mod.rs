//! Forgetting: `mine forget` excludes data from all later output, and `mine compact` erases it from tables
//! and caches. docs/mining.md lists the copies that neither command reaches.

mod compact;
mod scrub;

use std::collections::BTreeSet;
use std::path::Path;

use arrow::datatypes::{DataType, FieldRef};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::RunError;
use super::redo::redo;
use super::run::{RunStage, context};
use super::session::Session;
use super::status::existing;
use crate::config::{Config, Layers};
use crate::record::{ImageId, Slice, Tombstones};
use crate::stages::context::StageError;
use crate::stages::group;
use crate::store::{Row, RunDir, Store, StoreError, read_rows};
use crate::table::IMAGES;
use crate::table::columns::{required, text};

pub use compact::compact;

/// Adds tombstones, and removes the tables of stage `group` and of all later stages, with the copies that
/// were made for people. The next run rebuilds the tables.
pub async fn forget(out: &str, what: Tombstones) -> Result<(), RunError> {
    if what.is_empty() {
        return Err(RunError::ForgetNothing);
    }
    let dir = existing(out).await?;
    let kept = dir.kept().await?.unwrap_or_default();
    let config = Layers { run_dir: Some(kept.config), ..Layers::default() }.load()?;
    let stop = CancellationToken::new();
    let session = Session::open(&dir, &config, Slice::WHOLE, &stop).await?;
    let Some(session) = session else { return Err(StageError::Interrupted.into()) };
    let outcome = bury(&session.dir, config, what, stop).await;
    session.end(outcome).await?;
    tracing::info!(
        "groups, pairs and triplets are removed; `mine --out {out}` rebuilds them without it, and \
         `mine compact {out}` removes what pages, images and replies hold of it"
    );
    Ok(())
}

async fn bury(
    dir: &RunDir,
    config: Config,
    mut what: Tombstones,
    stop: CancellationToken,
) -> Result<(), RunError> {
    if !what.clusters.is_empty() {
        let members = members(dir, config, &what.clusters, stop).await?;
        if members.is_empty() {
            tracing::warn!("no image of this run is in a cluster of that id, so far");
        }
        what.sha256.extend(members);
    }
    dir.bury(what).await?;
    remove_copies(dir.store()).await?;
    Ok(redo(dir, RunStage::Group).await?)
}

/// Returns the images of clusters. Each image gets a tombstone of its own too: the id of a cluster is that of
/// one of its images, and once that image is gone, a later run may give the others another id.
async fn members(
    dir: &RunDir,
    config: Config,
    clusters: &BTreeSet<String>,
    stop: CancellationToken,
) -> Result<BTreeSet<String>, RunError> {
    let ctx = context(config, dir.clone(), Slice::WHOLE, stop).await?;
    let mut members = BTreeSet::new();
    // Made now, where an earlier `forget` has removed them.
    for part in group::clusters(&ctx, &dir.manifests(IMAGES).await?).await? {
        let Some(file) = part.files.get("rows") else { continue };
        let mut rows = read_rows::<Member>(dir.store(), &file.path, 4096).await?;
        while let Some(batch) = rows.next().await? {
            let looks = batch.into_iter().map(|member| member.look);
            let found = looks.filter(|look| clusters.contains(look.cluster_id.as_str()));
            members.extend(found.map(|look| look.image_id.to_string()));
        }
    }
    Ok(members)
}

/// The columns of `image_clusters` that say which image is in which cluster.
#[derive(Debug, Serialize, Deserialize)]
struct Member {
    look: MemberLook,
}

#[derive(Debug, Serialize, Deserialize)]
struct MemberLook {
    image_id: ImageId,
    cluster_id: ImageId,
}

impl Row for Member {
    fn fields() -> Vec<FieldRef> {
        let look = DataType::Struct(vec![text("image_id"), text("cluster_id")].into());
        vec![required("look", look)]
    }

    fn weight(&self) -> usize {
        160
    }
}

/// Removes what `tune-pairs`, `eval-prompts` and `search index` left in the run directory itself: pages
/// and tables at its top, and on local disk folders that are an index.
async fn remove_copies(store: &Store) -> Result<(), StoreError> {
    let Some(dir) = store.folder() else {
        for name in store.names("").await? {
            if name.ends_with(".html") || name.ends_with(".parquet") {
                store.delete(&name).await?;
                tracing::info!("{name} is removed: it shows what the run had");
            }
        }
        return Ok(());
    };

    let error = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| StoreError::corrupt(path, error)
    };
    let entries = std::fs::read_dir(dir).map_err(error(dir))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if is_index(&path) {
            std::fs::remove_dir_all(&path).map_err(error(&path))?;
        } else if path.extension().is_some_and(|end| end == "html" || end == "parquet") {
            std::fs::remove_file(&path).map_err(error(&path))?;
        } else {
            continue;
        }
        tracing::info!("{} is removed: it shows what the run had", path.display());
    }
    Ok(())
}

fn is_index(path: &Path) -> bool {
    ["index.json", "items.jsonl"].iter().all(|name| path.join(name).is_file())
}
