//! Which triplets are exported, and into which shard: a global plan over ids and text.
//!
//! A val or test triplet of which train has any image too, query, target or hard negative, would
//! measure memory, and goes. Train is here all that is planned for it, before caps: another cap does
//! not move what is held out. Of what is left, caps keep the triplets whose ids come first, which is as
//! good as at random and the same in every run: first each domain its share, then each cluster.

use std::ops::Range;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{JoinType, UnnestOptions};
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::count::count_all;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::conditional_expressions::CaseBuilder;
use datafusion::logical_expr::{Case, ExprFunctionExt};
use datafusion::prelude::{DataFrame, Expr, cast, col, lit, named_struct, not, when};
use serde::{Deserialize, Serialize};

use super::compose::Planned;
use crate::config::{Export, ExportImages};
use crate::record::{Mark, Reason, Reviews, Split};
use crate::stages::context::{Context, StageError};
use crate::store::{
    Manifest, Ordered, Plan, Row, RowCount, Session, StoreError, ascending, stream_rows,
};
use crate::table::columns::{required, text};

/// Bytes of a row without images, about.
const TEXT_BYTES: u64 = 2048;

/// How many shards each split has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharding(Vec<(Split, u32)>);

impl Sharding {
    /// By the bytes that each split has.
    pub async fn of(ctx: &Context, composed: &[Manifest]) -> Result<Self, StageError> {
        let mut found = Vec::new();
        if let Some(rows) = rows(&ctx.session(PLANS)?, composed).await? {
            let sizes = rows.aggregate(
                vec![col("split")],
                vec![
                    count_all().alias("triplets"),
                    cast(sum(col("bytes")), DataType::Int64).alias("bytes"),
                ],
            );
            found =
                stream_rows::<SplitSize>(sizes.map_err(StoreError::from)?).await?.collect().await?;
        }
        let export = &ctx.config.export;
        let shards = Split::ALL.map(|split| {
            let size = found.iter().find(|size| size.split == split);
            (split, size.map_or(0, |size| size.shards(export)))
        });
        Ok(Self(shards.to_vec()))
    }

    /// The splits with their numbers of parts: the first split has the first parts.
    pub fn parts(&self) -> impl Iterator<Item = (Split, Range<u32>)> {
        let mut next = 0;
        self.0.iter().map(move |&(split, shards)| {
            let parts = next..next + shards;
            next = parts.end;
            (split, parts)
        })
    }

    /// All parts.
    pub fn total(&self) -> u32 {
        self.0.iter().map(|(_, shards)| shards).sum()
    }

    /// Part of a triplet, by its columns `split` and `shuffle`.
    fn part(&self) -> Expr {
        let of_split = |(split, parts): (Split, Range<u32>)| {
            let shards = lit(parts.len().max(1) as i64);
            let part = lit(i64::from(parts.start)) + col("shuffle") % shards;
            (Box::new(lit(split.as_str())), Box::new(part))
        };
        Expr::Case(Case::new(
            Some(Box::new(col("split"))),
            self.parts().map(of_split).collect(),
            None,
        ))
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct SplitSize {
    split: Split,
    triplets: i64,
    bytes: i64,
}

impl SplitSize {
    fn shards(&self, export: &Export) -> u32 {
        let text = self.triplets.unsigned_abs() * TEXT_BYTES;
        let images = match export.images {
            ExportImages::Bytes => self.bytes.unsigned_abs(),
            ExportImages::None => 0,
        };
        u32::try_from((text + images).div_ceil(export.shard_bytes).max(1)).unwrap_or(u32::MAX)
    }
}

impl Row for SplitSize {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("split"),
            required("triplets", DataType::Int64),
            required("bytes", DataType::Int64),
        ]
    }

    fn weight(&self) -> usize {
        32
    }
}

/// A triplet with its shard.
#[derive(Debug, Serialize, Deserialize)]
struct Shelved {
    shard: i64,
    planned: Planned,
}

impl Row for Shelved {
    fn fields() -> Vec<FieldRef> {
        vec![
            required("shard", DataType::Int64),
            required("planned", DataType::Struct(Planned::fields().into())),
        ]
    }

    fn weight(&self) -> usize {
        self.planned.weight() + 8
    }
}

/// A triplet that is not exported, and why.
#[derive(Debug, Serialize, Deserialize)]
struct Objection {
    shard: i64,
    triplet_id: String,
    fate: i64,
}

impl Row for Objection {
    fn fields() -> Vec<FieldRef> {
        vec![
            required("shard", DataType::Int64),
            text("triplet_id"),
            required("fate", DataType::Int64),
        ]
    }

