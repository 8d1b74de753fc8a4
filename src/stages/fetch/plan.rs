//! `fetch_list`: each image URL that is worth a request, once, by host.
//!
//! A global plan over narrow columns. An image URL on too large a share of its site's pages is
//! boilerplate there; a page left with too few candidates has nothing fetched for its sake; a URL
//! that no page wants any more is rejected.

use arrow::datatypes::{DataType, FieldRef};
use serde::{Deserialize, Serialize};

use super::{STAGE, filter};
use crate::config::Filter;
use crate::record::{Page, Reason, Reject};
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{Manifest, Ordered, PlainPart, Plan, Row, Sql, Table};
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
    let mut fates = fates(ctx.sql(1)?, &ctx.config.filter, inputs).await?;
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

/// The first place that an archive has an image at, as one text: plans find the least of texts in
/// bounded memory.
const ARCHIVED: &str = "
    SELECT url, min(concat(archive, ' ', lpad(CAST(record_offset AS VARCHAR), 20, '0'), ' ',
        CAST(record_length AS VARCHAR))) AS place
    FROM archives GROUP BY url";

/// Reads what [`ARCHIVED`] makes.
fn place(text: &str) -> Option<ArchivedAt> {
    let mut words = text.rsplitn(3, ' ');
    let (length, offset) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(ArchivedAt { archive: words.next()?.to_owned(), offset, length })
}

/// One row a URL, in each part that has it.
const KEY: [&str; 3] = ["part", "host", "image_url"];

/// How many there are, which no rule changes.
const COUNT: &str = "
    SELECT count(*) AS rows FROM (SELECT DISTINCT part, host, image_url FROM uses) AS urls";

/// The plan. A URL's fate is the best one that any page gives it.
fn sql(filter: &Filter, has_archived: bool) -> String {
    let (place, join) = match has_archived {
        true => (
            "archived.place",
            format!("LEFT JOIN ({ARCHIVED}) AS archived ON urls.image_url = archived.url"),
        ),
        false => ("CAST(NULL AS VARCHAR)", String::new()),
    };
    format!(
        "WITH
         sites AS (SELECT domain, count(*) AS pages FROM pages GROUP BY domain),
         spread AS (
             SELECT domain, image_url, count(*) AS shown FROM uses GROUP BY domain, image_url),
         boilerplate AS (
             SELECT spread.domain, spread.image_url
             FROM spread JOIN sites ON spread.domain = sites.domain
             WHERE sites.pages >= {min_pages} AND spread.shown > {share} * sites.pages),
         judged AS (
             SELECT uses.part, uses.host, uses.image_url, uses.page_url,
                 boilerplate.image_url IS NOT NULL AS common
             FROM uses LEFT JOIN boilerplate
             ON uses.domain = boilerplate.domain AND uses.image_url = boilerplate.image_url),
         sizes AS (
             SELECT page_url, sum(CASE WHEN common THEN 0 ELSE 1 END) AS candidates
             FROM judged GROUP BY page_url),
         counted AS (
             SELECT judged.*, sizes.candidates
             FROM judged JOIN sizes ON judged.page_url = sizes.page_url),
         fates AS (
             SELECT part, host, image_url, page_url,
                 CASE WHEN common THEN {BOILERPLATE}
                      WHEN candidates < {min_candidates} THEN {BARREN}
                      ELSE {FETCH} END AS fate
             FROM counted),
         urls AS (
             SELECT part, host, image_url,
                 coalesce(min(CASE WHEN fate = {FETCH} THEN page_url END), min(page_url))
                     AS page_url,
                 sum(CASE WHEN fate = {FETCH} THEN 1 ELSE 0 END) AS page_count,
                 min(fate) AS fate
             FROM fates GROUP BY part, host, image_url)
         SELECT urls.part, urls.host, urls.image_url, urls.page_url, urls.page_count, urls.fate,
             {place} AS archived
         FROM urls {join}",
        min_pages = filter.boilerplate_min_pages,
        share = filter.boilerplate_share,
        min_candidates = filter.min_candidates,
    )
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

/// The tables that the plan is over.
struct Inputs<'a> {
    pages: &'a [Manifest],
    uses: &'a [Manifest],
    archives: &'a [Manifest],
}

/// The plan's rows in order of parts.
async fn fates(
    mut session: Sql,
    filter: &Filter,
    Inputs { pages, uses, archives }: Inputs<'_>,
) -> Result<Ordered<Fate>, StageError> {
    if uses.iter().all(|manifest| manifest.rows("rows") == 0) {
        return Ok(Ordered::empty());
    }
    session.register::<Page>("pages", pages, "rows").await?;
    session.register::<ImageUse>("uses", uses, "rows").await?;
    let has_archived = archives.iter().any(|manifest| manifest.rows("rows") > 0);
    if has_archived {
        session.register::<ArchivedImage>("archives", archives, "rows").await?;
    }
    let plan = Plan { select: sql(filter, has_archived), key: &KEY, count: Some(COUNT.into()) };
    Ok(Ordered::new(session.plan(&plan).await?))
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
        let session = Sql::new(run.store(), MEMORY).unwrap();
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
