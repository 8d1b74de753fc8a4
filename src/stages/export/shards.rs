//! `triplets`: shards of rows with their images.

use super::compose::Planned;
use super::plan::{Sharding, Shelf};
use super::{Inputs, STAGE, Shards};
use crate::config::ExportImages;
use crate::record::{ImageBytes, Reject};
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{Fingerprint, Gathered, Gatherer, Manifest, PlainPart, Table};
use crate::table::{TRIPLETS, Triplet};

/// Writes every shard; gives the committed ones of each split.
pub async fn run(
    ctx: &Context,
    inputs: &Inputs,
    composed: &[Manifest],
) -> Result<Shards, StageError> {
    let except = ["gather_bytes", "val_share", "test_share"];
    let fingerprint = Fingerprint::new()
        .with_section("export", &ctx.config.export, &except)
        .with_inputs(composed);
    let table: Table<Triplet> = open_table(&ctx.run, TRIPLETS, STAGE, &fingerprint).await?;
    let sharding = Sharding::of(ctx, composed).await?;
    let committed = table.manifests().await?;
    let manifests = if committed.len() == sharding.total() as usize {
        committed
    } else {
        ctx.progress.add_total(composed.iter().map(|part| part.rows("rows")).sum());
        let gatherer = Gatherer::new(ctx.run.store(), &inputs.images);
        let shelf = Shelf::open(ctx, composed, &sharding).await?;
        ShardWriter { ctx, table, gatherer, shelf }.write(sharding.total()).await?
    };
    let of =
        |parts: std::ops::Range<u32>| manifests[parts.start as usize..parts.end as usize].to_vec();
    Ok(sharding.parts().map(|(split, parts)| (split, of(parts))).collect())
}

struct ShardWriter<'a> {
    ctx: &'a Context,
    table: Table<Triplet>,
    gatherer: Gatherer,
    shelf: Shelf,
}

impl ShardWriter<'_> {
    async fn write(&mut self, shards: u32) -> Result<Vec<Manifest>, StageError> {
        let mut manifests = Vec::new();
        for shard in 0..shards {
            self.ctx.go_on()?;
            let manifest = match self.table.manifest(shard).await? {
                Some(manifest) => {
                    while self.shelf.next_of(shard).await?.is_some() {}
                    manifest
                }
                None => self.shard(shard).await?,
            };
            manifests.push(manifest);
        }
        Ok(manifests)
    }

    async fn shard(&mut self, shard: u32) -> Result<Manifest, StageError> {
        let mut writer: PlainPart<Triplet> = self.table.part(shard)?;
        let (mut input, mut bytes, mut batch) = (0, 0, Vec::new());
        while let Some((planned, objection)) = self.shelf.next_of(shard).await? {
            input += 1;
            self.ctx.progress.done(objection);
            if let Some(reason) = objection {
                let detail = format!("triplet {}", planned.triplet_id);
                let text = planned.text;
                let reject = Reject::new(text.target.url, reason, detail);
                writer.reject(Reject { page_url: text.page_url, ..reject }).await?;
                continue;
            }
            bytes += planned.bytes;
            batch.push(planned);
            if bytes >= self.ctx.config.export.gather_bytes as u64 {
                self.put(&mut writer, std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
        }
        self.put(&mut writer, batch).await?;
        Ok(writer.commit(input).await?)
    }

    async fn put(
        &mut self,
        writer: &mut PlainPart<Triplet>,
        batch: Vec<Planned>,
    ) -> Result<(), StageError> {
        let images = match self.ctx.config.export.images {
            ExportImages::Bytes => Some(self.gatherer.gather(locators(&batch)).await?),
            ExportImages::None => None,
        };
        for planned in batch {
            writer.push(triplet(planned, images.as_ref())).await?;
        }
        Ok(())
    }
}

fn locators(batch: &[Planned]) -> impl Iterator<Item = (u32, u32)> {
    let of = |row: &Planned| -> Vec<_> {
        let images = [&row.query, &row.target].into_iter().chain(&row.negatives);
        images.map(|locator| (locator.part, locator.row)).collect()
    };
    batch.iter().flat_map(of)
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
    let bytes = images?.get(&(locator.part, locator.row))?.clone();
    Some(ImageBytes::named(&locator.image_id, bytes))
}
