//! Small images for people: read by their place, scaled down, off the async threads.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::Viewed;
use super::catalogue::Place;
use super::tally::Tally;
use crate::config::Fetch;
use crate::imaging::{Format, prepare};
use crate::store::{Gatherer, Row, StoreError, read_rows};
use crate::table::IMAGES;
use crate::table::columns::{optional, required, text};

/// Images that are read at a time.
const BATCH: usize = 32;
/// Bytes of an image that goes into a page; a small original may hold more than its pixels.
const MOST_BYTES: usize = 100 << 10;

/// Longest side of an image in a page.
pub(crate) const THUMBNAIL: u32 = 180;

/// Scales an image down; gives its bytes and media type.
pub(crate) fn scaled(bytes: Vec<u8>, side: u32) -> Option<(Vec<u8>, &'static str)> {
    let limits = Fetch { max_side: side, jpeg_quality: 80, ..Fetch::default() };
    let bytes = prepare(bytes, &limits).ok()?.bytes;
    let kind = Format::sniff(&bytes).ok()?.media_type();
    Some((bytes, kind))
}

/// `data:` addresses of images by place; what cannot be read or shown is left out.
pub(crate) async fn thumbnails(
    viewed: &Viewed,
    places: HashSet<Place>,
) -> Result<HashMap<Place, String>, StoreError> {
    let mut gatherer = Gatherer::new(viewed.dir.store(), &viewed.dir.manifests(IMAGES).await?);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = Arc::new(Semaphore::new(cores));
    let mut places: Vec<Place> = places.into_iter().collect();
    places.sort_unstable_by_key(|place| (place.part, place.row));
    let mut found = HashMap::new();
    for batch in places.chunks(BATCH) {
        let wanted = batch.iter().map(|place| (place.part, place.row));
        let images = gatherer.gather(wanted).await?;
        let scaled = images.into_iter().map(|((part, row), bytes)| {
            let cpu = Arc::clone(&cpu);
            async move {
                let permit = cpu.acquire_owned().await.expect("never closed");
                let scaled = tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    scaled(bytes.to_vec(), THUMBNAIL)
                });
                (Place { part, row }, scaled.await.ok().flatten())
            }
        });
        let mut scaled = stream::iter(scaled).buffer_unordered(cores);
        while let Some((place, image)) = scaled.next().await {
            if let Some((bytes, kind)) = image.filter(|(bytes, _)| bytes.len() <= MOST_BYTES) {
                let data = BASE64_STANDARD.encode(bytes);
                found.insert(place, format!("data:{kind};base64,{data}"));
            }
        }
    }
    Ok(found)
}

/// The columns of `images` that are read.
#[derive(Debug, Serialize, Deserialize)]
struct ImageRow {
    url: String,
    format: String,
    width: u32,
    height: u32,
    rights: Option<String>,
}

impl Row for ImageRow {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("url"),
            text("format"),
            required("width", DataType::UInt32),
            required("height", DataType::UInt32),
            optional("rights", DataType::Utf8),
        ]
    }

    fn weight(&self) -> usize {
        self.url.len() + 64
    }
}

/// Upper bounds of the classes of shorter sides, exclusive.
const SIDES: [u32; 8] = [64, 128, 256, 512, 1024, 2048, 4096, u32::MAX];

/// Sizes of the images of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Sizes {
    /// Images that were looked at.
    pub(crate) images: u64,
    /// Bounds of the shorter side in pixels, with how many are below each and not below the one before.
    pub(crate) sides: Vec<(Option<u32>, u64)>,
    #[serde(skip)]
    pub(crate) formats: Tally,
    #[serde(skip)]
    pub(crate) rights: Tally,
}

/// Goes over all images, and finds the places of those at `wanted` addresses.
pub(crate) async fn survey(
    viewed: &Viewed,
    wanted: &HashSet<String>,
) -> Result<(Sizes, HashMap<String, Place>), StoreError> {
    let (mut sizes, mut places) = (Sizes::default(), HashMap::new());
    let mut sides = [0; SIDES.len()];
    for part in viewed.dir.manifests(IMAGES).await? {
        let Some(file) = part.files.get("rows") else { continue };
        let mut rows = read_rows::<ImageRow>(viewed.dir.store(), &file.path, 1024).await?;
        let mut row = 0;
        while let Some(batch) = rows.next().await? {
            for image in batch {
                // The row of a forgotten image is blank.
                if !image.url.is_empty() {
                    sizes.images += 1;
                    let side = image.width.min(image.height);
                    sides[SIDES.partition_point(|bound| *bound <= side).min(SIDES.len() - 1)] += 1;
                    sizes.formats.add(&image.format);
                    sizes.rights.add(image.rights.as_deref().unwrap_or("not stated"));
                    if wanted.contains(&image.url) {
                        places.insert(image.url, Place { part: part.part, row });
                    }
                }
                row += 1;
            }
        }
    }
    let bound = |bound: u32| Some(bound).filter(|bound| *bound < u32::MAX);
    sizes.sides = SIDES.map(bound).into_iter().zip(sides).collect();
    Ok((sizes, places))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_is_left_out() {
        assert_eq!(scaled(b"<svg onload=alert(1)>".to_vec(), 10), None);
        assert_eq!(scaled(Vec::new(), 10), None);
    }
}
