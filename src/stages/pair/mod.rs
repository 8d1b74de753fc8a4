//! Stage 5, `pair`: which two images of a group belong together.
//!
//! Groups, descriptions and embeddings lie in the same order, so they are read once, side by side
//! ([`group`]). [`likeness`] says how alike two images are, by vectors where there are any, else by hashes,
//! colours and words, which a first pass over the descriptions counts; [`select`] decides. [`tune`] shows
//! what there is to decide over.

mod group;
mod likeness;
mod select;
pub mod tune;

use crate::config::{Config, Similarity as By};
use crate::record::{GroupImage, Pair, Reject, content_id};
use crate::stages::context::{Context, StageError, open_table};
use crate::stages::vectors;
use crate::store::{Fingerprint, Manifest, PlainPart, Store, Table};
use crate::table::PAIRS;
use group::{Groups, Member};
use likeness::Likeness;
use select::{Candidate, Similarity, select};

/// The stage's name on the command line.
pub const STAGE: &str = "pair";

/// The committed tables that pairs are made from, in one order of parts.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// `groups`.
    pub groups: Vec<Manifest>,
    /// `descriptions`.
    pub descriptions: Vec<Manifest>,
    /// `embeddings`; not looked at where `pair.similarity` is lexical.
    pub embeddings: Vec<Manifest>,
}

/// Maps every part of `groups` and the tables made from it.
pub async fn run(ctx: &Context, inputs: &Inputs) -> Result<Vec<Manifest>, StageError> {
    let inputs = &inputs.of(&ctx.config, ctx.run.store()).await?;
    let fingerprint = fingerprint(&ctx.config, inputs);
    let table: Table<Pair> = open_table(&ctx.run, PAIRS, STAGE, &fingerprint).await?;
    let committed = table.manifests().await?;
    if committed.len() == inputs.groups.len() {
        return Ok(committed);
    }
    ctx.go_on()?;
    let likeness = Likeness::new(&ctx.config, ctx.run.store(), inputs).await?;
    ctx.progress.add_total(inputs.groups.iter().map(|part| part.rows("rows")).sum());
    let numbers: Vec<u32> = inputs.groups.iter().map(|part| part.part).collect();
    ctx.map_parts(&table, &numbers, async |at| part(ctx, &table, inputs, at, &likeness).await).await
}

/// Bounds as they are in force: one that is not set and one set to the same are the same.
fn fingerprint(config: &Config, inputs: &Inputs) -> Fingerprint {
    let bounds = config.pair.bounds(config.embed.images).named();
    let names = ["min_visual", "max_visual", "min_text", "max_text", "similarity"];
    let fingerprint = Fingerprint::new()
        .with("similarity", config.pair.similarity.as_str())
        .with_section("pair", &config.pair, &names)
        .with_inputs(&[&*inputs.groups, &inputs.descriptions, &inputs.embeddings].concat());
    bounds.into_iter().fold(fingerprint, |all, (key, bound)| all.with(key, bound))
}

impl Inputs {
    /// Those that the configured similarity reads: all parts there, and made by what is configured.
    async fn of(&self, config: &Config, store: &Store) -> Result<Self, StageError> {
        if config.pair.similarity == By::Lexical {
            return Ok(Self { embeddings: Vec::new(), ..self.clone() });
        }
        vectors::check(config, store).await?;
        match self.embeddings.len() == self.groups.len() {
            true => Ok(self.clone()),
            false => {
                let missing = String::new();
                Err(StageError::NoInput { stage: STAGE, before: "embed", missing })
            }
        }
    }
}

