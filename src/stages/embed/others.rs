//! Vectors of images that are not the run's own, by what made the run's: for `export` to compare with.

use super::{Embedder, Outcome};
use crate::record::ImageId;
use crate::stages::context::{Context, StageError};
use crate::stages::vectors;
use crate::store::Fingerprint;
use crate::table::EMBEDDINGS;

/// What a run's vectors were made by, ready for further images.
pub struct Others {
    embedder: Embedder,
    made_by: String,
}

impl Others {
    /// Loads weights or connects; fails where these are not what the run's vectors were made by.
    pub async fn open(ctx: &Context) -> Result<Option<Self>, StageError> {
        vectors::check(&ctx.config, ctx.run.store()).await?;
        let Some(mut embedder) = Embedder::open(ctx).await? else { return Ok(None) };
        let made_by = vectors::made_by(&ctx.config, embedder.weights());
        if let Some(committed) = Fingerprint::of_table(ctx.run.store(), EMBEDDINGS).await? {
            vectors::same(&made_by, &committed)?;
        }
        match &mut embedder {
            Embedder::Clip(clip) => clip.load().await?,
            Embedder::Endpoint(asker) => asker.connect()?,
        }
        Ok(Some(Self { embedder, made_by: made_by.name() }))
    }

    /// A short name for what makes the vectors.
    pub fn made_by(&self) -> &str {
        &self.made_by
    }

    /// The vector of each image, or why there is none. What an endpoint answers is kept in `replies`.
    pub async fn vectors(
        &self,
        ctx: &Context,
        images: Vec<(ImageId, Vec<u8>)>,
    ) -> Result<Vec<Outcome>, StageError> {
        match &self.embedder {
            Embedder::Clip(clip) => clip.images(ctx, images).await,
            Embedder::Endpoint(asker) => asker.images(images).await,
        }
    }
}
