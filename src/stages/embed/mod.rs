//! Stage 4b, `embed`: vectors of images and of their descriptions, for `pair` to compare by. Only where
//! `pair.similarity` asks for them.
//!
//! A row for each description, in the order of `descriptions`. [`clip`] computes vectors in this process,
//! [`ask`] has them from an endpoint; either sees an image or a text of a part once. Bounds of `pair` are
//! no part of the fingerprint: other bounds need no other vectors.

mod ask;
mod clip;
mod occurrences;
mod others;

use crate::config::{Config, Similarity};
use crate::endpoint::Forecast;
use crate::record::{Embedding, Reason, Reject};
use crate::stages::context::{Context, StageError, open_table};
use crate::stages::vectors::{self, Known};
use crate::store::{Fingerprint, Manifest, PlainPart, RunDir, Table};
use crate::table::EMBEDDINGS;
use ask::Asker;
pub use ask::STEP as OTHERS_STEP;
use clip::Clip;
use occurrences::{Occurrence, Source};
pub use others::Others;

/// The stage's name on the command line.
pub const STAGE: &str = "embed";

/// A vector, or why there is none.
pub type Outcome = Result<Vec<f32>, (Reason, String)>;

/// Committed tables that the stage reads, in one order of parts but for `images`.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// `groups`.
    pub groups: Vec<Manifest>,
    /// `descriptions`.
    pub descriptions: Vec<Manifest>,
    /// `images`.
    pub images: Vec<Manifest>,
}

/// Who makes the vectors.
enum Embedder {
    Clip(Clip),
    Endpoint(Box<Asker>),
}

/// The vectors of one part.
enum PartVectors<'a> {
    Clip(Box<clip::PartVectors<'a>>),
    Endpoint(Box<ask::PartVectors>),
}

/// Whether a configuration asks for vectors at all.
pub fn is_wanted(config: &Config) -> bool {
    config.pair.similarity != Similarity::Lexical
}

/// Maps every part of `descriptions`; nothing where no vectors are wanted.
pub async fn run(ctx: &Context, inputs: &Inputs) -> Result<Vec<Manifest>, StageError> {
    if !is_wanted(&ctx.config) {
        return Ok(Vec::new());
    }
    vectors::check_kind(&ctx.config, ctx.run.store()).await?;
    if let Some(committed) = finished(ctx, inputs).await? {
        return Ok(committed);
    }
    let Some(mut embedder) = Embedder::open(ctx).await? else { return Ok(Vec::new()) };
    let fingerprint = fingerprint(&ctx.config, inputs, embedder.weights());
    let table = open_table(&ctx.run, EMBEDDINGS, STAGE, &fingerprint).await?;
    if let Embedder::Clip(clip) = &embedder {
        Known::new(&ctx.config.embed.weights, clip.identity()).keep(ctx.run.store()).await?;
    }
    let committed = table.manifests().await?;
    if committed.len() == inputs.groups.len() {
        return Ok(committed);
    }
    ctx.go_on()?;
    embedder.begin().await?;
    ctx.progress.add_total(inputs.descriptions.iter().map(|part| part.rows("rows")).sum());
    let numbers: Vec<u32> = inputs.descriptions.iter().map(|part| part.part).collect();
    ctx.map_parts(&table, &numbers, async |at| part(ctx, &table, inputs, at, &embedder).await).await
}

/// What is committed, where nothing is left to do: that takes neither weights nor libtorch.
async fn finished(ctx: &Context, inputs: &Inputs) -> Result<Option<Vec<Manifest>>, StageError> {
    let committed = ctx.run.manifests(EMBEDDINGS).await?;
    if committed.is_empty() || committed.len() != inputs.groups.len() {
        return Ok(None);
    }
    let mut weights = String::new();
    if ctx.config.pair.similarity == Similarity::Clip {
        let known = Known::read(ctx.run.store()).await?;
        let known = known.filter(|known| known.holds(&ctx.config.embed.weights));
        let Some(known) = known else { return Ok(None) };
        weights = known.identity;
    }
    let fingerprint = fingerprint(&ctx.config, inputs, &weights);
    open_table::<Embedding>(&ctx.run, EMBEDDINGS, STAGE, &fingerprint).await?;
    Ok(Some(committed))
}

