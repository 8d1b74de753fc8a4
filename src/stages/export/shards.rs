//! `triplets`: shards of rows with their images.
//!
//! Two tasks: one takes triplets in order of shards and reads their images ([`Source`]), the other puts both
//! into files. Each commit, with its sync to disk, runs beside the shard that follows.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::compose::Planned;
use super::plan::{Sharding, Shelf};
use super::{Inputs, STAGE, Shards};
use crate::config::ExportImages;
use crate::record::{ImageBytes, Reason, Reject, Reviews, content_id};
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{
    Fingerprint, Gathered, Gatherer, Manifest, PlainPart, StoreError, Table, read_reviews,
};
use crate::table::{TRIPLETS, Triplet};

/// Batches in memory: one that is read and one that is written.
const BATCHES: usize = 2;

/// Writes every shard; gives the committed ones of each split.
pub async fn run(
    ctx: &Context,
    inputs: &Inputs,
    composed: &[Manifest],
) -> Result<Shards, StageError> {
    let except = ["gather_bytes", "val_share", "test_share"];
    let reviews = read_reviews(ctx.run.store()).await?;
    let fingerprint = Fingerprint::new()
        .with_section("export", &ctx.config.export, &except)
        .with_inputs(composed);
    let fingerprint = with_reviews(fingerprint, &reviews);
    let table: Table<Triplet> = open_table(&ctx.run, TRIPLETS, STAGE, &fingerprint).await?;
    let sharding = Sharding::of(ctx, composed).await?;
    let committed = table.manifests().await?;
    let manifests = if committed.len() == sharding.total() as usize {
        committed
    } else {
        ctx.progress.add_total(composed.iter().map(|part| part.rows("rows")).sum());
        let source = Source {
            ctx: ctx.clone(),
            gatherer: Gatherer::new(ctx.run.store(), &inputs.images),
            shelf: Shelf::open(ctx, composed, &sharding, &reviews).await?,
            passed_over: passed_over(ctx, &committed, sharding.total()),
        };
        write(&table, committed, source, sharding.total()).await?
    };
    let manifests = match manifests.len() == sharding.total() as usize {
        true => manifests,
        false => {
            let numbers: Vec<u32> = (0..sharding.total()).collect();
            ctx.whole(&table, &numbers, |part| ctx.slice.owner_of(part)).await?
        }
    };
    let of =
        |parts: std::ops::Range<u32>| manifests[parts.start as usize..parts.end as usize].to_vec();
    Ok(sharding.parts().map(|(split, parts)| (split, of(parts))).collect())
}

/// Only what is left out changes a shard; a run that nobody reviewed is as it was before there were reviews.
fn with_reviews(fingerprint: Fingerprint, reviews: &Reviews) -> Fingerprint {
    let left_out = reviews.left_out();
    if left_out.is_empty() {
        return fingerprint;
    }
    let text = serde_json::to_string(&left_out).expect("marks are plain data");
    let said = format!("{} left out, {}", left_out.len(), &content_id(&[&text])[..16]);
    fingerprint.with("reviews", said)
}

/// Shards that this process does not write.
fn passed_over(ctx: &Context, committed: &[Manifest], shards: u32) -> Vec<u32> {
    let is_there = |shard: &u32| committed.iter().any(|manifest| manifest.part == *shard);
    (0..shards).filter(|shard| is_there(shard) || !ctx.slice.owns(*shard)).collect()
}

/// Triplets of one shard in order, with what becomes of each, and the images of those that stay.
struct Batch {
    shard: u32,
    rows: Vec<(Planned, Option<Reason>)>,
    images: Option<Gathered>,
}

/// Reads triplets and their images ahead of who writes them.
struct Source {
    ctx: Context,
    gatherer: Gatherer,
    shelf: Shelf,
    /// Shards that are there, and those of other slices.
    passed_over: Vec<u32>,
}

type Batches = mpsc::Sender<Result<Batch, StageError>>;

impl Source {
    /// Sends all shards but those that are passed over. An error is the last thing sent.
    async fn send(mut self, shards: u32, batches: Batches) {
        for shard in 0..shards {
            if let Err(error) = self.shard(shard, &batches).await {
                // Nobody listens once writing has failed.
                let _ = batches.send(Err(error)).await;
                return;
            }
        }
    }