    fn weight(&self) -> usize {
        self.triplet_id.len() + 16
    }
}

impl Objection {
    fn reason(&self) -> Reason {
        match self.fate {
            LEAK => Reason::SplitLeak,
            BAD => Reason::ReviewedBad,
            UNSAFE => Reason::ReviewedUnsafe,
            DOMAIN => Reason::DomainCap,
            _ => Reason::ClusterCap,
        }
    }

    /// It has found no triplet, so a triplet that it was meant for has been kept.
    fn into_error(self) -> StageError {
        let detail = format!("an objection to {} met no triplet", self.triplet_id);
        StoreError::corrupt("plan of triplets", detail).into()
    }
}

const KEPT: i64 = 0;
const LEAK: i64 = 1;
const DOMAIN: i64 = 2;
const CLUSTER: i64 = 3;
const BAD: i64 = 4;
const UNSAFE: i64 = 5;

/// Returns a row for each image of the triplets, with its cluster in `key`: queries, targets and negatives.
fn images(triplets: &DataFrame, columns: &[Expr]) -> Result<DataFrame, DataFusionError> {
    let of = |name: &str| {
        let key = col(name).alias("key");
        triplets.clone().select(columns.iter().cloned().chain([key]).collect::<Vec<_>>())
    };
    let each = UnnestOptions::new().with_preserve_nulls(false);
    let negatives = of("negative_clusters")?.unnest_columns_with_options(&["key"], each)?;
    of("query_cluster")?.union(of("target_cluster")?)?.union(negatives)
}

fn is_train() -> Expr {
    col("split").eq(lit(Split::Train.as_str()))
}

/// Returns the clusters of all images that are planned for train, in `train_key`.
pub(super) fn train_clusters(rows: &DataFrame) -> Result<DataFrame, DataFusionError> {
    let images = images(&rows.clone().filter(is_train())?, &[])?;
    images.select(vec![col("key").alias("train_key")])?.distinct()
}

/// The held-out triplets of which train has an image.
fn leaks(rows: &DataFrame, sharding: &Sharding) -> Result<DataFrame, DataFusionError> {
    let columns = [col("triplet_id"), col("shuffle"), sharding.part().alias("shard")];
    images(&rows.clone().filter(not(is_train()))?, &columns)?
        .join(train_clusters(rows)?, JoinType::Inner, &["key"], &["train_key"], None)?
        .select_columns(&KEY)?
        .distinct()
}

/// The order of triplets.
const KEY: [&str; 3] = ["shard", "shuffle", "triplet_id"];

/// The triplets that are not exported. Without caps these are the leaks, and
/// no plan has to hold every triplet.
fn objections(
    rows: &DataFrame,
    export: &Export,
    sharding: &Sharding,
    reviews: &Reviews,
) -> Result<Plan<'static>, StoreError> {
    let leaks = leaks(rows, sharding)?;
    let (per_domain, per_cluster) = (export.max_per_domain, export.max_per_cluster);
    let mut columns = KEY.map(col).to_vec();
    let found = if per_domain == 0 && per_cluster == 0 && reviews.left_out().is_empty() {
        columns.push(lit(LEAK).alias("fate"));
        leaks
    } else {
        columns.push(col("fate"));
        let judged = judged(rows, leaks, sharding, reviews)?;
        let judged = capped(judged, "domain", per_domain, DOMAIN)?;
        capped(judged, "target_cluster", per_cluster, CLUSTER)?
            .filter(col("fate").not_eq(lit(KEPT)))?
    };
    Ok(Plan { rows: found.select(columns)?, key: &KEY, count: RowCount::Itself })
}

/// What reviewers object to, which goes before everything else that may be said against a triplet.
fn reviewed(reviews: &Reviews, otherwise: Expr) -> Result<Expr, DataFusionError> {
    let left_out = reviews.left_out();
    let mut cases = CaseBuilder::new(None, Vec::new(), Vec::new(), None);
    let mut is_any = false;
    for (mark, fate) in [(Mark::Bad, BAD), (Mark::Unsafe, UNSAFE)] {
        let ids = left_out.iter().filter(|(_, said)| **said == mark);
        let ids: Vec<Expr> = ids.map(|(id, _)| lit(*id)).collect();
        if !ids.is_empty() {
            cases = cases.when(col("triplet_id").in_list(ids, false), lit(fate));
            is_any = true;
        }
    }
    if is_any { cases.otherwise(otherwise) } else { Ok(otherwise) }
}

