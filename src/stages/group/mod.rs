//! Stage 3, `group`: from images and the pages that show them to groups.
//!
//! [`cluster`] turns down images that are no use by themselves and gives near-duplicates one cluster
//! ([`leaders`] decides, among candidates by [`near`](crate::similarity::near), which [`spread`] finds by way of executors;
//! [`catalog`] holds the features); [`place`] joins
//! images to the pages that show them and turns down boilerplate and repeats (a global plan over ids);
//! [`overlap`] finds pages that show nearly the same images; [`gather`] adds what pages say.

mod catalog;
mod cluster;
mod gather;
pub mod leaders;
mod overlap;
mod place;
mod spread;

pub use spread::functions;

use crate::stages::context::{Context, StageError};
use crate::store::Manifest;

/// The stage's name on the command line.
pub const STAGE: &str = "group";

/// Makes `image_clusters` alone: which images are near-duplicates.
pub async fn clusters(ctx: &Context, images: &[Manifest]) -> Result<Vec<Manifest>, StageError> {
    cluster::run(ctx, images).await
}

/// Makes `image_clusters`, `occurrences` and `groups`; gives the manifests of the last.
pub async fn run(
    ctx: &Context,
    pages: &[Manifest],
    uses: &[Manifest],
    images: &[Manifest],
) -> Result<Vec<Manifest>, StageError> {
    let clusters = cluster::run(ctx, images).await?;
    let occurrences = place::run(ctx, pages, uses, &clusters).await?;
    gather::run(ctx, pages, &occurrences).await
}
