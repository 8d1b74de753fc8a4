//! Stage 6, `instruct`: what leads from the query image to the target image, in words.
//!
//! [`template`], the embedded provider, is the paper's ablation baseline: it compares the two
//! descriptions word by word and fills what is new into a phrase. [`ask`] has a model write, [`batch`]
//! the same by files that are answered elsewhere; what they write passes through [`gate`].

mod ask;
mod batch;
pub mod compare;
mod gate;
mod input;
mod template;

use sha2::{Digest, Sha256};

use crate::config::{Config, InstructProvider};
use crate::endpoint::{Forecast, Wire};
use crate::record::{Instruction, Pair, Reason, Reject};
use crate::stages::context::{Context, StageError, open_table};
use crate::store::{Fingerprint, Manifest, PlainPart, RunDir, Store, Table};
use crate::table::INSTRUCTIONS;
use ask::Instructor;
use input::{Group, Groups};

/// The stage's name on the command line.
pub const STAGE: &str = "instruct";

/// The name of the embedded provider.
const TEMPLATE: &str = "template";

/// The committed tables that the stage reads, in one order of parts.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// `groups`.
    pub groups: Vec<Manifest>,
    /// `descriptions`.
    pub descriptions: Vec<Manifest>,
    /// `pairs`.
    pub pairs: Vec<Manifest>,
}

/// The three tables' files of one part.
#[derive(Clone, Copy)]
struct PartInput<'a> {
    pairs: &'a Manifest,
    descriptions: &'a Manifest,
    groups: &'a Manifest,
}

impl Inputs {
    fn parts(&self) -> impl Iterator<Item = PartInput<'_>> {
        let others = self.descriptions.iter().zip(&self.groups);
        let parts = self.pairs.iter().zip(others);
        parts.map(|(pairs, (descriptions, groups))| PartInput { pairs, descriptions, groups })
    }
}

impl PartInput<'_> {
    async fn open(&self, store: &Store) -> Result<Option<Groups>, StageError> {
        let Self { pairs, descriptions, groups } = self;
        Ok(Groups::open(store, pairs, descriptions, groups).await?)
    }
}

/// Maps every part of `pairs`.
pub async fn run(ctx: &Context, inputs: &Inputs) -> Result<Vec<Manifest>, StageError> {
    let mut instructor = match wire(&ctx.config) {
        None => None,
        Some(wire) => Some(Instructor::new(ctx, wire)?),
    };
    let tables = [&inputs.pairs[..], &inputs.descriptions, &inputs.groups].concat();
    let fingerprint = fingerprint(ctx, instructor.as_ref()).with_inputs(&tables);
    let table = open_table(&ctx.run, INSTRUCTIONS, STAGE, &fingerprint).await?;
    ctx.progress.add_total(inputs.pairs.iter().map(|part| part.rows("rows")).sum());
    // What is finished needs no key.
    if let Some(instructor) = &mut instructor
        && table.manifests().await?.len() < inputs.pairs.len()
    {
        instructor.connect()?;
        instructor.asking().index()?;
        if instructor.is_batch() {
            batch::exchange(ctx, instructor, &table, inputs).await?;
        }
    }
    let (parts, instructor): (Vec<_>, _) = (inputs.parts().collect(), instructor.as_ref());
    let numbers: Vec<u32> = parts.iter().map(|part| part.pairs.part).collect();
    ctx.map_parts(&table, &numbers, async |at| part(ctx, &table, parts[at], instructor).await).await
}

/// Checks prompt, schema, address and key before hours of work that need them.
pub fn check(ctx: &Context) -> Result<(), StageError> {
    if ctx.config.instruct.provider == InstructProvider::Batch {
        ctx.folder("instruct.provider = \"batch\"")?;
    }
    wire(&ctx.config).map_or(Ok(()), |wire| Instructor::new(ctx, wire)?.connect())
}

