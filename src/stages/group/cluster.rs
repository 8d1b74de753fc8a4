//! `image_clusters`: images that are of use, near-duplicates under one cluster.
//!
//! A 64-bit hash of the luma finds candidates and decides nothing: a car in another colour is the
//! best triplet there is. Two images share a cluster when a second hash, the colours of an 8×8 grid
//! and the aspect ratio agree too, and when one of them is the cluster's canonical image.
//!
//! Images that were taken back still take part, so that clusters keep their ids: else a copy of a
//! forgotten canonical image would be a cluster of its own that nobody has forgotten. They are left out
//! only once `mine compact` has taken their features.

use std::io;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::prelude::{Expr, cast, col, lit, not};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::STAGE;
use super::catalog::{Catalog, Features, IMAGE_BYTES, Writer};
use super::leaders::{Clusters, Distinct, leaders, least_bytes};
use super::spread::{Spread, SpreadError};
use crate::config::Group;
use crate::record::{ImageCluster, ImageId, Look, Reason, Reject, Tombstones};
use crate::similarity::near::{Limits, NearError, neighbours};
use crate::similarity::{Tolerance, are_near_duplicates};
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{Fingerprint, Manifest, PlainPart, Row, StoreError, Table, read_rows};
use crate::table::IMAGE_CLUSTERS;
use crate::table::columns::{optional, required, text};

/// Canonical images that one image is compared with, at most: many images may share one hash.
const MAX_CENTRES: usize = 64;

/// Sizes in which advertisements are sold (IAB), less the small squares that thumbnails have too.
const AD_SIZES: [(u32, u32); 13] = [
    (728, 90),
    (970, 90),
    (970, 250),
    (468, 60),
    (234, 60),
    (300, 250),
    (336, 280),
    (300, 600),
    (160, 600),
    (120, 600),
    (320, 50),
    (300, 50),
    (320, 100),
];

/// Clusters the images of all parts.
pub async fn run(ctx: &Context, images: &[Manifest]) -> Result<Vec<Manifest>, StageError> {
    let config = &ctx.config.group;
    let fingerprint =
        Fingerprint::new().with_section("group", &config.of_images(), &[]).with_inputs(images);
    let fingerprint = fingerprint.with("mine forget", ctx.forgotten());
    let table = open_table(&ctx.run, IMAGE_CLUSTERS, STAGE, &fingerprint).await?;
    let committed = table.manifests().await?;
    if committed.len() == images.len() {
        return Ok(committed);
    }
    let numbers: Vec<u32> = images.iter().map(|part| part.part).collect();
    if let Some(made) = ctx.made_by_first(&table, &numbers).await? {
        return Ok(made);
    }
    ctx.go_on()?;
    let all = images.iter().map(|part| part.rows("rows")).sum();
    has_room(config, all)?;
    let catalog = read(ctx, images, all).await?;
    let (catalog, clusters) = clusters(ctx, images, catalog).await?;
    if clusters.capped + clusters.crowded > 0 {
        let images = clusters.capped + clusters.crowded;
        tracing::warn!(images, "compared with some of their candidates only");
    }
    let mut writer = ClusterWriter { ctx, table, catalog, clusters, next: 0 };
    let mut manifests = Vec::new();
    for part in images {
        manifests.push(writer.part(part).await?);
    }
    Ok(manifests)
}

/// Fails before anything is read where so many images cannot be clustered in the memory that there is.
fn has_room(config: &Group, images: u64) -> Result<(), StageError> {
    let needed = images * IMAGE_BYTES + least_bytes(images);
    match needed > config.memory_bytes {
        true => Err(memory(config, needed)),
        false => Ok(()),
    }
}

fn memory(config: &Group, needed: u64) -> StageError {
    StageError::Memory { key: "group.memory_bytes", has: config.memory_bytes, needed }
}

