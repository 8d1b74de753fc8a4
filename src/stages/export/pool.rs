//! `test_pool`: the images that the test retrieves from, one of each cluster.
//!
//! Every image of a group on a test domain is in it, those of test triplets and those that only make
//! it harder, unless its cluster is in train, be it as a hard negative.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::JoinType;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::ExprFunctionExt;
use datafusion::prelude::{DataFrame, cast, col, lit, when};
use serde::{Deserialize, Serialize};

use super::compose::{Held, Locator, Planned};
use super::plan::train_clusters;
use super::shards::image_of;
use super::{Inputs, STAGE, Shards};
use crate::config::ExportImages;
use crate::record::ImageId;
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{
    Fingerprint, Gatherer, Manifest, Ordered, PlainPart, Plan, Row, RowCount, RowStream,
    StoreError, Table, ascending, stream_rows,
};
use crate::table::columns::required;
use crate::table::{PoolImage, TEST_POOL, TRIPLET_PLAN};

/// Writes the pool.
pub async fn run(
    ctx: &Context,
    inputs: &Inputs,
    triplets: &Shards,
) -> Result<Vec<Manifest>, StageError> {
    let composed = ctx.run.manifests(TRIPLET_PLAN).await?;
    let all: Vec<Manifest> = triplets.iter().flat_map(|(_, shards)| shards.clone()).collect();
    let fingerprint = Fingerprint::new()
        .with_section("export", &ctx.config.export, &["gather_bytes"])
        .with_inputs(&[composed.clone(), all].concat());
    let table: Table<PoolImage> = open_table(&ctx.run, TEST_POOL, STAGE, &fingerprint).await?;
    let bytes = held_bytes(ctx, &composed).await?;
    let parts = u32::try_from(bytes.div_ceil(ctx.config.export.shard_bytes)).unwrap_or(u32::MAX);
    let committed = table.manifests().await?;
    if committed.len() == parts as usize {
        return Ok(committed);
    }
    let mut rows = Ordered::new(query(ctx, &composed, parts).await?);
    let mut gatherer = Gatherer::new(ctx.run.store(), &inputs.images);
    let mut manifests = Vec::new();
    for part in 0..parts {
        ctx.go_on()?;
        manifests.push(write(ctx, &table, part, &mut rows, &mut gatherer).await?);
    }
    Ok(manifests)
}

async fn held_bytes(ctx: &Context, composed: &[Manifest]) -> Result<u64, StageError> {
    if composed.iter().all(|part| part.rows("outbox") == 0) {
        return Ok(0);
    }
    let held = ctx.session(1)?.table::<Held>("held", composed, "outbox").await?;
    let bytes = cast(sum(col("bytes")), DataType::Int64).alias("bytes");
    let sums = held.aggregate(Vec::new(), vec![bytes]).map_err(StoreError::from)?;
    let rows = stream_rows::<Sum>(sums).await?.collect().await?;
    Ok(rows.first().map_or(0, |sum| sum.bytes.unsigned_abs()).max(1))
}

#[derive(Serialize, Deserialize)]
struct Sum {
    bytes: i64,
}

impl Row for Sum {
    fn fields() -> Vec<FieldRef> {
        vec![required("bytes", DataType::Int64)]
    }

    fn weight(&self) -> usize {
        8
    }
}

/// An image of the pool and the part it belongs to.
#[derive(Serialize, Deserialize)]
struct Shelved {
    shelf: i64,
    bytes: u64,
    cluster_id: ImageId,
    url: String,
    page_url: String,
    domain: String,
    part: u32,
    row: u32,
    image_id: ImageId,
}

impl Row for Shelved {
    fn fields() -> Vec<FieldRef> {
        let mut fields = Held::fields();
        fields.retain(|field| field.name() != "cluster_key");
        fields.push(required("shelf", DataType::Int64));
        fields
    }

    fn weight(&self) -> usize {
        self.url.len() + self.page_url.len() + 400
    }
}

