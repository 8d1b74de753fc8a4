//! Images on too large a share of a site's pages: logos, buttons, banners.

use datafusion::common::JoinType;
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::count::count_all;
use datafusion::prelude::{DataFrame, col, lit};

/// Returns `domain` and `key` of the images that more than `share` of a site's pages show, for sites of at
/// least `min_pages`. `pages` has a row for each page, `shown` one for each page and image that it shows; both
/// have the column `domain`, and `key` is the column of `shown` that names an image.
pub fn boilerplate(
    pages: DataFrame,
    shown: DataFrame,
    key: &str,
    min_pages: u32,
    share: f64,
) -> Result<DataFrame, DataFusionError> {
    let sites =
        pages.aggregate(vec![col("domain")], vec![count_all().alias("pages")])?.alias("sites")?;
    let spread = shown
        .aggregate(vec![col("domain"), col(key)], vec![count_all().alias("shown")])?
        .alias("spread")?;
    let is_common = col("pages")
        .gt_eq(lit(i64::from(min_pages)))
        .and(col("shown").gt(lit(share) * col("pages")));
    spread
        .join(sites, JoinType::Inner, &["domain"], &["domain"], None)?
        .filter(is_common)?
        .select(vec![col("spread.domain"), col(key)])
}