async fn read(ctx: &Context, images: &[Manifest], all: u64) -> Result<Catalog, StageError> {
    let mut catalog = Writer::create(all as usize).map_err(spill)?;
    for part in images {
        let Some(file) = part.files.get("rows") else { continue };
        let mut rows = read_rows::<ImageRow>(ctx.run.store(), &file.path, 4096).await?;
        while let Some(batch) = rows.next().await? {
            for image in batch.iter().filter(|image| takes_part(image, &ctx.config.group)) {
                catalog.push(image.phash, &image.features()?).map_err(spill)?;
            }
        }
        ctx.go_on()?;
    }
    Ok(catalog.finish().map_err(spill)?)
}

fn spill(error: io::Error) -> StoreError {
    StoreError::corrupt("features in the temporary folder", error)
}

async fn clusters(
    ctx: &Context,
    images: &[Manifest],
    catalog: Catalog,
) -> Result<(Catalog, Clusters), StageError> {
    let config = ctx.config.group.clone();
    let free = config.memory_bytes.saturating_sub(catalog.images() * IMAGE_BYTES);
    let failed = |error| match error {
        SpreadError::Store(error) => error.into(),
        SpreadError::Near(NearError::Spill(error)) => spill(error).into(),
        SpreadError::Near(NearError::Room { missing }) => {
            memory(&ctx.config.group, config.memory_bytes + missing)
        }
    };
    let (radius, limits) = (config.hash_radius, Limits::default());
    let spread = match &ctx.engine {
        Some(_) => Some(Spread::new(ctx.session(1)?, images, is_of_use(&config)).await?),
        None => None,
    };
    let runtime = Handle::current();
    let found = ctx.on_cpu(move || {
        let distinct = Distinct::new(catalog.hashes().map_err(NearError::Spill)?);
        let (hashes, room) = (distinct.hashes(), distinct.room(free)?);
        let near = match spread {
            None => neighbours(hashes, radius, limits, room)?,
            Some(spread) => runtime.block_on(spread.neighbours(hashes, radius, limits, room))?,
        };
        Ok((catalog, distinct, near))
    });
    let (catalog, distinct, near) = found.await.map_err(failed)?;
    let rules = config.clone();
    let clustered = ctx.on_cpu(move || {
        let is_same = verified(&catalog, &rules);
        let clusters = leaders(distinct, near, catalog.order(), is_same, MAX_CENTRES)?;
        Ok((catalog, clusters))
    });
    Ok(clustered.await.map_err(spill)?)
}

/// Whether an image is the same as a centre. An image is compared with all its candidates in a row.
fn verified(catalog: &Catalog, config: &Group) -> impl FnMut(u32, u32) -> io::Result<bool> {
    let mut asked: Option<(u32, Features)> = None;
    move |centre, image| {
        if asked.as_ref().is_none_or(|(last, _)| *last != image) {
            asked = Some((image, catalog.features(image)?));
        }
        let (_, features) = asked.as_ref().expect("set above");
        Ok(are_same(&catalog.features(centre)?, features, config))
    }
}

/// The rule of precision. The limits were set on recompressed, resized and cropped copies (at most
/// 12 bits and 11 levels apart) and on pictures of other colours, counts and words (the nearest 18
/// bits and 39 levels, or 24 bits and 13 levels).
fn are_same(a: &Features, b: &Features, config: &Group) -> bool {
    let tolerance = Tolerance {
        bits: config.verify_bits,
        levels: config.verify_colour,
        cells: 0,
        aspect: config.verify_aspect,
    };
    are_near_duplicates(&a.seen(), &b.seen(), &tolerance)
}

pub(super) fn takes_part(image: &ImageRow, config: &Group) -> bool {
    !image.url.is_empty() && useless(image, config).is_none()
}

