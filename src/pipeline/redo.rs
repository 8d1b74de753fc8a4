//! `--redo`: the cost of rebuilding the tables of a stage, and the removal of the old ones.

use std::fmt;

use super::run::{RunStage, forecast_line, forecasts};
use super::{RunError, usage};
use crate::config::Config;
use crate::endpoint::Forecast;
use crate::stages::context::StageError;
use crate::store::{RunDir, StoreError};
use crate::table::{FETCH_LIST, GROUPS, IMAGES, PAGES, PAIRS};

/// Most rows for which a bill counts the calls of models: each is rendered to look for its cached reply.
const COUNTED: u64 = 500_000;

/// Removes the tables of a stage and of all later stages.
pub(super) async fn redo(dir: &RunDir, stage: RunStage) -> Result<(), StoreError> {
    for later in RunStage::ALL.into_iter().rev().filter(|later| *later >= stage) {
        for table in later.tables() {
            tracing::info!(table, "removing the table to rebuild it");
            dir.remove_table(table).await?;
        }
        usage::forget(dir.store(), later).await?;
    }
    Ok(())
}

/// Estimate of what `--redo` of a stage takes, made before anything is removed.
pub(super) struct Bill {
    stage: RunStage,
    /// Tables that are removed and rebuilt, with their parts and rows.
    tables: Vec<(&'static str, usize, u64)>,
    /// Pages and images that are requested again.
    requests: (u64, u64),
    /// Calls of models that have no cached reply, by stage; `None` if they were not counted.
    forecasts: Option<Vec<(RunStage, Option<Forecast>)>>,
}

impl Bill {
    /// Reads the manifests, and also the rows that models are asked about if there are at most [`COUNTED`].
    pub(super) async fn of(
        dir: &RunDir,
        config: &Config,
        stage: RunStage,
    ) -> Result<Self, RunError> {
        let mut bill = Self::of_tables(dir, stage).await?;
        let asked_about = [dir.counts(GROUPS).await?.output, dir.counts(PAIRS).await?.output];
        bill.forecasts = match asked_about.iter().sum::<u64>() <= COUNTED {
            true => Some(forecasts(dir, config, stage, RunStage::Export).await?),
            false => None,
        };
        Ok(bill)
    }

    /// Returns the same estimate without the calls of models.
    pub(super) async fn of_tables(dir: &RunDir, stage: RunStage) -> Result<Self, RunError> {
        let later = RunStage::ALL.into_iter().filter(|later| *later >= stage);
        let mut tables = Vec::new();
        for table in later.flat_map(|later| later.tables().iter().rev()) {
            let parts = dir.manifests(table).await?;
            if !parts.is_empty() {
                let rows = parts.iter().map(|part| part.rows("rows")).sum();
                tables.push((*table, parts.len(), rows));
            }
        }
        let rows = |name: &str| {
            tables.iter().find(|(table, ..)| *table == name).map_or(0, |(.., rows)| *rows)
        };
        let requests = (rows(PAGES), rows(FETCH_LIST).max(rows(IMAGES)));
        Ok(Self { stage, tables, requests, forecasts: Some(Vec::new()) })
    }
}

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = self.stage.name();
        if self.tables.is_empty() {
            return write!(f, "--redo {stage} removes nothing: no table of it is there");
        }
        let tables = self.tables.iter().map(|(table, parts, rows)| match parts {
            1 => format!("{table} (1 part, {rows} rows)"),
            _ => format!("{table} ({parts} parts, {rows} rows)"),
        });
        let tables: Vec<String> = tables.collect();
        write!(f, "--redo {stage} rebuilds {}", tables.join(", "))?;
        match self.requests {
            (0, 0) => write!(f, "; no page and no image is requested again")?,
            (0, images) => write!(f, "; about {images} images are requested again")?,
            (pages, images) => {
                write!(f, "; about {pages} pages and {images} images are requested again")?;
            }
        }
        // The spaces that align the lines of a dry run are collapsed.
        let line = |at: &(RunStage, Option<Forecast>)| {
            forecast_line(at.0, at.1).split_whitespace().collect::<Vec<_>>().join(" ")
        };
        match &self.forecasts {
            Some(asked) => asked
                .iter()
                .map(line)
                .try_for_each(|line| write!(f, "; {line}, beside cached replies")),
            None => write!(f, "; --dry-run counts the calls of models that have no cached reply"),
        }
    }
}

/// Adds to a mismatch what rebuilding the tables of the stage would take and cost.
pub(super) async fn explained(dir: &RunDir, config: &Config, error: RunError) -> RunError {
    let RunError::Stage(StageError::Mismatch { stage: name, .. }) = &error else { return error };
    let Some(stage) = RunStage::ALL.into_iter().find(|stage| stage.name() == *name) else {
        return error;
    };
    match Bill::of(dir, config, stage).await {
        Ok(bill) => RunError::Mismatch(Box::new(error), bill.to_string()),
        // The mismatch matters more than the error of its estimate.
        Err(_) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_says_what_is_made_anew_and_what_is_asked() {
        let forecast = Forecast { calls: 3, input: 900, output: 600, cost: 1.25 };
        let mut bill = Bill {
            stage: RunStage::Instruct,
            tables: vec![("instructions", 2, 14), ("triplets", 1, 14)],
            requests: (0, 0),
            forecasts: Some(vec![(RunStage::Instruct, Some(forecast))]),
        };
        assert_eq!(
            bill.to_string(),
            "--redo instruct rebuilds instructions (2 parts, 14 rows), triplets (1 part, 14 rows); no \
             page and no image is requested again; instruct asks a model: about 3 calls, 900 tokens in, at \
             most 600 out, at most 1.25 at the prices of [budget], beside cached replies"
        );
        (bill.requests, bill.forecasts) = ((5, 40), Some(Vec::new()));
        assert!(bill.to_string().ends_with("; about 5 pages and 40 images are requested again"));
        bill.forecasts = None;
        assert!(
            bill.to_string()
                .ends_with("; --dry-run counts the calls of models that have no cached reply")
        );
        bill.tables.clear();
        assert_eq!(bill.to_string(), "--redo instruct removes nothing: no table of it is there");
    }
}
