//! `fetch_list`: each image URL that is worth a request, once, by host.
//!
//! A global plan over narrow columns. An image URL on too large a share of its site's pages is
//! boilerplate there; a page left with too few candidates has nothing fetched for its sake; a URL
//! that no page wants any more is rejected.

use arrow::datatypes::{DataType, FieldRef};
use serde::{Deserialize, Serialize};

use super::{STAGE, filter};
use crate::config::Filter;
use crate::record::{Reason, Reject};
use crate::stages::{Context, StageError, open_table};
use crate::store::{Manifest, PlainPart, Row, RowStream, Sql, Table};
use crate::table::columns::{required, text};
use crate::table::{FETCH_LIST, FetchTarget};

/// Plans over all parts of `pages` and `image_uses`.
pub async fn run(
    ctx: &Context,
    pages: &[Manifest],
    uses: &[Manifest],
) -> Result<Vec<Manifest>, StageError> {
    let fingerprint = filter::fingerprint(&ctx.config)?.with_inputs(uses);
    let table: Table<FetchTarget> = open_table(&ctx.run, FETCH_LIST, STAGE, &fingerprint).await?;
    let parts = ctx.config.filter.partitions;
    let committed = table.manifests().await?;
    if committed.len() == parts as usize {
        return Ok(committed);
    }
    ctx.go_on()?;
    let mut fates = Fates::open(ctx, pages, uses).await?;
    let mut manifests = Vec::new();
    for part in 0..parts {
        manifests.push(write(&table, part, &mut fates).await?);
    }
    Ok(manifests)
}

async fn write(
    table: &Table<FetchTarget>,
    part: u32,
    fates: &mut Fates,
) -> Result<Manifest, StageError> {
    let mut writer: PlainPart<FetchTarget> = table.part(part)?;
    let mut input = 0;
    while let Some(fate) = fates.next_of(part).await? {
        input += 1;
        let Fate { host, image_url, page_url, page_count, fate, .. } = fate;
        let reject = |reason, image_url| Reject {
            page_url: page_url.clone(),
            ..Reject::new(image_url, reason, "")
        };
        match fate {
            FETCH => {
                let page_count = u32::try_from(page_count).unwrap_or(u32::MAX);
                writer.push(FetchTarget { host, image_url, page_url, page_count }).await?;
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

/// The plan. A URL's fate is the best one that any page gives it.
fn sql(filter: &Filter) -> String {
    format!(
        "WITH
         sites AS (SELECT domain, count(*) AS pages FROM pages GROUP BY domain),
         spread AS (SELECT domain, image_url, count(*) AS shown FROM uses GROUP BY domain, image_url),
         boilerplate AS (
             SELECT spread.domain, spread.image_url
             FROM spread JOIN sites ON spread.domain = sites.domain
             WHERE sites.pages >= {min_pages} AND spread.shown > {share} * sites.pages),
         judged AS (
             SELECT uses.*, boilerplate.image_url IS NOT NULL AS common
             FROM uses LEFT JOIN boilerplate
             ON uses.domain = boilerplate.domain AND uses.image_url = boilerplate.image_url),
         fertile AS (
             SELECT page_url FROM judged WHERE NOT common
             GROUP BY page_url HAVING count(*) >= {min_candidates}),
         fates AS (
             SELECT judged.part, judged.host, judged.image_url, judged.page_url,
                 CASE WHEN judged.common THEN {BOILERPLATE}
                      WHEN fertile.page_url IS NULL THEN {BARREN}
                      ELSE {FETCH} END AS fate
             FROM judged LEFT JOIN fertile ON judged.page_url = fertile.page_url),
         best AS (
             SELECT part, host, image_url, fate, min(page_url) AS page_url, count(*) AS page_count
             FROM fates GROUP BY part, host, image_url, fate),
         least AS (SELECT image_url, min(fate) AS fate FROM best GROUP BY image_url)
         SELECT best.part, best.host, best.image_url, best.page_url, best.page_count, best.fate
         FROM best JOIN least ON best.image_url = least.image_url AND best.fate = least.fate
         ORDER BY best.part, best.host, best.image_url",
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
        ]
    }

    fn weight(&self) -> usize {
        self.image_url.len() + self.page_url.len() + self.host.len() + 96
    }
}

/// The plan's rows in order of parts.
struct Fates {
    rows: Option<RowStream<Fate>>,
    batch: std::vec::IntoIter<Fate>,
    head: Option<Fate>,
}

impl Fates {
    async fn open(
        ctx: &Context,
        pages: &[Manifest],
        uses: &[Manifest],
    ) -> Result<Self, StageError> {
        let mut rows = None;
        if uses.iter().any(|manifest| manifest.rows("rows") > 0) {
            let sql_session = Sql::new(ctx.run.store(), ctx.config.store.plan_memory_bytes)?;
            sql_session.register("pages", pages, "rows").await?;
            sql_session.register("uses", uses, "rows").await?;
            rows = Some(sql_session.query(&sql(&ctx.config.filter)).await?);
        }
        Ok(Self { rows, batch: Vec::new().into_iter(), head: None })
    }

    /// The next row if it belongs to `part`.
    async fn next_of(&mut self, part: u32) -> Result<Option<Fate>, StageError> {
        while self.head.is_none() {
            self.head = self.batch.next();
            if self.head.is_none() {
                let Some(rows) = &mut self.rows else { return Ok(None) };
                let Some(batch) = rows.next().await? else { return Ok(None) };
                self.batch = batch.into_iter();
            }
        }
        Ok(self.head.take_if(|fate| fate.part == part))
    }
}