/// Every triplet with what caps look at, and whether it leaks; one of train never does.
fn judged(
    rows: &DataFrame,
    leaks: DataFrame,
    sharding: &Sharding,
    reviews: &Reviews,
) -> Result<DataFrame, DataFusionError> {
    let with = |fate: Expr| {
        vec![
            col("triplet_id"),
            col("shuffle"),
            sharding.part().alias("shard"),
            col("domain"),
            col("target_cluster"),
            fate.alias("fate"),
        ]
    };
    let leaking = leaks.select(vec![col("triplet_id").alias("leaking")])?;
    let fate = when(col("leaking").is_null(), lit(KEPT)).otherwise(lit(LEAK))?;
    let train = rows.clone().filter(is_train())?.select(with(reviewed(reviews, lit(KEPT))?))?;
    let held_out = rows
        .clone()
        .filter(not(is_train()))?
        .join(leaking, JoinType::Left, &["triplet_id"], &["leaking"], None)?
        .select(with(reviewed(reviews, fate)?))?;
    train.union(held_out)
}

/// Ranks are counted within what is kept so far: what goes for another reason takes nobody's place.
fn capped(judged: DataFrame, key: &str, cap: u64, fate: i64) -> Result<DataFrame, DataFusionError> {
    if cap == 0 {
        return Ok(judged);
    }
    let place = row_number()
        .partition_by(vec![col(key), col("fate")])
        .order_by(["shuffle", "triplet_id"].map(ascending).to_vec())
        .build()?;
    let is_over = col("fate").eq(lit(KEPT)).and(col("place").gt(lit(cap)));
    let fate = when(is_over, lit(fate)).otherwise(col("fate"))?;
    let mut columns =
        ["triplet_id", "shuffle", "shard", "domain", "target_cluster"].map(col).to_vec();
    columns.push(fate.alias("fate"));
    judged.window(vec![place.alias("place")])?.select(columns)
}

fn shelves(rows: DataFrame, sharding: &Sharding) -> Result<Plan<'static>, StoreError> {
    let fields = Planned::fields();
    let planned = fields.iter().flat_map(|field| [lit(field.name().as_str()), col(field.name())]);
    let columns = vec![
        sharding.part().alias("shard"),
        col("shuffle"),
        col("triplet_id"),
        named_struct(planned.collect()).alias("planned"),
    ];
    let count = RowCount::Of(rows.clone());
    Ok(Plan { rows: rows.select(columns)?, key: &KEY, count })
}

/// How many plans share the memory.
const PLANS: usize = 2;

/// Returns the triplets as a table; `None` if there are none.
async fn rows(session: &Session, composed: &[Manifest]) -> Result<Option<DataFrame>, StoreError> {
    if composed.iter().all(|part| part.rows("rows") == 0) {
        return Ok(None);
    }
    Ok(Some(session.table::<Planned>("rows", composed, "rows").await?))
}

/// All triplets in order of shards, and what is said against each. Two plans in the same order: the one
/// over ids ranks and joins, the other only sorts, for rows with their text are too wide to be sorted
/// more than once.
pub struct Shelf {
    rows: Ordered<Shelved>,
    objections: Ordered<Objection>,
}

impl Shelf {
    /// Plans; nothing is read before the first triplet is asked for.
    pub async fn open(
        ctx: &Context,
        composed: &[Manifest],
        sharding: &Sharding,
        reviews: &Reviews,
    ) -> Result<Self, StageError> {
        let [narrow, wide] = [ctx.session(PLANS)?, ctx.session(PLANS)?];
        let (Some(ids), Some(texts)) =
            (rows(&narrow, composed).await?, rows(&wide, composed).await?)
        else {
            return Ok(Self { rows: Ordered::empty(), objections: Ordered::empty() });
        };
        let objections = objections(&ids, &ctx.config.export, sharding, reviews)?;
        let objections = narrow.plan(&objections).await?;
        let rows = wide.plan(&shelves(texts, sharding)?).await?;
        Ok(Self { rows: Ordered::new(rows), objections: Ordered::new(objections) })
    }

