//! `occurrences`: which images a page shows that count, a part for each part of `pages`.
//!
//! A global plan over URLs, ids and features; no text and no bytes. An image of a cluster on too
//! large a share of its site's pages is boilerplate there, also when every page has a copy of its
//! own; of near-duplicates on one page the first stays; a page left with too few images gives no
//! group.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::JoinType;
use datafusion::functions_aggregate::count::count_all;
use datafusion::prelude::{DataFrame, col, lit};
use serde::{Deserialize, Serialize};

use super::STAGE;
use crate::config::Group;
use crate::record::{ImageCluster, Look, Occurrence, Page, Reason, Reject};
use crate::stages::boilerplate::boilerplate;
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{
    Fingerprint, Manifest, Ordered, PlainPart, Plan, Row, RowCount, Session, StoreError, Table,
};
use crate::table::columns::{required, text};
use crate::table::{ImageUse, OCCURRENCES};

/// Plans over all parts of `pages`, `image_uses` and `image_clusters`.
pub async fn run(
    ctx: &Context,
    pages: &[Manifest],
    uses: &[Manifest],
    clusters: &[Manifest],
) -> Result<Vec<Manifest>, StageError> {
    let config = &ctx.config.group;
    let fingerprint = Fingerprint::new()
        .with_section("group", &config.of_places(), &[])
        .with("mine forget", ctx.forgotten())
        .with_inputs(&[uses, clusters].concat());
    let table: Table<Occurrence> = open_table(&ctx.run, OCCURRENCES, STAGE, &fingerprint).await?;
    let committed = table.manifests().await?;
    if committed.len() == pages.len() {
        return Ok(committed);
    }
    let numbers: Vec<u32> = pages.iter().map(|part| part.part).collect();
    if let Some(made) = ctx.made_by_first(&table, &numbers).await? {
        return Ok(made);
    }
    ctx.go_on()?;
    let plan = plan(ctx.session(1)?, config, pages, uses, clusters).await?;
    let (mut places, boilerplate, mut repeated) = plan;
    let mut manifests = Vec::new();
    for part in pages {
        ctx.go_on()?;
        let plan = (&mut places, &boilerplate, &mut repeated);
        manifests.push(write(ctx, &table, part.part, plan).await?);
    }
    Ok(manifests)
}

async fn write(
    ctx: &Context,
    table: &Table<Occurrence>,
    part: u32,
    (places, boilerplate, repeated): (&mut Ordered<Place>, &Boilerplate, &mut Repeated),
) -> Result<Manifest, StageError> {
    let mut writer: PlainPart<Occurrence> = table.part(part)?;
    let mut input = 0;
    while let Some(first) = places.next_if(|place| place.page_part == part).await? {
        let page_row = first.page_row;
        let mut page = vec![first];
        let same_page = |place: &Place| (place.page_part, place.page_row) == (part, page_row);
        page.extend(places.take_run(same_page).await?);
        input += page.len() as u64;
        let is_gone = ctx.tombstones.covers_url(&page[0].page_url);
        let was_shown = repeated.get_mut(&page[0].page_url);
        let is_repeated = was_shown.is_some_and(|shown| std::mem::replace(shown, true));
        let of_page = match (is_gone, is_repeated) {
            (true, _) => Some(Reason::Forgotten),
            (false, true) => Some(Reason::DuplicateUrl),
            (false, false) => None,
        };
        let objections = objections(&page, boilerplate, ctx.config.group.min_images as usize);
        for (place, objection) in page.into_iter().zip(objections) {
            let Place { position, page_url, image_url, look, .. } = place;
            match of_page.or(objection) {
                None => {
                    writer.push(Occurrence { page_row, position, image_url, look }).await?;
                }
                Some(reason) => {
                    let reject = Reject::new(image_url, reason, "");
                    writer.reject(Reject { page_url, ..reject }).await?;
                }
            }
        }
    }
    Ok(writer.commit(input).await?)
}

