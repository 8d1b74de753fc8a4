//! Errors that end a run, and their exit codes.

use std::path::PathBuf;

use thiserror::Error;

use super::JudgeError;
use crate::config::ConfigError;
use crate::endpoint::ModelError;
use crate::http::client::ClientError;
use crate::stages::context::StageError;
use crate::store::StoreError;
use crate::web::WebError;

/// Error that ended a run.
#[derive(Debug, Error)]
pub enum RunError {
    /// A configuration that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A seed that cannot be used.
    #[error("--seed-urls {seed}: {problem}")]
    Seed {
        /// As given.
        seed: String,
        /// Problem with the seed.
        problem: String,
    },
    /// A file that cannot be used.
    #[error("{flag} {name}: {problem}")]
    Input {
        /// The flag that named it.
        flag: &'static str,
        /// As given, or as its list has it.
        name: String,
        /// Problem with the file.
        problem: String,
    },
    /// Neither flags nor the run directory name a seed or file.
    #[error(
        "{0}: no seeds yet; give --seed-urls a URL or a file of URLs, --warc WARC files or --table \
         tables of images"
    )]
    NoSeeds(String),
    /// Public hosts are not visited anonymously.
    #[error(
        "crawl.contact is not set: people whose site is visited must be able to reach you; give \
         --set crawl.contact=you@example.org"
    )]
    NoContact,
    /// The HTTP client cannot be made from the configuration.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// `--stages` is not a range of stages.
    #[error("--stages {0}: give one stage, or a range such as collect..fetch")]
    Stages(String),
    /// Tables that other slices read are not removed by one of them.
    #[error("--redo removes tables that all slices read: run it once without --slice")]
    RedoOfSlice,
    /// `--metrics` cannot be served.
    #[error("--metrics {0}: {1}")]
    Metrics(String, String),
    /// `--listen` of an executor cannot be listened to.
    #[error("--listen {0}: {1}")]
    Listen(String, String),
    /// The text of `--target-triplets` is not a number.
    #[error("--target-triplets {0}: give a number, such as 36.7M")]
    Number(String),
    /// The run has no triplets, so no plan can be estimated from it.
    #[error("{0}: no triplets yet; finish a run to plan from it")]
    NoTriplets(String),
    /// Pages cannot be served.
    #[error(transparent)]
    Web(#[from] WebError),
    /// Nothing was mined there.
    #[error("{}: no run directory (there is no run.json)", .0.display())]
    NoRun(PathBuf),
    /// No part of such a table is committed.
    #[error("{0}: no part of this table is committed; give RUN/TABLE or RUN/rejects/TABLE")]
    NoTable(String),
    /// `mine forget` without anything to forget.
    #[error("nothing to forget: give --url, --domain, --sha256 or --cluster")]
    ForgetNothing,
    /// No dataset lies there.
    #[error("{}: no such folder; give the folder of shards", .0.display())]
    NoDataset(PathBuf),
    /// Tar files need images, and the exported shards hold no images.
    #[error(
        "these triplets have no images (export.images = \"none\"): give --redo with \
         --set export.images=bytes"
    )]
    NoImages,
    /// Nothing can be judged.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// A table was begun with another configuration; the text says what rebuilding it takes and costs.
    #[error("{0}; {1}; nothing was removed")]
    Mismatch(Box<RunError>, String),
    /// A stage ended early.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The run directory could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RunError {
    /// 3 for what the person at the terminal must change, 4 while batch files wait for their results,
    /// 5 while other slices have parts to make, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Seed { .. }
            | Self::Input { .. }
            | Self::NoSeeds(_)
            | Self::NoContact
            | Self::Client(_)
            | Self::Stages(_)
            | Self::RedoOfSlice
            | Self::Metrics(..)
            | Self::Listen(..)
            | Self::Number(_)
            | Self::NoTriplets(_)
            | Self::NoRun(_)
            | Self::NoTable(_)
            | Self::Store(StoreError::NoColumn { .. })
            | Self::Web(WebError::Token)
            | Self::NoDataset(_)
            | Self::NoImages
            | Self::ForgetNothing
            | Self::Mismatch(..)
            | Self::Stage(
                StageError::Mismatch { .. }
                | StageError::ConfigFile { .. }
                | StageError::Feature { .. }
                | StageError::Local { .. }
                | StageError::Memory { .. }
                | StageError::NoInput { .. }
                | StageError::Prompt { .. }
                | StageError::Model(ModelError::Setup { .. }),
            ) => 3,
            Self::Stage(StageError::Waiting(_)) => 4,
            Self::Stage(StageError::Slices { .. }) => 5,
            Self::Judge(JudgeError::Store(_) | JudgeError::Web(WebError::System(_))) => 1,
            Self::Judge(_) => 3,
            Self::Stage(_) | Self::Store(_) | Self::Web(_) => 1,
        }
    }
}