    /// The next triplet of a shard, and why it is not exported, if it is not.
    pub async fn next_of(
        &mut self,
        shard: u32,
    ) -> Result<Option<(Planned, Option<Reason>)>, StageError> {
        let shard = i64::from(shard);
        let Some(row) = self.rows.next_if(|row| row.shard == shard).await? else {
            return match self.objections.next_if(|found| found.shard <= shard).await? {
                None => Ok(None),
                Some(stray) => Err(stray.into_error()),
            };
        };
        let id = &row.planned.triplet_id;
        let objection = self.objections.next_if(|found| found.triplet_id == *id).await?;
        Ok(Some((row.planned, objection.map(|found| found.reason()))))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::STAGE;
    use super::*;
    use crate::record::Review;
    use crate::stages::context::open_table;
    use crate::store::{Fingerprint, PlainPart, RunDir, Table, read_rows};
    use crate::table::TRIPLET_PLAN;

    #[test]
    fn splits_have_their_own_parts() {
        let sharding = Sharding(vec![(Split::Train, 3), (Split::Val, 0), (Split::Test, 1)]);
        let parts: Vec<_> = sharding.parts().collect();
        assert_eq!(parts, [(Split::Train, 0..3), (Split::Val, 3..3), (Split::Test, 3..4)]);
        assert_eq!(sharding.total(), 4);
        let part = sharding.part().to_string();
        for of_split in [
            r#"WHEN Utf8("train") THEN Int64(0) + shuffle % Int64(3)"#,
            r#"WHEN Utf8("val") THEN Int64(3) + shuffle % Int64(1)"#,
            r#"WHEN Utf8("test") THEN Int64(3) + shuffle % Int64(1)"#,
        ] {
            assert!(part.contains(of_split), "{part}");
        }
    }

    #[test]
    fn shards_are_bounded_by_bytes() {
        let size = SplitSize { split: Split::Train, triplets: 1000, bytes: 60_000_000 };
        let export = Export { shard_bytes: 10_000_000, ..Export::default() };
        assert_eq!(size.shards(&export), 7);
        let without = Export { images: ExportImages::None, ..export };
        assert_eq!(size.shards(&without), 1);
    }

    /// More than the plan may hold at once, by far.
    const TRIPLETS_IN_TEST: u64 = 40_000;
    const MEMORY: usize = 24 << 20;

    fn mix(n: u64) -> u64 {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) >> 7
    }

    /// Sites of very different sizes, each in one split; stock pictures on many of them.
    fn planned(n: u64) -> Planned {
        let site = n.isqrt() / 3;
        let cluster = |role: u64| match mix(n ^ (role << 40)) % 20 {
            0 => (mix(n + role) % 400) as i64,
            _ => (1_000_000 + site * 90 + mix(n * 7 + role) % 90) as i64,
        };
        let negatives = (0..mix(n) % 3).map(|i| cluster(2 + i)).collect();
        Planned {
            triplet_id: format!("{:016x}{n:048x}", mix(n) << 7),
            domain: format!("site-{site}.example"),
            split: Split::ALL[[0, 0, 0, 0, 1, 2][(mix(site) % 6) as usize]],
            shuffle: (mix(n) << 6) as i64,
            query_cluster: cluster(0),
            target_cluster: cluster(1),
            negative_clusters: negatives,
            ..Planned::default()
        }
    }

    /// The same rules in plain code.
    fn expected(rows: &[Planned], export: &Export, reviews: &Reviews) -> BTreeMap<String, i64> {
        let clusters = |row: &Planned| {
            let ends = [row.query_cluster, row.target_cluster];
            ends.into_iter().chain(row.negative_clusters.clone()).collect::<Vec<_>>()
        };
        let is_train = |row: &&Planned| row.split == Split::Train;
        let train: BTreeSet<i64> = rows.iter().filter(is_train).flat_map(clusters).collect();
        let mut order: Vec<&Planned> = rows.iter().collect();
        order.sort_by_key(|row| (row.shuffle, row.triplet_id.clone()));
        let (mut of_domain, mut of_cluster) = (BTreeMap::new(), BTreeMap::new());
        let mut fate = |row: &Planned| {
            match reviews.mark(&row.triplet_id) {
                Some(Mark::Bad) => return BAD,
                Some(Mark::Unsafe) => return UNSAFE,
                Some(Mark::Good) | None => {}
            }
            if row.split != Split::Train && clusters(row).iter().any(|key| train.contains(key)) {
                return LEAK;
            }
            let n = of_domain.entry(row.domain.clone()).or_insert(0);
            *n += 1;
            if export.max_per_domain > 0 && *n > export.max_per_domain {
                return DOMAIN;
            }
            let n = of_cluster.entry(row.target_cluster).or_insert(0);
            *n += 1;
            let full = export.max_per_cluster > 0 && *n > export.max_per_cluster;
            if full { CLUSTER } else { KEPT }
        };
        order.into_iter().map(|row| (row.triplet_id.clone(), fate(row))).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_plan_spills_and_agrees_with_plain_code() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path().to_str().unwrap()).unwrap();
        let table: Table<Planned> =
            open_table(&run, TRIPLET_PLAN, STAGE, &Fingerprint::new()).await.unwrap();
        let rows: Vec<Planned> = (0..TRIPLETS_IN_TEST).map(planned).collect();
        let mut part: PlainPart<Planned> = table.part(0).unwrap();
        for row in rows.clone() {
            part.push(row).await.unwrap();
        }
        let composed = [part.commit(TRIPLETS_IN_TEST).await.unwrap()];
        let export = Export { max_per_domain: 300, max_per_cluster: 4, ..Export::default() };
        let reviews = reviews(&rows);
        let expected = expected(&rows, &export, &reviews);
        for fate in [KEPT, LEAK, DOMAIN, CLUSTER, BAD, UNSAFE] {
            let count = expected.values().filter(|found| **found == fate).count();
            assert!(count > 500, "fate {fate}: {count}");
        }
        agree(&run, &composed, &export, &rows, &reviews).await;
        // Only what a hard negative has to do with tells the rule from one that looks at pairs alone.
        let blind: Vec<Planned> = rows
            .iter()
            .map(|row| Planned { negative_clusters: Vec::new(), ..row.clone() })
            .collect();
        let leaks = |fates: &BTreeMap<String, i64>| fates.values().filter(|f| **f == LEAK).count();
        assert!(leaks(&self::expected(&blind, &export, &reviews)) < leaks(&expected));

