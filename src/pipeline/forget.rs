//! Taking back: `mine forget` leaves something out of everything that is made from now on, and
//! `mine compact` removes the bytes and texts that the tables still hold of it.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::RunError;
use super::run::{RunStage, lock, redo};
use super::status::existing;
use crate::record::{Image, Page, Tombstones};
use crate::stages::context::StageError;
use crate::store::{RunDir, StoreError, read_rows};
use crate::table::{IMAGE_USES, IMAGES, ImageUse, PAGES};

/// Takes back, and removes every table that was made from groups on: the next run makes them anew.
pub async fn forget(out: &str, what: Tombstones) -> Result<(), RunError> {
    if what.is_empty() {
        return Err(RunError::ForgetNothing);
    }
    let dir = existing(out)?;
    let Some(_lock) = lock(&dir, &CancellationToken::new()).await? else {
        return Err(StageError::Interrupted.into());
    };
    dir.bury(what).await?;
    redo(&dir, RunStage::Group).await?;
    tracing::info!(
        "groups, pairs and triplets are removed; `mine --out {out}` makes them anew without it, and \
         `mine compact {out}` removes what pages and images hold of it"
    );
    Ok(())
}

/// Blanks what was taken back in `pages` and `images`. Rows stay, so that others keep their numbers.
pub async fn compact(out: &str) -> Result<(), RunError> {
    let dir = existing(out)?;
    let Some(_lock) = lock(&dir, &CancellationToken::new()).await? else {
        return Err(StageError::Interrupted.into());
    };
    let tombstones = dir.tombstones().await?;
    let unused = unused_images(&dir, &tombstones).await?;
    let (mut pages, mut images) = (0, 0);
    for manifest in dir.manifests(PAGES).await? {
        pages += dir.rewrite(&manifest, |page: &mut Page| blank_page(page, &tombstones)).await?;
    }
    let blank = |image: &mut Image| {
        let is_covered =
            tombstones.covers_image(&image.url, &image.image_id) || unused.contains(&image.url);
        is_covered && blank_image(image)
    };
    for manifest in dir.manifests(IMAGES).await? {
        images += dir.rewrite(&manifest, blank).await?;
    }
    tracing::info!(pages, images, "blanked");
    Ok(())
}

fn blank_page(page: &mut Page, gone: &Tombstones) -> bool {
    let is_covered = gone.covers_url(&page.url) || gone.covers_url(&page.requested_url);
    if is_covered {
        let (url, requested_url) = (page.url.clone(), page.requested_url.clone());
        let (host, domain) = (page.host.clone(), page.domain.clone());
        *page = Page { url, requested_url, host, domain, ..Page::default() };
    }
    is_covered
}

fn blank_image(image: &mut Image) -> bool {
    image.bytes.clear();
    (image.stored_bytes, image.phash, image.entropy) = (0, 0, 0.0);
    image.phash256 = [0; 32];
    image.colour_layout.fill(0);
    image.rights = None;
    true
}

/// Images that only pages show which were taken back: a site's pictures often lie elsewhere.
async fn unused_images(dir: &RunDir, gone: &Tombstones) -> Result<BTreeSet<String>, StoreError> {
    let mut images = BTreeSet::new();
    for is_of_gone in [true, false] {
        for manifest in dir.manifests(IMAGE_USES).await? {
            let Some(file) = manifest.files.get("rows") else { continue };
            let mut rows = read_rows::<ImageUse>(dir.store(), &file.path, 4096).await?;
            while let Some(batch) = rows.next().await? {
                let uses =
                    batch.into_iter().filter(|row| gone.covers_url(&row.page_url) == is_of_gone);
                for image_use in uses {
                    if is_of_gone {
                        images.insert(image_use.image_url);
                    } else {
                        images.remove(&image_use.image_url);
                    }
                }
            }
        }
    }
    Ok(images)
}
