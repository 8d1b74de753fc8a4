//! Stage 7, `export`: triplet shards, the test pool, and the card that describes them.
//!
//! [`compose`] puts together everything about a triplet but its images (a map over the parts of
//! `groups`) and leaves out what shows an image of a benchmark ([`decontaminate`]); [`plan`] decides over splits and caps and puts triplets into shards (a global plan
//! without bytes); [`shards`] writes them, with the images that a [`Gatherer`](crate::store::Gatherer) reads by
//! their place in `images`; [`pool`] writes the images to retrieve from; [`card`] and [`sheet`] are for people.

mod card;
mod compose;
pub mod decontaminate;
mod handover;
mod plan;
mod pool;
mod shards;
mod sheet;

use crate::record::Split;
use crate::stages::context::{Context, StageError};
use crate::store::Manifest;
use decontaminate::Benchmark;

/// The stage's name on the command line.
pub const STAGE: &str = "export";

/// The committed tables that an export reads, in one order of parts.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// `images`.
    pub images: Vec<Manifest>,
    /// `groups`.
    pub groups: Vec<Manifest>,
    /// `descriptions`.
    pub descriptions: Vec<Manifest>,
    /// `pairs`.
    pub pairs: Vec<Manifest>,
    /// `instructions`.
    pub instructions: Vec<Manifest>,
    /// `embeddings`, where the run has any.
    pub embeddings: Vec<Manifest>,
    /// What no triplet may show.
    pub benchmarks: Vec<Benchmark>,
}

/// Makes `triplet_plan`, `triplets` and `test_pool`, the dataset card and the contact sheet.
pub async fn run(ctx: &Context, inputs: &Inputs) -> Result<Vec<Manifest>, StageError> {
    let composed = compose::run(ctx, inputs).await?;
    let triplets = shards::run(ctx, inputs, &composed).await?;
    if !ctx.slice.is_first() {
        // What is one file is written by one process.
        return Ok(triplets.into_iter().flat_map(|(_, manifests)| manifests).collect());
    }
    let pool = pool::run(ctx, inputs, &triplets).await?;
    card::write(ctx, inputs, &composed, &triplets, &pool).await?;
    sheet::write(ctx, &triplets).await?;
    handover::tell(ctx, &triplets);
    Ok(triplets.into_iter().flat_map(|(_, manifests)| manifests).collect())
}

/// The committed shards of each split.
type Shards = Vec<(Split, Vec<Manifest>)>;
