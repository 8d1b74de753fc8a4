//! Usage and output of a finished run, read from its directory.

use super::estimate::{Measured, Run};
use crate::config::{Config, DescribeProvider, InstructProvider, Price, Similarity};
use crate::endpoint::{Spending, Totals};
use crate::pipeline::RunError;
use crate::pipeline::run::RunStage;
use crate::pipeline::usage;
use crate::stages::embed::OTHERS_STEP;
use crate::store::{RunDir, StoreError};
use crate::table::{PAGES, TRIPLETS};

/// The stages of a run, each with what it took.
pub async fn run(out: &str, dir: &RunDir, config: &Config) -> Result<Run, RunError> {
    let (mut stages, spending) = (Vec::new(), Spending::read(dir.store()).await?);
    for stage in RunStage::ALL.into_iter().filter(|stage| stage.is_wanted(config)) {
        stages.push(measured(dir, config, &spending, stage).await?);
    }
    let run = Run {
        pages: dir.counts(PAGES).await?.output,
        triplets: dir.counts(TRIPLETS).await?.output,
        stages,
    };
    match run.triplets {
        0 => Err(RunError::NoTriplets(out.to_owned())),
        _ => Ok(run),
    }
}

/// Returns the unit of a stage, which is the last table it makes, in words.
fn unit(stage: RunStage) -> (&'static str, bool) {
    match stage {
        RunStage::Collect => ("pages", true),
        RunStage::Fetch => ("images", true),
        RunStage::Group => ("images shown", true),
        RunStage::Describe => ("images described", false),
        RunStage::Embed => ("images embedded", false),
        RunStage::Pair => ("pairs", false),
        RunStage::Instruct => ("instructions", false),
        RunStage::Export => ("triplets", false),
    }
}

async fn measured(
    dir: &RunDir,
    config: &Config,
    spending: &Spending,
    stage: RunStage,
) -> Result<Measured, StoreError> {
    let (unit, is_upstream) = unit(stage);
    let table = match stage {
        RunStage::Export => TRIPLETS,
        _ => stage.tables()[0],
    };
    let mut stored_bytes = 0;
    for table in stage.tables() {
        let manifests = dir.manifests(table).await?;
        let files = manifests.iter().flat_map(|manifest| manifest.files.values());
        stored_bytes += files.map(|file| file.bytes).sum::<u64>();
    }
    let usage = usage::of_stage(dir.store(), stage).await?;
    let taken = usage.clone().unwrap_or_default();
    let step = if stage == RunStage::Export { OTHERS_STEP } else { stage.name() };
    let Totals { calls, input, output, .. } = spending.of_step(step);
    Ok(Measured {
        stage: stage.name(),
        unit,
        units: dir.counts(table).await?.output,
        is_upstream,
        cpu_s: usage.map(|usage| usage.cpu_s),
        peak_bytes: taken.peak_bytes,
        requests: taken.all_requests(),
        received_bytes: taken.received_bytes,
        stored_bytes,
        calls,
        tokens_in: input,
        tokens_out: output,
        model: model(config, stage),
    })
}

/// The model that a stage asks, with its price.
fn model(config: &Config, stage: RunStage) -> Option<(String, Price)> {
    let is_endpoint = config.pair.similarity == Similarity::Endpoint;
    let name = match stage {
        RunStage::Describe if config.describe.provider != DescribeProvider::PageText => {
            &config.describe.endpoint.model
        }
        RunStage::Instruct if config.instruct.provider != InstructProvider::Template => {
            &config.instruct.endpoint.model
        }
        RunStage::Embed | RunStage::Export if is_endpoint => &config.embed.endpoint.model,
        _ => return None,
    };
    let price = config.budget.prices.get(name).copied().unwrap_or_default();
    Some((name.clone(), price))
}