async fn part(
    ctx: &Context,
    table: &Table<Pair>,
    inputs: &Inputs,
    at: usize,
    likeness: &Likeness,
) -> Result<Manifest, StageError> {
    let number = inputs.groups[at].part;
    if let Some(manifest) = table.manifest(number).await? {
        ctx.progress.add_done(inputs.groups[at].rows("rows"));
        return Ok(manifest);
    }
    ctx.go_on()?;
    let mut writer: PlainPart<Pair> = table.part(number)?;
    let Some(mut groups) = Groups::open(table.store(), inputs, at).await? else {
        return Ok(writer.commit(0).await?);
    };
    let mut input = 0;
    while let Some(group) = groups.next().await? {
        let members = likeness.members(&group);
        let judged = judge(&ctx.config, &members, likeness);
        input += judged.len() as u64;
        for outcome in judged.into_iter().map(|candidate| outcome(&members, candidate)) {
            match outcome {
                Ok(pair) => writer.push(pair).await?,
                Err(reject) => writer.reject(reject).await?,
            }
        }
        ctx.progress.add_done(group.images.len() as u64);
    }
    Ok(writer.commit(input).await?)
}

/// Every candidate of a group.
fn judge(config: &Config, members: &[Member<'_>], likeness: &Likeness) -> Vec<Candidate> {
    let similarity = |a: usize, b: usize| likeness.of(&members[a], &members[b]);
    let bounds = config.pair.bounds(config.embed.images);
    select(members.len(), similarity, &config.pair, &bounds)
}

/// A candidate as a pair or a reject.
fn outcome(members: &[Member<'_>], candidate: Candidate) -> Result<Pair, Reject> {
    let Candidate { query, target, similarity, objection } = candidate;
    let (query, target) = (members[query].image, members[target].image);
    match objection {
        None => Ok(pair(query, target, similarity)),
        Some(reason) => {
            let Similarity { visual, text } = similarity;
            let detail = format!("{} visual {visual:.3} text {text:.3}", target.image_url);
            let reject = Reject::new(query.image_url.as_str(), reason, detail);
            Err(Reject { page_url: query.page_url.clone(), ..reject })
        }
    }
}

fn pair(query: &GroupImage, target: &GroupImage, similarity: Similarity) -> Pair {
    let (query_id, target_id) = (&query.look.image_id, &target.look.image_id);
    Pair {
        pair_id: content_id(&[&query.group_id, query_id.as_str(), target_id.as_str()]),
        group_id: query.group_id.clone(),
        query_position: query.position,
        target_position: target.position,
        query_image_id: query_id.clone(),
        target_image_id: target_id.clone(),
        visual_similarity: similarity.visual,
        text_similarity: similarity.text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Bound;

    fn of(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        let none = Inputs { groups: vec![], descriptions: vec![], embeddings: vec![] };
        fingerprint(&config, &none).hash()
    }

    #[test]
    fn a_lexical_run_has_the_fingerprint_it_always_had() {
        let before = Fingerprint::new()
            .with("similarity", "lexical")
            .with("pair.min_visual", 0.4)
            .with("pair.max_visual", 0.98)
            .with("pair.min_text", 0.1)
            .with("pair.max_text", 0.98)
            .with("pair.max_pairs", 3)
            .with("pair.direction", "forward")
            .with("pair.window", 8)
            .with_inputs(&[]);
        assert_eq!(of(|_| {}), before.hash());
        assert_eq!(of(|config| config.pair.min_visual = Bound::At(0.4)), before.hash());
        assert_eq!(of(|config| config.embed.weights = "clip".into()), before.hash());
        assert_ne!(of(|config| config.pair.min_visual = Bound::At(0.5)), before.hash());
        assert_ne!(of(|config| config.pair.similarity = By::Clip), before.hash());
    }

    /// The bounds that "auto" means are hashed, so they never change: a new default needs a new word.
    #[test]
    fn bounds_of_vectors_are_those_of_25d6a2e() {
        let before = Fingerprint::new()
            .with("similarity", "clip")
            .with("pair.min_visual", 0.8)
            .with("pair.max_visual", 0.96)
            .with("pair.min_text", 0.8)
            .with("pair.max_text", 0.96)
            .with("pair.max_pairs", 3)
            .with("pair.direction", "forward")
            .with("pair.window", 8)
            .with_inputs(&[]);
        assert_eq!(of(|config| config.pair.similarity = By::Clip), before.hash());
    }
}
