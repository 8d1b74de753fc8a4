//! Why a training run cannot begin or go on.

use thiserror::Error;

use super::checkpoint::CheckpointError;
use super::collective::{CollectiveError, WorldError};
use super::config::Conflict;
use super::data::DataError;
use super::log::LogError;
use super::optimizer::StateError;
use super::step::StepError;
use crate::config::ConfigError;
use crate::model::config::ConfigError as ModelConfigError;
use crate::model::weights::WeightsError;

/// Why a run ended with an error.
#[derive(Debug, Error)]
pub enum TrainError {
    /// A recipe that cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A recipe that makes no sense.
    #[error("{0}")]
    Recipe(String),
    /// A recipe that is not that of the checkpoint.
    #[error("{0}; to begin anew give another --out")]
    Conflict(Conflict),
    /// Sizes that cannot be.
    #[error(transparent)]
    Sizes(#[from] ModelConfigError),
    /// Weights that do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Shards.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The stream of batches ended, which it never should.
    #[error("the data ended before the run did")]
    NoData,
    /// A checkpoint's note on its data cannot be read.
    #[error("the checkpoint's position in the data cannot be read: {0}")]
    Position(String),
    /// A checkpoint that cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An optimizer's or an average's state that does not fit.
    #[error(transparent)]
    State(#[from] StateError),
    /// A step.
    #[error(transparent)]
    Step(#[from] StepError),
    /// Other ranks.
    #[error(transparent)]
    Ranks(#[from] CollectiveError),
    /// The environment of ranks.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The log could not be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Signals cannot be listened for.
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    /// libtorch's CUDA part.
    #[error(transparent)]
    Cuda(#[from] magiclens_torch::LoadError),
}

impl TrainError {
    /// As `mine`'s: 3 where the configuration is at fault, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Recipe(_) | Self::Conflict(_) | Self::Sizes(_) => 3,
            _ => 1,
        }
    }
}
