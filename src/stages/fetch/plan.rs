//! `fetch_list`: each image URL that is worth a request, once, by host.
//!
//! A global plan over narrow columns. An image URL on too large a share of its site's pages is
//! boilerplate there; a page left with too few candidates has nothing fetched for its sake; a URL
//! that no page wants any more is rejected.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{JoinType, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::expr_fn::{min, sum};
use datafusion::prelude::{DataFrame, cast, coalesce, col, concat, lit, lpad, when};
use serde::{Deserialize, Serialize};

use super::{STAGE, filter};
use crate::config::Filter;
use crate::record::{Page, Reason, Reject};
use crate::stages::boilerplate::boilerplate;
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{Manifest, Ordered, PlainPart, Plan, Row, RowCount, Session, StoreError, Table};
use crate::table::columns::{optional, required, text};
use crate::table::{ArchivedAt, ArchivedImage, FETCH_LIST, FetchTarget, ImageUse};

/// Plans over all parts of `pages` and `image_uses`.
pub async fn run(
    ctx: &Context,
    pages: &[Manifest],
    uses: &[Manifest],
    archives: &[Manifest],
) -> Result<Vec<Manifest>, StageError> {
    let fingerprint = filter::fingerprint(&ctx.config)?.with_inputs(&[uses, archives].concat());
    let table: Table<FetchTarget> = open_table(&ctx.run, FETCH_LIST, STAGE, &fingerprint).await?;
    let parts = ctx.config.filter.partitions;
    let committed = table.manifests().await?;
    if committed.len() == parts as usize {
        return Ok(committed);
    }
    let numbers: Vec<u32> = (0..parts).collect();
    if let Some(made) = ctx.made_by_first(&table, &numbers).await? {
        return Ok(made);
    }
    ctx.go_on()?;
    let inputs = Inputs { pages, uses, archives };
    let mut fates = fates(ctx.session(1)?, &ctx.config.filter, inputs).await?;
    let mut manifests = Vec::new();
    for part in 0..parts {
        manifests.push(write(&table, part, &mut fates).await?);
    }
    Ok(manifests)
}

async fn write(
    table: &Table<FetchTarget>,
    part: u32,
    fates: &mut Ordered<Fate>,
) -> Result<Manifest, StageError> {
    let mut writer: PlainPart<FetchTarget> = table.part(part)?;
    let mut input = 0;
    while let Some(fate) = fates.next_if(|fate| fate.part == part).await? {
        input += 1;
        let Fate { host, image_url, page_url, page_count, fate, archived, .. } = fate;
        let reject = |reason, image_url| Reject {
            page_url: page_url.clone(),
            ..Reject::new(image_url, reason, "")
        };
        match fate {
            FETCH => {
                let page_count = u32::try_from(page_count).unwrap_or(u32::MAX);
                let archived = archived.as_deref().and_then(place);
                let target = FetchTarget { host, image_url, page_url, page_count, archived };
                writer.push(target).await?;
            }
            BARREN => writer.reject(reject(Reason::TooFewCandidates, image_url)).await?,
            _ => writer.reject(reject(Reason::Boilerplate, image_url)).await?,
        }
    }
    Ok(writer.commit(input).await?)
}

/// Some page wants it.
const FETCH: i64 = 0;
/// Every page that shows it has too few candidates.
const BARREN: i64 = 1;
/// It is boilerplate wherever it is shown.
const BOILERPLATE: i64 = 2;

/// Returns the first place of each image in an archive, as one text: plans find the least of texts in bounded
/// memory.
fn archived(archives: DataFrame) -> Result<DataFrame, DataFusionError> {
    let decimal = |name| cast(col(name), DataType::Utf8);
    let offset = lpad(vec![decimal("record_offset"), lit(20_i64), lit("0")]);
    let place = concat(vec![col("archive"), lit(" "), offset, lit(" "), decimal("record_length")]);
    archives.aggregate(vec![col("url")], vec![min(place).alias("place")])?.alias("archived")
}

/// Parses a place as [`archived`] writes it.
fn place(text: &str) -> Option<ArchivedAt> {
    let mut words = text.rsplitn(3, ' ');
    let (length, offset) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(ArchivedAt { archive: words.next()?.to_owned(), offset, length })
}

/// One row a URL, in each part that has it.
const KEY: [&str; 3] = ["part", "host", "image_url"];

