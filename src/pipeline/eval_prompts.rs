//! `mine eval-prompts`: two prompts or models over the same pairs, in one table.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::RunError;
use super::run::context;
use super::session::Session;
use super::status::existing;
use crate::config::Layers;
use crate::record::Slice;
use crate::stages::context::StageError;
use crate::stages::instruct::{Inputs, compare};
use crate::store::{Kept, RunDir, Store};
use crate::table::{DESCRIPTIONS, GROUPS, PAIRS};
use crate::telemetry::say;

/// Asks both configurations about the same `sample` pairs of a run and writes `table`.
pub async fn eval_prompts(
    out: &str,
    files: [PathBuf; 2],
    sample: usize,
    table: &Path,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let dir = existing(out).await?;
    let kept = dir.kept().await?.unwrap_or_default();
    let of_run = Layers { run_dir: Some(kept.config.clone()), ..Layers::default() }.load()?;
    let session = Session::open(&dir, &of_run, Slice::WHOLE, &stop).await?;
    let Some(session) = session else { return Err(StageError::Interrupted.into()) };
    let outcome = compare(&session.dir, &kept, files, sample, table, stop).await;
    let [pairs, a, b] = session.end(outcome).await?;
    say(format_args!(
        "{pairs} pairs; with an instruction: {a} by A, {b} by B; {}",
        table.display()
    ));
    Ok(())
}

async fn compare(
    dir: &RunDir,
    kept: &Kept,
    files: [PathBuf; 2],
    sample: usize,
    table: &Path,
    stop: CancellationToken,
) -> Result<[usize; 3], RunError> {
    let mut sides = Vec::new();
    for file in files {
        let run_dir = Some(kept.config.clone());
        let layers = Layers { run_dir, file: Some(file), ..Layers::default() };
        sides.push(context(layers.load()?, dir.clone(), Slice::WHOLE, stop.clone()).await?);
    }
    let inputs = Inputs {
        groups: dir.manifests(GROUPS).await?,
        descriptions: dir.manifests(DESCRIPTIONS).await?,
        pairs: dir.manifests(PAIRS).await?,
    };
    let folder = table.parent().filter(|folder| !folder.as_os_str().is_empty());
    let store = Store::open(&folder.unwrap_or(Path::new(".")).to_string_lossy())?;
    let name = table.file_name().unwrap_or_default().to_string_lossy();
    Ok(compare::run(&sides[0], &sides[1], &inputs, sample, &store, &name).await?)
}
