//! Status of a run directory, finished or not.

use std::collections::BTreeMap;

use super::RunError;
use super::inputs;
use super::missing::slices;
use super::run::RunStage;
use crate::config::{Config, Layers};
use crate::endpoint::{Spending, Totals};
use crate::stages::collect::Layout;
use crate::stages::embed;
use crate::store::{Manifest, RunDir, StoreError};
use crate::table::{
    ARCHIVED_IMAGES, DESCRIPTIONS, EMBEDDINGS, FETCH_LIST, GROUPS, IMAGE_CLUSTERS, IMAGE_USES,
    IMAGES, INSTRUCTIONS, OCCURRENCES, PAGES, PAIRS, TEST_POOL, TRIPLET_PLAN, TRIPLETS,
};
use crate::telemetry::{Step, funnel, say};

/// One line of the funnel.
pub(super) struct StepInfo {
    pub(super) stage: RunStage,
    pub(super) table: &'static str,
}

impl StepInfo {
    /// Returns true if the configuration includes this step and its row would differ from the one before.
    pub(super) fn is_wanted(&self, config: &Config) -> bool {
        // If no benchmark is kept out, all planned triplets are exported to the shards.
        let is_plain = self.table == TRIPLET_PLAN && !config.decontaminate.is_wanted();
        self.stage.is_wanted(config) && !is_plain
    }
}

/// The tables in the order in which they are made.
pub(super) const STEPS: [StepInfo; 15] = [
    StepInfo { stage: RunStage::Collect, table: PAGES },
    StepInfo { stage: RunStage::Collect, table: ARCHIVED_IMAGES },
    StepInfo { stage: RunStage::Fetch, table: IMAGE_USES },
    StepInfo { stage: RunStage::Fetch, table: FETCH_LIST },
    StepInfo { stage: RunStage::Fetch, table: IMAGES },
    StepInfo { stage: RunStage::Group, table: IMAGE_CLUSTERS },
    StepInfo { stage: RunStage::Group, table: OCCURRENCES },
    StepInfo { stage: RunStage::Group, table: GROUPS },
    StepInfo { stage: RunStage::Describe, table: DESCRIPTIONS },
    StepInfo { stage: RunStage::Embed, table: EMBEDDINGS },
    StepInfo { stage: RunStage::Pair, table: PAIRS },
    StepInfo { stage: RunStage::Instruct, table: INSTRUCTIONS },
    StepInfo { stage: RunStage::Export, table: TRIPLET_PLAN },
    StepInfo { stage: RunStage::Export, table: TRIPLETS },
    StepInfo { stage: RunStage::Export, table: TEST_POOL },
];

/// Prints the funnel of a run in progress or finished.
pub async fn status(out: &str) -> Result<(), RunError> {
    let (dir, config) = open(out).await?;
    say(funnel(&steps(&dir, &config).await?));
    if let Some(text) = spending(&dir).await? {
        say(text);
    }
    if let Some(text) = slices(&dir, &config).await? {
        say(text);
    }
    Ok(())
}

/// Prints the configuration in effect for a run directory, or for a new one.
pub async fn print_config(out: Option<&str>, layers: &Layers) -> Result<(), RunError> {
    let mut layers = layers.clone();
    if let Some(out) = out {
        let kept = existing(out).await?.kept().await?;
        layers.run_dir = kept.map(|kept| kept.config);
    }
    say(toml::to_string(&layers.load()?).expect("a configuration is plain data"));
    Ok(())
}

/// Describes the calls, tokens and cost of models, from the cached replies; `None` without replies.
pub(super) async fn spending(dir: &RunDir) -> Result<Option<String>, StoreError> {
    let line = |(step, Totals { calls, input, output, cost })| {
        format!("{step}: {calls} calls, {input} tokens in, {output} out, cost {cost:.2}")
    };
    let lines: Vec<String> = used(dir).await?.into_iter().map(line).collect();
    Ok((!lines.is_empty()).then(|| lines.join("\n")))
}

/// Returns the totals of each step that has asked a model.
pub(super) async fn used(dir: &RunDir) -> Result<Vec<(&'static str, Totals)>, StoreError> {
    let stages = [RunStage::Describe, RunStage::Embed, RunStage::Instruct].map(RunStage::name);
    let (mut used, spending) = (Vec::new(), Spending::read(dir.store()).await?);
    for step in stages.into_iter().chain([embed::OTHERS_STEP]) {
        let totals = spending.of_step(step);
        if totals.calls > 0 {
            used.push((step, totals));
        }
    }
    Ok(used)
}

/// Opens a run directory that must exist.
pub(super) async fn existing(out: &str) -> Result<RunDir, RunError> {
    RunDir::find(out).await?.ok_or_else(|| RunError::NoRun(out.into()))
}

pub(super) async fn open(out: &str) -> Result<(RunDir, Config), RunError> {
    let dir = existing(out).await?;
    let kept = dir.kept().await?.unwrap_or_default();
    let config = Layers { run_dir: Some(kept.config), ..Layers::default() }.load()?;
    Ok((dir, config))
}

/// The steps of the funnel, from manifests and segments.
pub(super) async fn steps(dir: &RunDir, config: &Config) -> Result<Vec<Step>, StoreError> {
    let mut steps = Vec::new();
    let mut pages = Vec::new();
    let layout = inputs::layout(dir, config).await?;
    for StepInfo { table, .. } in STEPS.into_iter().filter(|step| step.is_wanted(config)) {
        if table == ARCHIVED_IMAGES && layout.archives == 0 {
            continue;
        }
        let manifests = dir.manifests(table).await?;
        let counts = dir.counts(table).await?;
        let wip = dir.wip(table).await?;
        if table == PAGES {
            pages.clone_from(&manifests);
        }
        let wanted = parts_wanted(table, &pages, &layout, config);
        let is_begun = wip.entries > 0 || dir.is_begun(table).await?;
        let state = match manifests.len() {
            0 if !is_begun => Some("not begun".to_owned()),
            n if n < wanted => Some(format!("{n} of {wanted} parts")),
            _ => None,
        };
        let pending = (wip.entries > 0).then(|| format!("{} more in progress", wip.entries));
        let notes = [state, pending, passed_over(&manifests)];
        let note = notes.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let files = manifests.iter().flat_map(|manifest| manifest.files.values());
        steps.push(Step {
            bytes: files.map(|file| file.bytes).sum(),
            pending: wip.entries,
            name: table.to_owned(),
            input: counts.input,
            output: counts.output,
            rejected: counts.rejected,
            failed: counts.failed,
            note,
        });
    }
    Ok(steps)
}

/// Describes the input items that are no records for a table.
fn passed_over(manifests: &[Manifest]) -> Option<String> {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, n) in manifests.iter().flat_map(|manifest| &manifest.passed_over) {
        *kinds.entry(kind).or_default() += n;
    }
    if kinds.is_empty() {
        return None;
    }
    let kinds: Vec<String> = kinds.into_iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    Some(format!("passed over: {}", kinds.join(", ")))
}

/// Parts of a table that is whole; `pages` are those of the table of that name.
pub(super) fn parts_wanted(
    table: &str,
    pages: &[Manifest],
    layout: &Layout,
    config: &Config,
) -> usize {
    match table {
        PAGES => layout.wanted(pages),
        ARCHIVED_IMAGES => layout.archives as usize,
        FETCH_LIST | IMAGES | IMAGE_CLUSTERS => config.filter.partitions as usize,
        // As many shards as there is data for.
        TRIPLETS | TEST_POOL => 0,
        _ => pages.len(),
    }
}