/// What speaks against each of a page's images, which are in page order.
fn objections(page: &[Place], boilerplate: &Boilerplate, min_images: usize) -> Vec<Option<Reason>> {
    let common = page.first().and_then(|place| boilerplate.get(&place.domain));
    let is_common = |key: &i64| common.is_some_and(|common| common.contains(key));
    let mut seen = HashSet::new();
    let mut objections: Vec<_> = page
        .iter()
        .map(|place| match place.look.cluster_key {
            key if is_common(&key) => Some(Reason::Boilerplate),
            key => (!seen.insert(key)).then_some(Reason::DuplicateImage),
        })
        .collect();
    if seen.len() < min_images {
        let kept = objections.iter_mut().filter(|objection| objection.is_none());
        kept.for_each(|objection| *objection = Some(Reason::TooFewCandidates));
    }
    objections
}

/// Clusters on too large a share of a site's pages.
fn common(
    config: &Group,
    Tables { pages, uses, clusters }: Tables,
) -> Result<Plan<'static>, StoreError> {
    let shown = uses
        .join(clusters, JoinType::Inner, &["image_url"], &["url"], None)?
        .select_columns(&["domain", "cluster_key", "page_part", "page_row"])?
        .distinct()?;
    let (min_pages, share) = (config.boilerplate_min_pages, config.boilerplate_share);
    let rows = boilerplate(pages, shown, "cluster_key", min_pages, share)?;
    Ok(Plan { rows, key: &["domain", "cluster_key"], count: RowCount::Itself })
}

/// Pages that several inputs hold: a group is named by its page's URL, so only one may have it.
fn repeated(pages: DataFrame) -> Result<Plan<'static>, StoreError> {
    let rows = pages
        .filter(col("url").not_eq(lit("")))?
        .aggregate(vec![col("url")], vec![count_all().alias("pages")])?
        .filter(col("pages").gt(lit(1_i64)))?
        .select_columns(&["url"])?;
    Ok(Plan { rows, key: &["url"], count: RowCount::Itself })
}

/// Whether a page of a URL that comes again has been seen: the first with images of use stays. Few
/// URLs are in more than one archive of a crawl.
type Repeated = HashMap<String, bool>;

#[derive(Debug, Serialize, Deserialize)]
struct PageUrl {
    url: String,
}

impl Row for PageUrl {
    fn fields() -> Vec<FieldRef> {
        vec![text("url")]
    }

    fn weight(&self) -> usize {
        self.url.len() + 24
    }
}

/// Every use of an image that is of use, page by page.
fn places(uses: DataFrame, clusters: DataFrame) -> Result<Plan<'static>, StoreError> {
    let joined = |how| {
        let (uses, clusters) = (uses.clone(), clusters.clone());
        uses.join(clusters, how, &["image_url"], &["url"], None)
    };
    let rows = joined(JoinType::Inner)?.select_columns(&[
        "page_part",
        "page_row",
        "position",
        "domain",
        "page_url",
        "image_url",
        "look",
    ])?;
    // A URL has one cluster.
    let count = RowCount::Of(joined(JoinType::LeftSemi)?);
    // A page's positions are its own.
    Ok(Plan { rows, key: &["page_part", "page_row", "position"], count })
}

/// A cluster that is boilerplate on a site.
#[derive(Debug, Serialize, Deserialize)]
struct Common {
    domain: String,
    cluster_key: i64,
}

impl Row for Common {
    fn fields() -> Vec<FieldRef> {
        vec![text("domain"), required("cluster_key", DataType::Int64)]
    }

    fn weight(&self) -> usize {
        self.domain.len() + 32
    }
}

/// Boilerplate by site: few clusters can each be on a large share of its pages.
type Boilerplate = HashMap<String, HashSet<i64>>;

/// A use of an image.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    page_part: u32,
    page_row: u32,
    position: u32,
    domain: String,
    page_url: String,
    image_url: String,
    look: Look,
}

