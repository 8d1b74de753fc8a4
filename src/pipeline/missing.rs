//! The parts of a table that are still to be made, and the slices that make them.

use std::collections::{BTreeMap, BTreeSet};

use super::inputs;
use super::run::RunStage;
use super::status::{STEPS, StepInfo, parts_wanted};
use crate::config::Config;
use crate::record::Slice;
use crate::stages::collect::Layout;
use crate::stages::context::{Context, StageError};
use crate::stages::slices::Patience;
use crate::store::{Locks, RunDir, StoreError};
use crate::table::{FETCH_LIST, IMAGE_CLUSTERS, OCCURRENCES, PAGES, TEST_POOL};

/// Parts that are to be made, by the slice that has to.
type Missing = BTreeMap<Slice, BTreeSet<u32>>;

/// Refuses input that is not whole: what is made of it would count as made of all. A slice waits for the
/// others.
pub(super) async fn need_input(stage: RunStage, ctx: &Context) -> Result<(), StageError> {
    for step in STEPS.iter().filter(|step| stage.reads().contains(&step.table)) {
        let mut patience = Patience::new(ctx, step.table);
        loop {
            let lacks = missing(&ctx.run, &ctx.config, step.table, ctx.slice).await?;
            let is_begun = !ctx.run.parts(step.table).await?.is_empty();
            if lacks.is_empty() && is_begun {
                break;
            }
            let slices: BTreeSet<Slice> = lacks.into_keys().collect();
            if ctx.slice.is_whole() || slices.contains(&ctx.slice) || slices.is_empty() {
                return Err(refusal(stage, ctx, step).await?);
            }
            patience.wait(&slices).await?;
        }
    }
    Ok(())
}

/// Says which slices have parts to make, where the run has slices.
async fn refusal(
    stage: RunStage,
    ctx: &Context,
    step: &StepInfo,
) -> Result<StageError, StageError> {
    let missing = match ctx.run.slices().await?.filter(|of| *of > 1) {
        Some(of) => {
            let of = Slice { index: 0, of };
            let lacks = missing(&ctx.run, &ctx.config, step.table, of).await?;
            format!(": in {} {}", step.table, told(&lacks))
        }
        None => String::new(),
    };
    Ok(StageError::NoInput { stage: stage.name(), before: step.stage.name(), missing })
}

/// Returns the missing parts of a table by slice, if it is made in slices such as `slice`.
async fn missing(
    dir: &RunDir,
    config: &Config,
    table: &str,
    slice: Slice,
) -> Result<Missing, StoreError> {
    let layout = inputs::layout(dir, config).await?;
    let there = dir.parts(table).await?;
    let wanted = parts_wanted(table, &dir.manifests(PAGES).await?, &layout, config);
    let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
    let mut missing = Missing::new();
    for part in (0..wanted).filter(|part| !there.contains(part)) {
        missing.entry(owner(table, part, &layout, slice)).or_default().insert(part);
    }
    Ok(missing)
}

/// Returns the slice that makes a part.
fn owner(table: &str, part: u32, layout: &Layout, slice: Slice) -> Slice {
    match table {
        FETCH_LIST | IMAGE_CLUSTERS | OCCURRENCES | TEST_POOL => slice.owner_of(0),
        // A host stays with its slice, round after round.
        PAGES if part >= layout.first_crawled() => {
            slice.owner_of((part - layout.first_crawled()) % layout.crawl.max(1))
        }
        _ => slice.owner_of(part),
    }
}

/// In words, by slice.
fn told(missing: &Missing) -> String {
    let parts = |parts: &BTreeSet<u32>| {
        let numbers: Vec<String> = parts.iter().take(8).map(u32::to_string).collect();
        let more =
            if parts.len() > 8 { format!(" and {} more", parts.len() - 8) } else { String::new() };
        numbers.join(", ") + &more
    };
    let slices: Vec<String> = missing
        .iter()
        .map(|(slice, numbers)| format!("slice {slice} has to make part {}", parts(numbers)))
        .collect();
    slices.join("; ")
}

/// Describes the missing parts of every table that was begun, and the slices at work; `None` for a run
/// without slices.
pub(super) async fn slices(dir: &RunDir, config: &Config) -> Result<Option<String>, StoreError> {
    let Some(of) = dir.slices().await?.filter(|of| *of > 1) else { return Ok(None) };
    let mut lines = Vec::new();
    for step in STEPS.iter().filter(|step| step.stage.is_wanted(config)) {
        let lacks = missing(dir, config, step.table, Slice { index: 0, of }).await?;
        if !lacks.is_empty() && dir.is_begun(step.table).await? {
            lines.push(format!("{}: {}", step.table, told(&lacks)));
        }
    }
    let (mut locks, mut at_work) = (Locks::of(dir.store()), BTreeSet::new());
    for slice in (Slice { index: 0, of }).all() {
        if locks.is_at_work(slice).await? {
            at_work.insert(slice.to_string());
        }
    }
    let at_work = match at_work.is_empty() {
        true => "none".to_owned(),
        false => at_work.into_iter().collect::<Vec<_>>().join(", "),
    };
    lines.push(format!("{of} slices; at work: {at_work}"));
    Ok(Some(lines.join("\n")))
}
