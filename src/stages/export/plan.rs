//! Which triplets are exported, and into which shard: a global plan over ids and text.
//!
//! A val or test triplet with a cluster that train has too would measure memory, and goes. Caps keep
//! the triplets whose ids come first, which is as good as at random and the same in every run.

use arrow::datatypes::{DataType, FieldRef};
use serde::{Deserialize, Serialize};

use super::compose::Planned;
use crate::config::{Export, ExportImages};
use crate::record::{Reason, Split};
use crate::stages::context::{Context, StageError};
use crate::store::{Manifest, Ordered, Row, Sql, StoreError};
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
        if let Some(session) = session(ctx, composed).await? {
            let sql = "SELECT split, count(*) AS triplets, CAST(sum(bytes) AS BIGINT) AS bytes \
                       FROM rows GROUP BY split";
            found = session.query::<SplitSize>(sql).await?.collect().await?;
        }
        let export = &ctx.config.export;
        let shards = Split::ALL.map(|split| {
            let size = found.iter().find(|size| size.split == split);
            (split, size.map_or(0, |size| size.shards(export)))
        });
        Ok(Self(shards.to_vec()))
    }

    /// The splits with their numbers of parts: the first split has the first parts.
    pub fn parts(&self) -> impl Iterator<Item = (Split, std::ops::Range<u32>)> {
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

    fn part_sql(&self) -> String {
        let case = |(split, parts): (Split, std::ops::Range<u32>)| {
            let (first, shards) = (parts.start, parts.len().max(1));
            format!("WHEN '{}' THEN {first} + shuffle % {shards} ", split.as_str())
        };
        format!("CASE split {}END", self.parts().map(case).collect::<String>())
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

/// What becomes of a triplet.
#[derive(Debug, Serialize, Deserialize)]
struct Fated {
    triplet_id: String,
    fate: i64,
}

impl Row for Fated {
    fn fields() -> Vec<FieldRef> {
        vec![text("triplet_id"), required("fate", DataType::Int64)]
    }

    fn weight(&self) -> usize {
        self.triplet_id.len() + 8
    }
}

const KEPT: i64 = 0;
const LEAK: i64 = 1;
const DOMAIN: i64 = 2;
const CLUSTER: i64 = 3;

fn objection(fate: i64) -> Option<Reason> {
    match fate {
        KEPT => None,
        LEAK => Some(Reason::SplitLeak),
        DOMAIN => Some(Reason::DomainCap),
        _ => Some(Reason::ClusterCap),
    }
}

fn fates_sql(export: &Export, sharding: &Sharding) -> String {
    let cap = |n: u64| if n == 0 { i64::MAX.unsigned_abs() } else { n };
    format!(
        "WITH
         train AS (
             SELECT query_cluster AS key FROM rows WHERE split = 'train'
             UNION SELECT target_cluster AS key FROM rows WHERE split = 'train'),
         held AS (
             SELECT triplet_id, query_cluster AS key FROM rows WHERE split <> 'train'
             UNION ALL
             SELECT triplet_id, target_cluster AS key FROM rows WHERE split <> 'train'),
         leaks AS (
             SELECT DISTINCT held.triplet_id AS triplet_id
             FROM held JOIN train ON held.key = train.key),
         ranked AS (
             SELECT triplet_id, shuffle, {part} AS shard,
                 row_number() OVER (PARTITION BY domain ORDER BY shuffle, triplet_id) AS of_domain,
                 row_number() OVER (
                     PARTITION BY target_cluster ORDER BY shuffle, triplet_id) AS of_cluster
             FROM rows)
         SELECT ranked.triplet_id AS triplet_id,
             CASE WHEN leaks.triplet_id IS NOT NULL THEN {LEAK}
                  WHEN of_domain > {per_domain} THEN {DOMAIN}
                  WHEN of_cluster > {per_cluster} THEN {CLUSTER}
                  ELSE {KEPT} END AS fate
         FROM ranked LEFT JOIN leaks ON ranked.triplet_id = leaks.triplet_id
         ORDER BY shard, shuffle, ranked.triplet_id",
        part = sharding.part_sql(),
        per_domain = cap(export.max_per_domain),
        per_cluster = cap(export.max_per_cluster),
    )
}

fn shelves_sql(sharding: &Sharding) -> String {
    let fields: Vec<String> =
        Planned::fields().iter().map(|f| format!("'{0}', {0}", f.name())).collect();
    format!(
        "SELECT {part} AS shard, named_struct({fields}) AS planned
         FROM rows ORDER BY shard, shuffle, triplet_id",
        part = sharding.part_sql(),
        fields = fields.join(", "),
    )
}

/// How many plans share the memory.
const PLANS: usize = 2;

async fn session(ctx: &Context, composed: &[Manifest]) -> Result<Option<Sql>, StageError> {
    if composed.iter().all(|part| part.rows("rows") == 0) {
        return Ok(None);
    }
    let session = Sql::new(ctx.run.store(), ctx.config.store.plan_memory_bytes / PLANS)?;
    session.register("rows", composed, "rows").await?;
    Ok(Some(session))
}

/// All triplets in order of shards, and what becomes of each. Two plans in the same order: the one
/// over ids ranks and joins, the other only sorts, for rows with their text are too wide to be sorted
/// more than once.
pub struct Shelf {
    rows: Ordered<Shelved>,
    fates: Ordered<Fated>,
}

impl Shelf {
    /// Plans; nothing is read before the first triplet is asked for.
    pub async fn open(
        ctx: &Context,
        composed: &[Manifest],
        sharding: &Sharding,
    ) -> Result<Self, StageError> {
        let narrow = session(ctx, composed).await?;
        let wide = session(ctx, composed).await?;
        let (Some(narrow), Some(wide)) = (narrow, wide) else {
            return Ok(Self { rows: Ordered::empty(), fates: Ordered::empty() });
        };
        let fates = narrow.query(&fates_sql(&ctx.config.export, sharding)).await?;
        let rows = wide.query(&shelves_sql(sharding)).await?;
        Ok(Self { rows: Ordered::new(rows), fates: Ordered::new(fates) })
    }

    /// The next triplet of a shard, and why it is not exported, if it is not.
    pub async fn next_of(
        &mut self,
        shard: u32,
    ) -> Result<Option<(Planned, Option<Reason>)>, StageError> {
        let Some(row) = self.rows.next_if(|row| row.shard == i64::from(shard)).await? else {
            return Ok(None);
        };
        let id = &row.planned.triplet_id;
        let fated = self.fates.next_if(|fated| fated.triplet_id == *id).await?;
        let fated = fated.ok_or_else(|| {
            StoreError::corrupt("plan of triplets", format!("no fate for triplet {id}"))
        })?;
        Ok(Some((row.planned, objection(fated.fate))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_have_their_own_parts() {
        let sharding = Sharding(vec![(Split::Train, 3), (Split::Val, 0), (Split::Test, 1)]);
        let parts: Vec<_> = sharding.parts().collect();
        assert_eq!(parts, [(Split::Train, 0..3), (Split::Val, 3..3), (Split::Test, 3..4)]);
        assert_eq!(sharding.total(), 4);
        assert_eq!(
            sharding.part_sql(),
            "CASE split WHEN 'train' THEN 0 + shuffle % 3 WHEN 'val' THEN 3 + shuffle % 1 \
             WHEN 'test' THEN 3 + shuffle % 1 END"
        );
    }

    #[test]
    fn shards_are_bounded_by_bytes() {
        let size = SplitSize { split: Split::Train, triplets: 1000, bytes: 60_000_000 };
        let export = Export { shard_bytes: 10_000_000, ..Export::default() };
        assert_eq!(size.shards(&export), 7);
        let without = Export { images: ExportImages::None, ..export };
        assert_eq!(size.shards(&without), 1);
    }
}