        let uncapped = Export::default();
        for (max_per_domain, max_per_cluster) in [(0, 0), (300, 0), (0, 4)] {
            let export = Export { max_per_domain, max_per_cluster, ..uncapped.clone() };
            for reviews in [&reviews, &Reviews::default()] {
                agree(&run, &composed, &export, &rows, reviews).await;
            }
        }
    }

    /// One in ten is marked, some of them good.
    fn reviews(rows: &[Planned]) -> Reviews {
        let marked = rows.iter().enumerate().filter(|(n, _)| n % 10 == 0);
        let review = |(n, row): (usize, &Planned)| Review {
            triplet_id: row.triplet_id.clone(),
            mark: Some(Mark::ALL[n / 10 % 3]),
            time: String::new(),
            reviewer: None,
        };
        Reviews::of(marked.map(review).collect())
    }

    #[tokio::test]
    async fn an_objection_without_its_triplet_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path().to_str().unwrap()).unwrap();
        let table: Table<Objection> =
            open_table(&run, TRIPLET_PLAN, STAGE, &Fingerprint::new()).await.unwrap();
        let mut part: PlainPart<Objection> = table.part(0).unwrap();
        let stray = Objection { shard: 1, triplet_id: "nobody".into(), fate: LEAK };
        part.push(stray).await.unwrap();
        let part = part.commit(1).await.unwrap();
        let objections = read_rows(run.store(), &part.files["rows"].path, 1).await.unwrap();
        let mut shelf = Shelf { rows: Ordered::empty(), objections: Ordered::new(objections) };
        assert!(shelf.next_of(0).await.unwrap().is_none());
        let error = shelf.next_of(1).await.unwrap_err().to_string();
        assert!(error.contains("an objection to nobody met no triplet"), "{error}");
    }

    /// What the plan says against triplets, row by row and in the order of shards.
    async fn agree(
        run: &RunDir,
        composed: &[Manifest],
        export: &Export,
        rows: &[Planned],
        reviews: &Reviews,
    ) {
        let sharding = Sharding(vec![(Split::Train, 3), (Split::Val, 1), (Split::Test, 2)]);
        let session = Session::new(run.store(), MEMORY).unwrap();
        let triplets = super::rows(&session, composed).await.unwrap().unwrap();
        let plan = objections(&triplets, export, &sharding, reviews).unwrap();
        let found = session.plan::<Objection>(&plan).await.unwrap().collect().await.unwrap();
        assert_eq!(plan.count_rows().await.unwrap(), found.len() as u64);
        let plan = super::shelves(triplets, &sharding).unwrap();
        let shelves = session.plan::<Shelved>(&plan).await.unwrap().collect().await.unwrap();
        assert_eq!(plan.count_rows().await.unwrap(), shelves.len() as u64);

        let fates = expected(rows, export, reviews);
        let wanted = shelves.iter().map(|row| (row.shard, row.planned.triplet_id.clone()));
        let wanted: Vec<_> = wanted
            .map(|(shard, id)| (shard, fates[&id], id))
            .filter(|(_, fate, _)| *fate != KEPT)
            .collect();
        let found: Vec<_> =
            found.into_iter().map(|row| (row.shard, row.fate, row.triplet_id)).collect();
        assert_eq!(found.len(), wanted.len());
        assert_eq!(found.iter().zip(&wanted).find(|(a, b)| a != b), None);
    }
}
