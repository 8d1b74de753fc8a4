//! What ranks do together: processes that train one model on parts of one batch.
//!
//! All ranks make the same calls in the same order with tensors of the same shape. Nothing here
//! knows what is exchanged. Started as torchrun starts them
//! (<https://docs.pytorch.org/docs/stable/elastic/run.html>).

mod alone;
mod nccl;
mod tcp;
mod world;

#[cfg(test)]
pub(crate) mod testing;

use std::time::Duration;

use magiclens_torch::nccl::NcclError;
use serde::{Deserialize, Serialize};
use tch::{Device, TchError, Tensor};
use thiserror::Error;

pub use alone::Alone;
pub use nccl::Nccl;
pub use tcp::Tcp;
pub use world::{World, WorldError};

/// A group of ranks, seen by one of them.
pub trait Collective {
    /// This rank, from 0 on.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn world(&self) -> usize;

    /// All ranks' tensors, `[d, …]` each, one after the other: `[world · d, …]`. No graph.
    fn all_gather(&self, tensor: &Tensor) -> Result<Tensor, CollectiveError>;

    /// Adds up a contiguous tensor over the ranks, in place: all of them get the same bits.
    fn all_reduce_sum(&self, tensor: &mut Tensor) -> Result<(), CollectiveError>;

    /// Overwrites a contiguous tensor with that of rank `root`.
    fn broadcast(&self, tensor: &mut Tensor, root: usize) -> Result<(), CollectiveError>;

    /// Returns when all ranks have come here.
    fn barrier(&self) -> Result<(), CollectiveError>;
}

/// Ranks could not work together. None of these goes away by itself: the process should end, so
/// that whoever started it starts all ranks anew from the last checkpoint.
#[derive(Debug, Error)]
pub enum CollectiveError {
    /// The ranks did not find each other.
    #[error("rank {rank} cannot meet the others at {address}: {problem}")]
    Rendezvous {
        /// This rank.
        rank: usize,
        /// Where rank 0 listens.
        address: String,
        /// What was in the way.
        problem: String,
    },
    /// A rank is gone or does not answer.
    #[error("lost rank {rank} in {call} number {sequence}: {problem}")]
    Lost {
        /// The rank that is missed.
        rank: usize,
        /// What the ranks were at.
        call: &'static str,
        /// Counted from the first call on.
        sequence: u64,
        /// What was seen of it.
        problem: String,
    },
    /// The ranks do not do the same.
    #[error("ranks are out of step in call number {sequence}: {problem}")]
    OutOfStep {
        /// Counted from the first call on.
        sequence: u64,
        /// Who does what.
        problem: String,
    },
    /// Rank 0 gave up and said why.
    #[error("rank 0 gave up: {0}")]
    GivenUp(String),
    /// NCCL failed.
    #[error(transparent)]
    Nccl(#[from] NcclError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

/// What carries tensors between ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// NCCL on GPUs, TCP on CPUs.
    #[default]
    Auto,
    /// TCP by way of rank 0, from GPUs too: slow there, and needs nothing.
    Tcp,
}

/// Joins the group that the environment describes; alone where it describes none.
///
/// `timeout` is how long a rank waits for another before the run fails: longer than the longest
/// thing that one rank does while others wait, such as writing a checkpoint.
pub fn open(
    world: &World,
    device: Device,
    backend: Backend,
    timeout: Duration,
) -> Result<Box<dyn Collective>, CollectiveError> {
    if world.world == 1 {
        return Ok(Box::new(Alone));
    }
    let tcp = Tcp::open(world, timeout)?;
    match (backend, device) {
        (Backend::Auto, Device::Cuda(_)) => Ok(Box::new(Nccl::new(tcp, device)?)),
        _ => Ok(Box::new(tcp)),
    }
}
