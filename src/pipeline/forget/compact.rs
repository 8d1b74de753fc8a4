//! `mine compact`: erases forgotten data from a run directory.
//!
//! The data that identifies a forgotten row is erased last, so that a second attempt after a kill finds the
//! same rows: replies, then images, then references to images, then pages.

use std::collections::{BTreeSet, HashSet};

use tokio_util::sync::CancellationToken;

use super::super::RunError;
use super::super::run::RunStage;
use super::super::session::Session;
use super::super::status::existing;
use super::scrub::{self, Gone, ImageKey, PageLinks};
use crate::config::Layers;
use crate::endpoint::erase;
use crate::record::{Image, Page, Reject, Slice, content_id};
use crate::stages::context::StageError;
use crate::stages::{collect, fetch};
use crate::store::{Manifest, Row, RunDir, StoreError, read_rows};
use crate::table::{
    ARCHIVED_IMAGES, ArchivedImage, FETCH_LIST, FetchTarget, IMAGE_USES, IMAGES, ImageUse,
    OutboxLink, PAGES, PageKey,
};

/// Blanks forgotten data in all tables and caches of a run. Rows stay, so that others keep their numbers.
pub async fn compact(out: &str) -> Result<(), RunError> {
    let dir = existing(out).await?;
    let kept = dir.kept().await?.unwrap_or_default();
    let config = Layers { run_dir: Some(kept.config), ..Layers::default() }.load()?;
    let session = Session::open(&dir, &config, Slice::WHOLE, &CancellationToken::new()).await?;
    let Some(session) = session else { return Err(StageError::Interrupted.into()) };
    let outcome = blank(&dir).await;
    session.end(outcome).await
}

async fn blank(dir: &RunDir) -> Result<(), RunError> {
    let stones = dir.tombstones().await?;
    if stones.is_empty() {
        tracing::info!("nothing was forgotten");
        return Ok(());
    }
    let unused = unused_images(dir, &Gone { stones: stones.clone(), ..Gone::default() }).await?;
    let gone = Gone { stones, unused };
    for table in RunStage::ALL.into_iter().flat_map(RunStage::tables) {
        dir.sweep(table).await?;
    }
    replies(dir, &gone).await?;
    let images = images(dir, &gone).await?;
    lists(dir, &gone).await?;
    let pages = pages(dir, &gone).await?;
    tracing::info!(pages, images, "blanked");
    Ok(())
}

/// Takes out what models were asked and said about gone pages and images.
async fn replies(dir: &RunDir, gone: &Gone) -> Result<(), StoreError> {
    let ids = gone_ids(dir, gone).await?;
    erase(dir.store(), |id| ids.contains(id)).await
}

/// Ids of groups and of images that are gone. An image that lies at another URL too is not.
async fn gone_ids(dir: &RunDir, gone: &Gone) -> Result<HashSet<String>, StoreError> {
    let mut ids = HashSet::new();
    for is_of_gone in [true, false] {
        each::<ImageKey>(dir, IMAGES, |image| match gone.image(&image) {
            true if is_of_gone => {
                ids.insert(image.image_id.to_string());
            }
            false if !is_of_gone => {
                ids.remove(image.image_id.as_str());
            }
            _ => {}
        })
        .await?;
    }
    each::<PageKey>(dir, PAGES, |page| {
        if gone.page(&page.url) || gone.page(&page.requested_url) {
            ids.insert(content_id(&[&page.url]));
        }
    })
    .await?;
    Ok(ids)
}

async fn images(dir: &RunDir, gone: &Gone) -> Result<u64, StoreError> {
    // The slices that forwarded these requests forward them again.
    for (path, _) in dir.store().list(&format!("{IMAGES}/errands")).await? {
        dir.store().delete(&path).await?;
    }
    let mut blanked = dir
        .rewrite_wip(IMAGES, |outcome: &mut fetch::Outcome| scrub::outcome(outcome, gone))
        .await?;
    for manifest in dir.manifests(IMAGES).await? {
        let is_hit = |key: &ImageKey| key.is_hit(gone);
        let change = |image: &mut Image| scrub::image(image, gone);
        blanked += dir.rewrite(&manifest, "rows", is_hit, change).await?;
    }
    Ok(blanked)
}

/// Blanks forgotten data in fetch lists, rejects and outboxes.
async fn lists(dir: &RunDir, gone: &Gone) -> Result<(), StoreError> {
    // A target that is not fetched yet keeps its name, which is what the outcome is kept under.
    let fetched: BTreeSet<u32> =
        dir.manifests(IMAGES).await?.iter().map(|part| part.part).collect();
    let mut targets = dir.manifests(FETCH_LIST).await?;
    targets.retain(|part| fetched.contains(&part.part));
    small(dir, &targets, "rows", |row: &mut FetchTarget| scrub::target(row, gone)).await?;
    for table in RunStage::ALL.into_iter().flat_map(RunStage::tables) {
        let parts = dir.manifests(table).await?;
        small(dir, &parts, "rejects", |row: &mut Reject| scrub::reject(row, gone)).await?;
    }
    let parts = dir.manifests(PAGES).await?;
    small(dir, &parts, "outbox", |row: &mut OutboxLink| scrub::link(row, gone)).await?;
    let parts = dir.manifests(ARCHIVED_IMAGES).await?;
    small(dir, &parts, "rows", |row: &mut ArchivedImage| scrub::archived(row, gone)).await?;
    let parts = dir.manifests(IMAGE_USES).await?;
    small(dir, &parts, "rows", |row: &mut ImageUse| scrub::image_use(row, gone)).await
}

async fn pages(dir: &RunDir, gone: &Gone) -> Result<u64, StoreError> {
    let mut blanked =
        dir.rewrite_wip(PAGES, |visit: &mut collect::Visit| scrub::visit(visit, gone)).await?;
    for manifest in dir.manifests(PAGES).await? {
        let is_hit = |links: &PageLinks| links.is_hit(gone);
        let change = |page: &mut Page| scrub::page(page, gone);
        blanked += dir.rewrite(&manifest, "rows", is_hit, change).await?;
    }
    Ok(blanked)
}

/// Rewrites where rows are small enough to be looked at whole.
async fn small<R: Row + Clone>(
    dir: &RunDir,
    parts: &[Manifest],
    output: &str,
    change: impl Fn(&mut R) -> bool,
) -> Result<(), StoreError> {
    for part in parts {
        dir.rewrite(part, output, |row: &R| change(&mut row.clone()), &change).await?;
    }
    Ok(())
}

/// Returns the images that only forgotten pages show.
async fn unused_images(dir: &RunDir, gone: &Gone) -> Result<BTreeSet<String>, StoreError> {
    let mut images = BTreeSet::new();
    for is_of_gone in [true, false] {
        each::<ImageUse>(dir, IMAGE_USES, |row| {
            if gone.page(&row.page_url) != is_of_gone {
            } else if is_of_gone {
                images.insert(row.image_url);
            } else {
                images.remove(&row.image_url);
            }
        })
        .await?;
    }
    Ok(images)
}

async fn each<R: Row>(
    dir: &RunDir,
    table: &str,
    mut visit: impl FnMut(R),
) -> Result<(), StoreError> {
    for manifest in dir.manifests(table).await? {
        let Some(file) = manifest.files.get("rows") else { continue };
        let mut rows = read_rows::<R>(dir.store(), &file.path, 4096).await?;
        while let Some(batch) = rows.next().await? {
            batch.into_iter().for_each(&mut visit);
        }
    }
    Ok(())
}
