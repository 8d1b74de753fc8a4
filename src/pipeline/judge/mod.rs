//! `mine judge`: blind judging in the browser, of two prompts, of two models' results, or of a run's triplets.
//!
//! A [`Subject`] holds the items to judge, read from one of three sources. Verdicts are appended to a file
//! beside it ([`verdicts`]), so that judging can be interrupted and done by several people; [`tally`] sums
//! them up. The page ([`api`]) learns the names of the sides only after everything is judged.

mod api;
mod prompts;
mod results;
mod subject;
mod tally;
mod triplets;
mod verdicts;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::RunError;
use crate::store::{StoreError, is_remote};
use crate::telemetry::say;
use crate::web::{Site, Token, WebError, stopped};
use subject::Subject;
use tally::Tally;
use verdicts::Verdicts;

/// Error that prevents judging.
#[derive(Debug, Error)]
pub enum JudgeError {
    /// The argument names nothing that can be judged.
    #[error(
        "{0}: give a run directory, a table of eval-prompts, or a folder of evaluate --model-b"
    )]
    What(String),
    /// A file of the folder cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Problem with the file.
        problem: String,
    },
    /// The table has no images.
    #[error("{0}: the images are in the run directory: give --run")]
    NoRun(String),
    /// All of it is alike, or empty.
    #[error("{0}: nothing to judge")]
    Nothing(String),
    /// Verdicts are appended to a file.
    #[error("{0} is not on this machine: give --verdicts a file that is")]
    Remote(String),
    /// The page cannot be served.
    #[error(transparent)]
    Web(#[from] WebError),
    /// The verdicts cannot be read or kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Options of the command line.
#[derive(Clone, Debug)]
pub struct JudgeOptions {
    /// A run directory, a table, or a folder.
    pub what: String,
    /// `--run`.
    pub run: Option<String>,
    /// `--sample`.
    pub sample: usize,
    /// `--name`.
    pub judge: String,
    /// `--verdicts`.
    pub verdicts: Option<PathBuf>,
    /// `--listen`.
    pub listen: SocketAddr,
    /// `--results`.
    pub results: bool,
}

/// Serves the page until Ctrl-C, then prints how it stands; or only prints.
pub async fn judge(options: &JudgeOptions) -> Result<(), RunError> {
    let subject = subject::read(options).await?;
    let path = match &options.verdicts {
        Some(path) => path.clone(),
        None => beside(&options.what)?,
    };
    if !options.results {
        serve(options, &subject, &path).await?;
    }
    let verdicts = Verdicts::read(&path)?;
    say(Tally::of(&subject, &verdicts).table());
    Ok(())
}

async fn serve(options: &JudgeOptions, subject: &Subject, path: &Path) -> Result<(), JudgeError> {
    let token = Token::configured()?;
    let verdicts = Verdicts::open(path, &options.judge)?;
    let site = Site::bind(options.listen, token).await?;
    tracing::info!(items = subject.items.len(), left_out = subject.left_out(), "to judge");
    tracing::info!(url = site.url(), verdicts = %path.display(), "Ctrl-C ends it");
    let stop = stopped()?;
    let served = site.serve(api::router(subject.clone(), verdicts), stop).await;
    Ok(served.map_err(WebError::System)?)
}

/// The file of verdicts, where none is given.
fn beside(what: &str) -> Result<PathBuf, JudgeError> {
    if is_remote(what) {
        return Err(JudgeError::Remote(what.into()));
    }
    let what = Path::new(what);
    match what.is_dir() {
        true => Ok(what.join("judgements.jsonl")),
        false => Ok(what.with_extension("judgements.jsonl")),
    }
}