/// The same for a plan over `images`; what comes of it is held against what [`takes_part`] let through.
pub(super) fn is_of_use(config: &Group) -> Expr {
    let number = |name| cast(col(name), DataType::Float64);
    let at_most = |long, short| number(long).lt_eq(lit(config.max_aspect) * number(short));
    let is_of_size = |&(width, height): &(u32, u32)| {
        col("width").eq(lit(width)).and(col("height").eq(lit(height)))
    };
    let of_use = col("url")
        .not_eq(lit(""))
        .and(col("width").gt_eq(lit(config.min_side)))
        .and(col("height").gt_eq(lit(config.min_side)))
        .and(at_most("width", "height"))
        .and(at_most("height", "width"))
        .and(not(number("entropy").lt(lit(config.min_entropy))));
    let ad_sizes = AD_SIZES.iter().filter(|_| config.reject_ad_sizes);
    ad_sizes.map(is_of_size).fold(of_use, |of_use, is_ad| of_use.and(not(is_ad)))
}

/// Whether an image by itself was taken back, be it that only a blank row is left of it.
fn is_forgotten(image: &ImageRow, gone: &Tombstones) -> bool {
    image.url.is_empty()
        || gone.covers_image(&image.url, &image.image_id)
        || gone.covers_url(&image.final_url)
}

/// What makes an image useless wherever it is shown.
fn useless(image: &ImageRow, config: &Group) -> Option<(Reason, String)> {
    let (width, height) = (image.width, image.height);
    let size = || format!("{width} × {height}");
    let (short, long) = (width.min(height), width.max(height));
    if config.reject_ad_sizes && AD_SIZES.contains(&(width, height)) {
        return Some((Reason::AdSize, size()));
    }
    if short < config.min_side {
        return Some((Reason::LowResolution, size()));
    }
    if f64::from(long) > config.max_aspect * f64::from(short) {
        return Some((Reason::ExtremeAspect, size()));
    }
    (f64::from(image.entropy) < config.min_entropy)
        .then(|| (Reason::Flat, format!("{:.2} bits", image.entropy)))
}

struct ClusterWriter<'a> {
    ctx: &'a Context,
    table: Table<ImageCluster>,
    catalog: Catalog,
    clusters: Clusters,
    /// Number of the next image in the catalog: parts are written in the order they were read in.
    next: u32,
}

impl ClusterWriter<'_> {
    async fn part(&mut self, images: &Manifest) -> Result<Manifest, StageError> {
        self.ctx.go_on()?;
        let mut writer: PlainPart<ImageCluster> = self.table.part(images.part)?;
        let mut image_row = 0;
        if let Some(file) = images.files.get("rows") {
            let mut rows = read_rows::<ImageRow>(self.table.store(), &file.path, 4096).await?;
            while let Some(batch) = rows.next().await? {
                for image in batch {
                    let (url, page_url) = (image.url.clone(), image.page_url.clone());
                    match self.judge(image, (images.part, image_row)).map_err(spill)? {
                        Ok(image) => writer.push(image).await?,
                        Err((reason, detail)) => {
                            let reject = Reject::new(url, reason, detail);
                            writer.reject(Reject { page_url, ..reject }).await?;
                        }
                    }
                    image_row += 1;
                }
            }
        }
        Ok(writer.commit(u64::from(image_row)).await?)
    }

    /// The image with its cluster, or what speaks against it.
    fn judge(
        &mut self,
        image: ImageRow,
        locator: (u32, u32),
    ) -> io::Result<Result<ImageCluster, (Reason, String)>> {
        let ctx = self.ctx;
        let (gone, config) = (&ctx.tombstones, &ctx.config.group);
        let is_forgotten = is_forgotten(&image, gone);
        let useless = useless(&image, config);
        // Who takes part has a number in the catalog, whatever becomes of it.
        let clustered = match takes_part(&image, config) {
            true => Some(self.cluster(image, locator)?),
            false => None,
        };
        let of_gone = |image: &ImageCluster| gone.covers_cluster(&image.look.cluster_id);
        if is_forgotten || clustered.as_ref().is_some_and(of_gone) {
            return Ok(Err((Reason::Forgotten, String::new())));
        }
        let useless = useless.unwrap_or((Reason::Flat, String::new()));
        Ok(clustered.ok_or(useless))
    }

    fn cluster(&mut self, image: ImageRow, locator: (u32, u32)) -> io::Result<ImageCluster> {
        let centre = self.clusters.centre_of[self.catalog.first(self.next) as usize];
        self.next += 1;
        let digest = self.catalog.features(centre)?.digest;
        let cluster_key = i64::from_be_bytes(digest[..8].try_into().expect("eight bytes of 32"));
        let look = Look {
            image_id: image.image_id,
            cluster_id: ImageId::of_digest(&digest),
            cluster_key,
            image_part: locator.0,
            image_row: locator.1,
            stored_bytes: image.stored_bytes,
            width: image.width,
            height: image.height,
            phash: image.phash,
            phash256: image.phash256,
            colour_layout: image.colour_layout,
            rights: image.rights,
        };
        Ok(ImageCluster { url: image.url, cluster_key, look })
    }
}

