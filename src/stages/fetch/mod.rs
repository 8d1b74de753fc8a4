//! Stage 2, `fetch`: from the image references of `pages` to the table `images`.
//!
//! [`filter`] turns down what a rule on the URL or the size hints can turn down (a map over the
//! parts of `pages`), [`plan`] turns down boilerplate and what can form no pair and leaves each URL
//! once, by host (a global plan over narrow columns), and [`download`] requests, decodes and stores
//! the rest (a map over the parts of `fetch_list`), unless it lies in an archive ([`archived`]); an image that redirects to
//! a host of another slice is asked for there ([`errands`], [`others`]). No request is made for what the first two
//! reject.

mod archived;
mod download;
mod errands;
mod filter;
mod others;
mod plan;
mod rules;

use crate::stages::context::{Context, StageError};
use crate::store::Manifest;

pub use download::Outcome;

/// The stage's name on the command line.
pub const STAGE: &str = "fetch";

/// Makes `image_uses`, `fetch_list` and `images`; gives the manifests of the last. `archives` are the
/// parts of `archived_images`.
pub async fn run(
    ctx: &Context,
    pages: &[Manifest],
    archives: &[Manifest],
) -> Result<Vec<Manifest>, StageError> {
    let uses = filter::run(ctx, pages).await?;
    let targets = plan::run(ctx, pages, &uses, archives).await?;
    download::run(ctx, &targets).await
}