fn fingerprint(config: &Config, inputs: &Inputs, weights: &str) -> Fingerprint {
    vectors::made_by(config, weights).with_inputs(&[&*inputs.groups, &inputs.descriptions].concat())
}

/// Checks feature, weights, address and key before hours of work that need them.
pub async fn check(ctx: &Context) -> Result<(), StageError> {
    match ctx.config.pair.similarity {
        Similarity::Lexical => Ok(()),
        Similarity::Clip => Clip::check(&ctx.config.embed).await,
        Similarity::Endpoint => Asker::new(ctx)?.connect(),
    }
}

/// What the stage would ask of an endpoint; none where it asks none.
pub async fn forecast(
    config: &Config,
    run: &RunDir,
    inputs: &Inputs,
) -> Result<Option<Forecast>, StageError> {
    match config.pair.similarity {
        Similarity::Lexical | Similarity::Clip => Ok(None),
        Similarity::Endpoint => Ok(Some(ask::forecast(config, run, inputs).await?)),
    }
}

impl Embedder {
    async fn open(ctx: &Context) -> Result<Option<Self>, StageError> {
        Ok(match ctx.config.pair.similarity {
            Similarity::Lexical => None,
            Similarity::Clip => Some(Self::Clip(Clip::open(&ctx.config.embed).await?)),
            Similarity::Endpoint => Some(Self::Endpoint(Box::new(Asker::new(ctx)?))),
        })
    }

    /// The identity of CLIP's weights.
    fn weights(&self) -> &str {
        match self {
            Self::Clip(clip) => clip.identity(),
            Self::Endpoint(_) => "",
        }
    }

    /// Loads weights, or reads the key: what is finished needs neither.
    async fn begin(&mut self) -> Result<(), StageError> {
        match self {
            Self::Clip(clip) => clip.load().await,
            Self::Endpoint(asker) => asker.connect().and_then(|()| asker.index()),
        }
    }

    async fn part<'a>(
        &'a self,
        ctx: &'a Context,
        source: &Source,
    ) -> Result<PartVectors<'a>, StageError> {
        Ok(match self {
            Self::Clip(clip) => PartVectors::Clip(Box::new(clip.part(ctx, source).await?)),
            Self::Endpoint(asker) => {
                PartVectors::Endpoint(Box::new(asker.part(ctx, source).await?))
            }
        })
    }
}

impl PartVectors<'_> {
    /// The vectors of images and of texts.
    async fn of(&mut self, batch: &[Occurrence]) -> Result<Vec<(Outcome, Outcome)>, StageError> {
        match self {
            Self::Clip(vectors) => vectors.of(batch).await,
            Self::Endpoint(vectors) => vectors.of(batch),
        }
    }
}

async fn part(
    ctx: &Context,
    table: &Table<Embedding>,
    inputs: &Inputs,
    at: usize,
    embedder: &Embedder,
) -> Result<Manifest, StageError> {
    let descriptions = &inputs.descriptions[at];
    if let Some(manifest) = table.manifest(descriptions.part).await? {
        ctx.progress.add_done(descriptions.rows("rows"));
        return Ok(manifest);
    }
    ctx.go_on()?;
    let mut writer: PlainPart<Embedding> = table.part(descriptions.part)?;
    let Some(source) = Source::new(inputs, at) else { return Ok(writer.commit(0).await?) };
    let mut vectors = embedder.part(ctx, &source).await?;
    let mut rows = source.occurrences(ctx.run.store()).await?;
    while let Some(batch) = rows.next(ctx.config.embed.batch).await? {
        ctx.go_on()?;
        let found = vectors.of(&batch).await?;
        for (occurrence, (image, text)) in batch.into_iter().zip(found) {
            match row(&occurrence, image, text) {
                Ok(row) => writer.push(row).await?,
                Err((reason, detail)) => {
                    let reject = Reject::new(occurrence.image_url, reason, detail);
                    writer.reject(Reject { page_url: occurrence.page_url, ..reject }).await?;
                    ctx.progress.reject(reason);
                }
            }
        }
    }
    Ok(writer.commit(descriptions.rows("rows")).await?)
}

fn row(
    occurrence: &Occurrence,
    image: Outcome,
    text: Outcome,
) -> Result<Embedding, (Reason, String)> {
    Ok(Embedding {
        group_id: occurrence.group_id.clone(),
        position: occurrence.position,
        image_id: occurrence.image_id.clone(),
        image: image?,
        text: text?,
    })
}