/// The plan. A URL's fate is the best one that any page gives it.
fn plan(filter: &Filter, tables: Tables) -> Result<Plan<'static>, StoreError> {
    let Tables { pages, uses, archives } = tables;
    // No rule changes how many there are.
    let count = uses.clone().select_columns(&KEY)?.distinct()?;
    let judged = judged(filter, pages, uses)?;
    let candidates = sum(when(col("common"), lit(0_i64)).otherwise(lit(1_i64))?);
    let sizes = judged
        .clone()
        .aggregate(vec![col("page_url")], vec![candidates.alias("candidates")])?
        .alias("sizes")?;
    let fate = when(col("common"), lit(BOILERPLATE))
        .when(col("candidates").lt(lit(i64::from(filter.min_candidates))), lit(BARREN))
        .otherwise(lit(FETCH))?;
    let fates =
        judged.join(sizes, JoinType::Inner, &["page_url"], &["page_url"], None)?.select(vec![
            col("part"),
            col("host"),
            col("image_url"),
            col("judged.page_url"),
            fate.alias("fate"),
        ])?;
    let fetched = || col("fate").eq(lit(FETCH));
    let fetched_page = min(when(fetched(), col("page_url")).end()?);
    let urls = fates
        .aggregate(
            KEY.map(col).to_vec(),
            vec![
                coalesce(vec![fetched_page, min(col("page_url"))]).alias("page_url"),
                sum(when(fetched(), lit(1_i64)).otherwise(lit(0_i64))?).alias("page_count"),
                min(col("fate")).alias("fate"),
            ],
        )?
        .alias("urls")?;
    let (urls, place) = match archives {
        Some(archives) => {
            let archived = archived(archives)?;
            let urls = urls.join(archived, JoinType::Left, &["image_url"], &["url"], None)?;
            (urls, col("place"))
        }
        None => (urls, cast(lit(ScalarValue::Null), DataType::Utf8)),
    };
    let mut columns =
        ["part", "host", "image_url", "page_url", "page_count", "fate"].map(col).to_vec();
    columns.push(place.alias("archived"));
    Ok(Plan { rows: urls.select(columns)?, key: &KEY, count: RowCount::Of(count) })
}

/// Returns the uses of images, with `common` true for boilerplate of the page's site.
fn judged(
    filter: &Filter,
    pages: DataFrame,
    uses: DataFrame,
) -> Result<DataFrame, DataFusionError> {
    let keys = ["domain", "image_url"];
    let (min_pages, share) = (filter.boilerplate_min_pages, filter.boilerplate_share);
    let boilerplate =
        boilerplate(pages, uses.clone(), "image_url", min_pages, share)?.alias("boilerplate")?;
    uses.join(boilerplate, JoinType::Left, &keys, &keys, None)?
        .select(vec![
            col("part"),
            col("host"),
            col("uses.image_url"),
            col("page_url"),
            col("boilerplate.image_url").is_not_null().alias("common"),
        ])?
        .alias("judged")
}

#[derive(Debug, Serialize, Deserialize)]
struct Fate {
    part: u32,
    host: String,
    image_url: String,
    page_url: String,
    page_count: i64,
    fate: i64,
    archived: Option<String>,
}

impl Row for Fate {
    fn fields() -> Vec<FieldRef> {
        vec![
            required("part", DataType::UInt32),
            text("host"),
            text("image_url"),
            text("page_url"),
            required("page_count", DataType::Int64),
            required("fate", DataType::Int64),
            optional("archived", DataType::Utf8),
        ]
    }

    fn weight(&self) -> usize {
        self.image_url.len() + self.page_url.len() + self.host.len() + 96
    }
}

/// Parts of the input tables.
struct Inputs<'a> {
    pages: &'a [Manifest],
    uses: &'a [Manifest],
    archives: &'a [Manifest],
}

/// Input tables of the plan; `archives` is `None` if it has no rows.
struct Tables {
    pages: DataFrame,
    uses: DataFrame,
    archives: Option<DataFrame>,
}