    async fn shard(&mut self, shard: u32, batches: &Batches) -> Result<(), StageError> {
        self.ctx.go_on()?;
        if self.passed_over.contains(&shard) {
            while self.shelf.next_of(shard).await?.is_some() {}
            return Ok(());
        }
        let enough = (self.ctx.config.export.gather_bytes / BATCHES) as u64;
        loop {
            // Room first: what is read ahead must not add to what waits already.
            let Ok(room) = batches.reserve().await else { return Err(StageError::Interrupted) };
            let (mut rows, mut bytes) = (Vec::new(), 0);
            while bytes < enough {
                let Some((planned, objection)) = self.shelf.next_of(shard).await? else { break };
                bytes += objection.map_or(planned.bytes, |_| 0).max(ROW_BYTES);
                rows.push((planned, objection));
            }
            let is_last = bytes < enough;
            let images = match self.ctx.config.export.images {
                ExportImages::Bytes => Some(self.gatherer.gather(locators(&rows)).await?),
                ExportImages::None => None,
            };
            room.send(Ok(Batch { shard, rows, images }));
            if is_last {
                return Ok(());
            }
        }
    }
}

/// What a row holds at least.
const ROW_BYTES: u64 = 4096;

async fn write(
    table: &Table<Triplet>,
    committed: Vec<Manifest>,
    source: Source,
    shards: u32,
) -> Result<Vec<Manifest>, StageError> {
    let ctx = source.ctx.clone();
    let (send, mut batches) = mpsc::channel(1);
    let reading = tokio::spawn(source.send(shards, send));
    let mut writing = Writing { table, open: None, closing: None, manifests: committed };
    while let Some(batch) = batches.recv().await {
        writing.add(&ctx, batch?).await?;
    }
    joined(reading).await;
    writing.finish().await
}

/// A shard that is being written, and one that is being committed.
struct Writing<'a> {
    table: &'a Table<Triplet>,
    open: Option<(u32, u64, PlainPart<Triplet>)>,
    closing: Option<JoinHandle<Result<Manifest, StoreError>>>,
    manifests: Vec<Manifest>,
}

impl Writing<'_> {
    async fn add(&mut self, ctx: &Context, batch: Batch) -> Result<(), StageError> {
        if self.open.as_ref().is_none_or(|(shard, ..)| *shard != batch.shard) {
            self.close().await?;
            self.open = Some((batch.shard, 0, self.table.part(batch.shard)?));
        }
        let (_, input, writer) = self.open.as_mut().expect("opened just above");
        *input += batch.rows.len() as u64;
        for (planned, objection) in batch.rows {
            ctx.progress.done(objection);
            match objection {
                Some(reason) => writer.reject(reject(planned, reason)).await?,
                None => writer.push(triplet(planned, batch.images.as_ref())).await?,
            }
        }
        Ok(())
    }

    /// Begins the commit of the open shard, once the one before it is committed.
    async fn close(&mut self) -> Result<(), StageError> {
        if let Some(closing) = self.closing.take() {
            self.manifests.push(joined(closing).await?);
        }
        if let Some((_, input, writer)) = self.open.take() {
            self.closing = Some(tokio::spawn(writer.commit(input)));
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Vec<Manifest>, StageError> {
        self.close().await?;
        self.close().await?;
        self.manifests.sort_by_key(|manifest| manifest.part);
        Ok(self.manifests)
    }
}

async fn joined<T>(task: JoinHandle<T>) -> T {
    task.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

fn locators(batch: &[(Planned, Option<Reason>)]) -> impl Iterator<Item = (u32, u32)> {
    let of = |(row, objection): &(Planned, Option<Reason>)| -> Vec<_> {
        let images = [&row.query, &row.target].into_iter().chain(&row.negatives);
        let images = images.filter(|_| objection.is_none());
        images.map(|locator| (locator.part, locator.row)).collect()
    };
    batch.iter().flat_map(of)
}

fn reject(planned: Planned, reason: Reason) -> Reject {
    let detail = format!("triplet {}", planned.triplet_id);
    let text = planned.text;
    Reject { page_url: text.page_url, ..Reject::new(text.target.url, reason, detail) }
}

fn triplet(planned: Planned, images: Option<&Gathered>) -> Triplet {
    let image = |locator| image_of(locator, images);
    let negatives: Vec<_> = planned.negatives.iter().filter_map(image).collect();
    let negatives = (!negatives.is_empty()).then_some(negatives);
    let (query, target) = (image(&planned.query), image(&planned.target));
    Triplet::new(planned.text, query, target, negatives)
}

/// The image, where images are exported at all.
pub(super) fn image_of(
    locator: &super::compose::Locator,
    images: Option<&Gathered>,
) -> Option<ImageBytes> {
    let bytes = images?.get(&(locator.part, locator.row))?;
    Some(ImageBytes::named(&locator.image_id, bytes.clone()))
}
