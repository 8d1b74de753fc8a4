//! "Why is this image not there?": an address in all rejects and in what was kept.

use datafusion::prelude::{Expr, col, lit};
use serde::Serialize;

use super::live::Live;
use crate::pipeline::status::STEPS;
use crate::pipeline::view::catalogue::Card;
use crate::record::{GroupImage, Image, Page, Reject};
use crate::store::{Manifest, Row, Session, StoreError, stream_rows};
use crate::table::columns::text;
use crate::table::{GROUPS, IMAGES, PAGES};
use crate::telemetry::excerpt;

/// Findings of one table that are told.
const MOST: usize = 20;
/// Memory of a query, which keeps nothing.
const MEMORY: usize = 64 << 20;
/// Characters of an address or a detail.
const TEXT: usize = 600;

/// Findings about an address.
#[derive(Debug, Default, Serialize)]
pub(super) struct Found {
    rejects: Vec<Refused>,
    kept: Vec<Kept>,
    pub(super) triplets: Vec<Card>,
    /// True if there are more findings than are listed.
    pub(super) cut: bool,
}

#[derive(Debug, Serialize)]
struct Refused {
    table: &'static str,
    reason: &'static str,
    url: String,
    page: String,
    detail: String,
}

#[derive(Debug, Serialize)]
struct Kept {
    table: &'static str,
    url: String,
    page: String,
}

/// A row of what was kept, whatever its table calls it.
#[derive(Debug, Serialize, serde::Deserialize)]
struct KeptRow {
    url: String,
    page: String,
}

impl Row for KeptRow {
    fn fields() -> Vec<arrow::datatypes::FieldRef> {
        vec![text("url"), text("page")]
    }

    fn weight(&self) -> usize {
        self.url.len() + self.page.len() + 32
    }
}

impl Found {
    fn keep(&mut self, table: &'static str, rows: Vec<KeptRow>) {
        self.cut |= rows.len() > MOST;
        self.kept.extend(rows.into_iter().take(MOST).map(|KeptRow { url, page }| Kept {
            table,
            url: excerpt(&url, TEXT),
            page: excerpt(&page, TEXT),
        }));
    }
}

/// Looks an address up, of an image or of a page, as it was requested or as pages write it.
pub(super) async fn why(live: &Live, url: &str) -> Result<Found, StoreError> {
    let mut found = Found::default();
    let stones = &live.viewed.tombstones;
    if stones.covers_url(url) {
        return Ok(found);
    }
    let is = |name: &str| col(name).eq(lit(url));
    let keys = |url: &str, page: &str| [col(url).alias("url"), col(page).alias("page")];
    for table in STEPS.iter().map(|step| step.table) {
        let parts = live.viewed.dir.manifests(table).await?;
        let columns = ["url", "reason", "page_url", "detail"].map(col);
        let condition = is("url").or(is("page_url"));
        let rejects = query::<Reject, Reject>(live, &parts, "rejects", condition, &columns).await?;
        found.cut |= rejects.len() > MOST;
        found.rejects.extend(rejects.into_iter().take(MOST).map(|reject| refused(table, reject)));
    }
    let pages = (is("url").or(is("requested_url")), keys("url", "url"));
    found.keep(PAGES, kept::<Page>(live, PAGES, pages).await?);
    let images = (is("url").or(is("final_url")), keys("url", "page_url"));
    found.keep(IMAGES, kept::<Image>(live, IMAGES, images).await?);
    let groups = (is("image_url"), keys("image_url", "page_url"));
    found.keep(GROUPS, kept::<GroupImage>(live, GROUPS, groups).await?);
    let catalogue = live.catalogue();
    let of_url: Vec<&Card> =
        catalogue.cards().filter(|card| card.is_of(url)).take(MOST + 1).collect();
    found.cut |= of_url.len() > MOST;
    found.triplets = of_url.into_iter().take(MOST).cloned().collect();
    Ok(found)
}

/// Returns the rows of a table that meet a condition; `columns` are those of [`KeptRow`].
async fn kept<T: Row>(
    live: &Live,
    table: &str,
    (condition, columns): (Expr, [Expr; 2]),
) -> Result<Vec<KeptRow>, StoreError> {
    let parts = live.viewed.dir.manifests(table).await?;
    query::<T, KeptRow>(live, &parts, "rows", condition, &columns).await
}

/// Returns the first rows that meet a condition, at most one more than [`MOST`].
async fn query<T: Row, R: Row>(
    live: &Live,
    parts: &[Manifest],
    output: &str,
    condition: Expr,
    columns: &[Expr],
) -> Result<Vec<R>, StoreError> {
    if parts.iter().all(|part| part.rows(output) == 0) {
        return Ok(Vec::new());
    }
    let session = Session::new(live.viewed.dir.store(), MEMORY)?;
    let rows = session.table::<T>("rows", parts, output).await?;
    let found = rows.filter(condition)?.select(columns.to_vec())?.limit(0, Some(MOST + 1))?;
    stream_rows(found).await?.collect().await
}

fn refused(table: &'static str, reject: Reject) -> Refused {
    Refused {
        table,
        reason: reject.reason.as_str(),
        url: excerpt(&reject.url, TEXT),
        page: excerpt(&reject.page_url, TEXT),
        detail: excerpt(&reject.detail, TEXT),
    }
}