impl Row for Place {
    fn fields() -> Vec<FieldRef> {
        let page = [required("page_part", DataType::UInt32), text("page_url"), text("domain")];
        page.into_iter().chain(Occurrence::fields()).collect()
    }

    fn weight(&self) -> usize {
        self.image_url.len() + self.page_url.len() + 700
    }
}

/// Input tables of the plans.
#[derive(Clone)]
struct Tables {
    pages: DataFrame,
    uses: DataFrame,
    clusters: DataFrame,
}

async fn plan(
    session: Session,
    config: &Group,
    pages: &[Manifest],
    uses: &[Manifest],
    clusters: &[Manifest],
) -> Result<(Ordered<Place>, Boilerplate, Repeated), StageError> {
    let has_rows = |parts: &[Manifest]| parts.iter().any(|part| part.rows("rows") > 0);
    if !has_rows(uses) || !has_rows(clusters) {
        return Ok((Ordered::empty(), Boilerplate::new(), Repeated::new()));
    }
    let tables = Tables {
        pages: session.table::<Page>("pages", pages, "rows").await?,
        uses: session.table::<ImageUse>("uses", uses, "rows").await?,
        clusters: session.table::<ImageCluster>("clusters", clusters, "rows").await?,
    };
    let mut boilerplate = Boilerplate::new();
    let mut rows = session.plan::<Common>(&common(config, tables.clone())?).await?;
    while let Some(batch) = rows.next().await? {
        for Common { domain, cluster_key } in batch {
            boilerplate.entry(domain).or_default().insert(cluster_key);
        }
    }
    let mut urls = Repeated::new();
    let mut rows = session.plan::<PageUrl>(&repeated(tables.pages)?).await?;
    while let Some(batch) = rows.next().await? {
        urls.extend(batch.into_iter().map(|page| (page.url, false)));
    }
    let places = session.plan(&places(tables.uses, tables.clusters)?).await?;
    Ok((Ordered::new(places), boilerplate, urls))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::record::{ImageCluster, Page};
    use crate::store::RunDir;
    use crate::table::{IMAGE_CLUSTERS, IMAGE_USES, ImageUse, PAGES};

    const PAGES_IN_TEST: u32 = 20_000;
    const MEMORY: usize = 24 << 20;

    fn mix(n: u64) -> u64 {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) >> 7
    }

    fn domain(page: u32) -> String {
        format!("site-{}.example", f64::from(page).sqrt() as u64 / 7)
    }

    /// Images of a page: a logo under a URL of the page's own, stock pictures, its own.
    fn images(page: u32) -> Vec<(String, i64)> {
        let own = u64::from(page);
        (0..mix(own) % 7)
            .map(|i| {
                let url = format!("http://{}/{page}-{i}.jpg", domain(page));
                let cluster = match mix(own ^ (i << 32)) % 6 {
                    0 => mix(own.isqrt() / 7) as i64,
                    1 => 1_000 + (mix(own + i) % 300) as i64,
                    2 => 2_000_000 + i64::from(page) * 10,
                    _ => 2_000_000 + i64::from(page) * 10 + i as i64,
                };
                (url, cluster)
            })
            .collect()
    }

    /// The same rules in plain code.
    fn expected(config: &Group) -> Vec<(u32, u32, Option<Reason>)> {
        let mut sites: BTreeMap<String, f64> = BTreeMap::new();
        let mut shown: BTreeMap<(String, i64), f64> = BTreeMap::new();
        for page in 0..PAGES_IN_TEST {
            *sites.entry(domain(page)).or_default() += 1.0;
            let mut clusters: Vec<i64> = images(page).into_iter().map(|(_, c)| c).collect();
            clusters.sort_unstable();
            clusters.dedup();
            for cluster in clusters {
                *shown.entry((domain(page), cluster)).or_default() += 1.0;
            }
        }
        let mut fates = Vec::new();
        for page in 0..PAGES_IN_TEST {
            let images = images(page);
            let pages = sites[&domain(page)];
            let fate = |i: usize| {
                let cluster = images[i].1;
                if pages >= f64::from(config.boilerplate_min_pages)
                    && shown[&(domain(page), cluster)] > config.boilerplate_share * pages
                {
                    Some(Reason::Boilerplate)
                } else if images[..i].iter().any(|(_, other)| *other == cluster) {
                    Some(Reason::DuplicateImage)
                } else {
                    None
                }
            };
            let kept = (0..images.len()).filter(|&i| fate(i).is_none()).count();
            let barren = kept < config.min_images as usize;
            for i in 0..images.len() {
                let fate =
                    if barren { fate(i).or(Some(Reason::TooFewCandidates)) } else { fate(i) };
                fates.push((page, u32::try_from(i).unwrap(), fate));
            }
        }
        fates
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_plan_spills_and_agrees_with_plain_code() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path().to_str().unwrap()).unwrap();
        let nothing = Fingerprint::new();
        let pages: Table<Page> = open_table(&run, PAGES, STAGE, &nothing).await.unwrap();
        let uses: Table<ImageUse> = open_table(&run, IMAGE_USES, STAGE, &nothing).await.unwrap();
        let clusters: Table<ImageCluster> =
            open_table(&run, IMAGE_CLUSTERS, STAGE, &nothing).await.unwrap();
        let mut page_part: PlainPart<Page> = pages.part(0).unwrap();
        let mut use_part: PlainPart<ImageUse> = uses.part(0).unwrap();
        let mut cluster_part: PlainPart<ImageCluster> = clusters.part(0).unwrap();
        let mut total = 0;
        for page in 0..PAGES_IN_TEST {
            let url = format!("http://{}/{page}", domain(page));
            let row = Page { url: url.clone(), domain: domain(page), ..Page::default() };
            page_part.push(row).await.unwrap();
            for (position, (image_url, cluster)) in (0..).zip(images(page)) {
                total += 1;
                let look = Look {
                    cluster_key: cluster,
                    phash256: vec![0; 32],
                    colour_layout: vec![0; 192],
                    ..Look::default()
                };
                let row = ImageCluster { url: image_url.clone(), cluster_key: cluster, look };
                cluster_part.push(row).await.unwrap();
                let row = ImageUse {
                    image_url,
                    page_url: url.clone(),
                    domain: domain(page),
                    host: String::new(),
                    part: 0,
                    page_part: 0,
                    page_row: page,
                    position,
                };
                use_part.push(row).await.unwrap();
            }
        }
        let pages = [page_part.commit(u64::from(PAGES_IN_TEST)).await.unwrap()];
        let uses = [use_part.commit(total).await.unwrap()];
        let clusters = [cluster_part.commit(total).await.unwrap()];
        let config = Group::default();
        let session = Session::new(run.store(), MEMORY).unwrap();
        let (mut places, boilerplate, _) =
            plan(session, &config, &pages, &uses, &clusters).await.unwrap();
        let mut found = Vec::new();
        while let Some(page) = places.next_run(|place| place.page_row).await.unwrap() {
            let objections = objections(&page, &boilerplate, config.min_images as usize);
            let rows = page.iter().zip(objections);
            found.extend(rows.map(|(place, reason)| (place.page_row, place.position, reason)));
        }
        let expected = expected(&config);
        let rejected = [Reason::Boilerplate, Reason::DuplicateImage, Reason::TooFewCandidates];
        for fate in [None].into_iter().chain(rejected.map(Some)) {
            assert!(expected.iter().filter(|row| row.2 == fate).count() > 20, "{fate:?}");
        }
        let differs = found.iter().zip(&expected).find(|(a, b)| a != b);
        assert_eq!((found.len(), differs), (expected.len(), None));
    }
}