/// The plan's rows in order of parts.
async fn fates(
    session: Session,
    filter: &Filter,
    Inputs { pages, uses, archives }: Inputs<'_>,
) -> Result<Ordered<Fate>, StageError> {
    if uses.iter().all(|manifest| manifest.rows("rows") == 0) {
        return Ok(Ordered::empty());
    }
    let has_archived = archives.iter().any(|manifest| manifest.rows("rows") > 0);
    let tables = Tables {
        pages: session.table::<Page>("pages", pages, "rows").await?,
        uses: session.table::<ImageUse>("uses", uses, "rows").await?,
        archives: match has_archived {
            true => Some(session.table::<ArchivedImage>("archives", archives, "rows").await?),
            false => None,
        },
    };
    Ok(Ordered::new(session.plan(&plan(filter, tables)?).await?))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::record::Page;
    use crate::store::{Fingerprint, RunDir};
    use crate::table::{IMAGE_USES, ImageUse, PAGES};

    /// More than the plan may hold at once, by far.
    const PAGES_IN_TEST: u64 = 40_000;
    const MEMORY: usize = 24 << 20;

    fn uses_of(page: u64) -> Vec<ImageUse> {
        // A small deterministic generator; sites of very different sizes.
        let mix = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) >> 7;
        let domain = format!("site-{}.example", (page as f64).sqrt() as u64 / 7);
        let mut images = BTreeSet::new();
        for i in 0..mix(page) % 9 {
            images.insert(match mix(page ^ (i << 32)) % 5 {
                0 => format!("http://{domain}/logo.png"),
                1 => format!("http://cdn.example/stock-{}.jpg", mix(page + i) % 500),
                _ => format!("http://{domain}/{page}-{i}-with-a-name-of-usual-length.jpg"),
            });
        }
        let of = |image_url: String| ImageUse {
            page_url: format!("http://{domain}/page-{page:06}.html"),
            domain: domain.clone(),
            host: image_url.split('/').nth(2).unwrap().to_owned(),
            part: u32::from(image_url.contains("cdn")),
            image_url,
            page_part: 0,
            page_row: u32::try_from(page).unwrap(),
            position: 0,
        };
        images.into_iter().map(of).collect()
    }

    /// The same rules, in plain code and unbounded memory.
    fn expected(filter: &Filter) -> Vec<(String, i64, String, i64)> {
        let pages: Vec<Vec<ImageUse>> = (0..PAGES_IN_TEST).map(uses_of).collect();
        let mut sites: BTreeMap<String, f64> = BTreeMap::new();
        let mut shown: BTreeMap<(String, String), f64> = BTreeMap::new();
        for (page, uses) in pages.iter().enumerate() {
            let domain = format!("site-{}.example", (page as f64).sqrt() as u64 / 7);
            *sites.entry(domain).or_default() += 1.0;
            for u in uses {
                *shown.entry((u.domain.clone(), u.image_url.clone())).or_default() += 1.0;
            }
        }
        let common = |u: &ImageUse| {
            let pages = sites[&u.domain];
            pages >= f64::from(filter.boilerplate_min_pages)
                && shown[&(u.domain.clone(), u.image_url.clone())]
                    > filter.boilerplate_share * pages
        };
        let mut fates: BTreeMap<(u32, String, String), (i64, String, i64)> = BTreeMap::new();
        for uses in &pages {
            let candidates = uses.iter().filter(|u| !common(u)).count();
            for u in uses {
                let fate = if common(u) {
                    BOILERPLATE
                } else if candidates < filter.min_candidates as usize {
                    BARREN
                } else {
                    FETCH
                };
                let key = (u.part, u.host.clone(), u.image_url.clone());
                let best = fates.entry(key).or_insert((fate, u.page_url.clone(), 0));
                let better = fate < best.0 && fate == FETCH;
                if better || (fate == best.0 || best.0 != FETCH) && u.page_url < best.1 {
                    best.1 = u.page_url.clone();
                }
                best.0 = best.0.min(fate);
                best.2 += i64::from(fate == FETCH);
            }
        }
        fates.into_iter().map(|((_, _, url), (fate, page, n))| (url, fate, page, n)).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_plan_spills_and_agrees_with_plain_code() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path().to_str().unwrap()).unwrap();
        let nothing = Fingerprint::new();
        let pages: Table<Page> = open_table(&run, PAGES, "collect", &nothing).await.unwrap();
        let uses: Table<ImageUse> = open_table(&run, IMAGE_USES, STAGE, &nothing).await.unwrap();
        let mut page_part: PlainPart<Page> = pages.part(0).unwrap();
        let mut use_part: PlainPart<ImageUse> = uses.part(0).unwrap();
        let mut total = 0;
        for page in 0..PAGES_IN_TEST {
            let domain = format!("site-{}.example", (page as f64).sqrt() as u64 / 7);
            let url = format!("http://{domain}/page-{page:06}.html");
            page_part.push(Page { url, domain, ..Page::default() }).await.unwrap();
            for image_use in uses_of(page) {
                total += 1;
                use_part.push(image_use).await.unwrap();
            }
        }
        let pages = [page_part.commit(PAGES_IN_TEST).await.unwrap()];
        let uses = [use_part.commit(total).await.unwrap()];
        let filter = Filter::default();
        let inputs = Inputs { pages: &pages, uses: &uses, archives: &[] };
        let session = Session::new(run.store(), MEMORY).unwrap();
        let mut fates = super::fates(session, &filter, inputs).await.unwrap();
        let mut found = Vec::new();
        for part in 0..2 {
            while let Some(fate) = fates.next_if(|fate| fate.part == part).await.unwrap() {
                found.push((fate.image_url, fate.fate, fate.page_url, fate.page_count));
            }
        }
        let expected = expected(&filter);
        assert!(expected.len() > 80_000, "{}", expected.len());
        for fate in [FETCH, BARREN, BOILERPLATE] {
            assert!(expected.iter().filter(|row| row.1 == fate).count() > 20, "fate {fate}");
        }
        let differs = found.iter().zip(&expected).find(|(a, b)| a != b);
        assert_eq!((found.len(), differs), (expected.len(), None));
    }
}