/// What the stage would ask of a model; none where it asks none.
pub async fn forecast(
    config: &Config,
    run: &RunDir,
    inputs: &Inputs,
) -> Result<Option<Forecast>, StageError> {
    match wire(config) {
        None => Ok(None),
        Some(wire) => Ok(Some(ask::forecast(config, run, wire, inputs).await?)),
    }
}

fn wire(config: &Config) -> Option<Wire> {
    match config.instruct.provider {
        InstructProvider::Template => None,
        InstructProvider::Openai | InstructProvider::Batch => Some(Wire::OpenAi),
        InstructProvider::Gemini => Some(Wire::Gemini),
    }
}

fn fingerprint(ctx: &Context, instructor: Option<&Instructor>) -> Fingerprint {
    let fingerprint = Fingerprint::new();
    match instructor {
        None => fingerprint.with("instruct.provider", TEMPLATE),
        Some(instructor) => fingerprint
            .with("instruct.endpoint.model", instructor.generator())
            .with(
                "instruct.prompt, demonstrations, schema and parameters",
                instructor.prompt_hash(),
            )
            .with("instruct.max_instructions", ctx.config.instruct.max_instructions)
            .with("instruct.language", ctx.config.instruct.language.as_str()),
    }
}

async fn part(
    ctx: &Context,
    table: &Table<Instruction>,
    input: PartInput<'_>,
    instructor: Option<&Instructor>,
) -> Result<Manifest, StageError> {
    let pairs = input.pairs;
    if let Some(manifest) = table.manifest(pairs.part).await? {
        ctx.progress.add_done(pairs.rows("rows"));
        return Ok(manifest);
    }
    ctx.go_on()?;
    let mut writer: PlainPart<Instruction> = table.part(pairs.part)?;
    let answers = match instructor {
        Some(instructor) => Some(instructor.ask(ctx, input).await?),
        None => None,
    };
    let Some(mut groups) = input.open(ctx.run.store()).await? else {
        return Ok(writer.commit(0).await?);
    };
    let mut records = 0;
    while let Some(group) = groups.next().await? {
        let outcomes = match &answers {
            Some(answers) => answers.of(&group)?,
            None => by_template(&group)?,
        };
        records += outcomes.len() as u64;
        for outcome in outcomes {
            if answers.is_none() {
                ctx.progress.done(None);
            }
            match outcome {
                Ok(instruction) => writer.push(instruction).await?,
                Err(reject) => {
                    ctx.progress.reject(reject.reason);
                    writer.reject(reject).await?;
                }
            }
        }
    }
    Ok(writer.commit(records).await?)
}

/// What became of a pair: one instruction, several, or a reason why there is none.
type Outcomes = Vec<Result<Instruction, Reject>>;

fn by_template(group: &Group) -> Result<Outcomes, StageError> {
    let mut outcomes = Outcomes::new();
    for pair in &group.pairs {
        let change = templated(group, pair)?;
        outcomes.push(change.map(|change| Instruction {
            pair_id: pair.pair_id.clone(),
            group_id: pair.group_id.clone(),
            instruction_index: 0,
            relation: change.relation,
            instruction: change.instruction,
            generator: TEMPLATE.into(),
            prompt_hash: String::new(),
            baseline: None,
        }));
    }
    Ok(outcomes)
}

/// What the template makes of a pair.
fn templated(group: &Group, pair: &Pair) -> Result<Result<template::Change, Reject>, StageError> {
    let query = &group.known(pair.query_position)?.description.caption;
    let target = &group.known(pair.target_position)?.description.caption;
    let digest = Sha256::digest(&pair.pair_id);
    let seed = u64::from_be_bytes(digest[..8].try_into().expect("eight bytes of 32"));
    Ok(template::instruct(query, target, seed).ok_or_else(|| {
        let detail = format!("pair {}: {query:?} and {target:?}", pair.pair_id);
        Reject::new(pair.target_image_id.as_str(), Reason::NothingNew, detail)
    }))
}