async fn query(
    ctx: &Context,
    composed: &[Manifest],
    parts: u32,
) -> Result<RowStream<Shelved>, StageError> {
    let session = ctx.session(1)?;
    let held = session.table::<Held>("held", composed, "outbox").await?;
    // All that is planned for train and not only what caps leave of it, as leaks are judged: so the
    // pool has every image of a test triplet.
    let known = match composed.iter().any(|part| part.rows("rows") > 0) {
        true => Some(session.table::<Planned>("rows", composed, "rows").await?),
        false => None,
    };
    Ok(session.plan(&plan(held, known.as_ref(), parts)?).await?)
}

/// The first image of each cluster that train does not have.
fn plan(
    held: DataFrame,
    planned: Option<&DataFrame>,
    parts: u32,
) -> Result<Plan<'static>, StoreError> {
    let first = row_number()
        .partition_by(vec![col("cluster_id")])
        .order_by(["image_id", "page_url", "url"].map(ascending).to_vec())
        .build()?;
    let ranked = held.clone().window(vec![first.alias("nth")])?;
    let unknown = |images: DataFrame| match planned {
        Some(planned) => {
            let train = train_clusters(planned)?;
            images.join(train, JoinType::LeftAnti, &["cluster_key"], &["train_key"], None)
        }
        None => Ok(images),
    };
    let remainder = col("cluster_key") % lit(i64::from(parts));
    let shelf = when(remainder.clone().lt(lit(0_i64)), -remainder.clone()).otherwise(remainder)?;
    let mut columns = vec![shelf.alias("shelf")];
    let of_held = Held::fields().into_iter().filter(|field| field.name() != "cluster_key");
    columns.extend(of_held.map(|field| col(field.name())));
    let rows = unknown(ranked)?.filter(col("nth").eq(lit(1_u64)))?.select(columns)?;
    let count = unknown(held)?.select_columns(&["cluster_id"])?.distinct()?;
    Ok(Plan { rows, key: &["shelf", "cluster_id"], count: RowCount::Of(count) })
}

async fn write(
    ctx: &Context,
    table: &Table<PoolImage>,
    part: u32,
    rows: &mut Ordered<Shelved>,
    gatherer: &mut Gatherer,
) -> Result<Manifest, StageError> {
    let mut writer: PlainPart<PoolImage> = table.part(part)?;
    let (mut input, mut bytes, mut batch) = (0, 0, Vec::new());
    loop {
        let row = rows.next_if(|row| row.shelf == i64::from(part)).await?;
        let is_last = row.is_none();
        if let Some(row) = row {
            input += 1;
            bytes += row.bytes;
            batch.push(row);
        }
        if is_last || bytes >= ctx.config.export.gather_bytes as u64 {
            put(ctx, &mut writer, std::mem::take(&mut batch), gatherer).await?;
            bytes = 0;
        }
        if is_last {
            return Ok(writer.commit(input).await?);
        }
    }
}

async fn put(
    ctx: &Context,
    writer: &mut PlainPart<PoolImage>,
    batch: Vec<Shelved>,
    gatherer: &mut Gatherer,
) -> Result<(), StageError> {
    let locate =
        |row: &Shelved| Locator { part: row.part, row: row.row, image_id: row.image_id.clone() };
    let locators: Vec<Locator> = batch.iter().map(locate).collect();
    let images = match ctx.config.export.images {
        ExportImages::Bytes => {
            Some(gatherer.gather(locators.iter().map(|at| (at.part, at.row))).await?)
        }
        ExportImages::None => None,
    };
    for (row, locator) in batch.into_iter().zip(&locators) {
        let image = PoolImage {
            image: image_of(locator, images.as_ref()),
            image_id: row.image_id,
            cluster_id: row.cluster_id,
            url: row.url,
            page_url: row.page_url,
            domain: row.domain,
        };
        writer.push(image).await?;
    }
    Ok(())
}