/// The columns of `images` that are read here: all but the bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ImageRow {
    pub image_id: ImageId,
    pub url: String,
    pub final_url: String,
    pub page_url: String,
    pub width: u32,
    pub height: u32,
    pub stored_bytes: u32,
    pub phash: u64,
    #[serde(with = "serde_bytes")]
    pub phash256: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub colour_layout: Vec<u8>,
    pub entropy: f32,
    pub rights: Option<String>,
}

impl ImageRow {
    fn features(&self) -> Result<Features, StoreError> {
        let broken = || StoreError::corrupt(self.url.as_str(), "features of the wrong length");
        Ok(Features {
            digest: self.image_id.digest().ok_or_else(broken)?,
            phash256: self.phash256.as_slice().try_into().map_err(|_| broken())?,
            colours: self.colour_layout.as_slice().try_into().map_err(|_| broken())?,
            width: self.width,
            height: self.height,
        })
    }
}

impl Row for ImageRow {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("image_id"),
            text("url"),
            text("final_url"),
            text("page_url"),
            required("width", DataType::UInt32),
            required("height", DataType::UInt32),
            required("stored_bytes", DataType::UInt32),
            required("phash", DataType::UInt64),
            required("phash256", DataType::FixedSizeBinary(32)),
            required("colour_layout", DataType::FixedSizeBinary(192)),
            required("entropy", DataType::Float32),
            optional("rights", DataType::Utf8),
        ]
    }

    fn weight(&self) -> usize {
        self.url.len() + self.page_url.len() + 600
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(width: u32, height: u32, entropy: f32) -> Option<Reason> {
        let image = ImageRow { width, height, entropy, ..ImageRow::default() };
        useless(&image, &Group::default()).map(|(reason, _)| reason)
    }

    #[test]
    fn useless_images_are_told_by_size_and_content() {
        assert_eq!(judged(640, 480, 5.0), None);
        assert_eq!(judged(300, 250, 5.0), Some(Reason::AdSize));
        assert_eq!(judged(640, 100, 5.0), Some(Reason::LowResolution));
        assert_eq!(judged(1300, 200, 5.0), Some(Reason::ExtremeAspect));
        assert_eq!(judged(200, 1300, 5.0), Some(Reason::ExtremeAspect));
        assert_eq!(judged(640, 480, 0.1), Some(Reason::Flat));
    }

    #[test]
    fn each_part_of_the_precision_rule_can_say_no() {
        let features = Features {
            digest: [0; 32],
            phash256: [0; 32],
            colours: std::array::from_fn(|i| i as u8),
            width: 640,
            height: 480,
        };
        let config = Group::default();
        let same = |change: fn(&mut Features)| {
            let mut other = features.clone();
            change(&mut other);
            are_same(&features, &other, &config)
        };
        assert!(same(|_| ()));
        let plain = Features { colours: [100; 192], ..features.clone() };
        assert!(!are_same(&plain, &plain, &config), "a texture without structure");
        assert!(same(|other| (other.width, other.height) = (320, 240)));
        assert!(!same(|other| other.phash256 = [1; 32]));
        assert!(!same(|other| other.colours[77] = 177));
        assert!(!same(|other| other.height = 640));
    }
}
