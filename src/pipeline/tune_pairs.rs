//! `mine tune-pairs`: what a run's candidates look like, for a person to pick bounds by. Changes no table.

use std::path::PathBuf;

use super::RunError;
use super::status::existing;
use crate::config::Layers;
use crate::stages::pair::{Inputs, tune};
use crate::store::StoreError;
use crate::table::{DESCRIPTIONS, EMBEDDINGS, GROUPS, IMAGES};
use crate::telemetry::say;

/// The page of examples in the run directory.
const PAGE: &str = "tune-pairs.html";

/// Prints both histograms and writes a page of examples. `layers` may try other bounds, a wider window or
/// another similarity that the run has vectors for.
pub async fn tune_pairs(out: &str, html: Option<PathBuf>, layers: &Layers) -> Result<(), RunError> {
    let dir = existing(out).await?;
    let kept = dir.kept().await?.unwrap_or_default();
    let mut config = Layers { run_dir: Some(kept.config), ..layers.clone() }.load()?;
    config.embed.settle();
    let inputs = Inputs {
        groups: dir.manifests(GROUPS).await?,
        descriptions: dir.manifests(DESCRIPTIONS).await?,
        embeddings: dir.manifests(EMBEDDINGS).await?,
    };
    let survey = tune::survey(&config, dir.store(), &inputs).await?;
    say(survey.table());
    say(format_args!("Apply bounds with\n  {}", survey.command(out)));
    let page = survey.page(out, dir.store(), &dir.manifests(IMAGES).await?).await?;
    let place = match html {
        Some(path) => {
            let failed = |error| StoreError::corrupt(path.display().to_string(), error);
            std::fs::write(&path, page).map_err(failed)?;
            path.display().to_string()
        }
        None => {
            dir.store().replace(PAGE, page.into()).await?;
            format!("{}/{PAGE}", dir.store().location())
        }
    };
    say(format_args!("Examples: {place}"));
    Ok(())
}
