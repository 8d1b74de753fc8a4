//! Plans on executors instead of in this process: feature `cluster`.
//!
//! `mine` is the coordinator: it makes the plan, hands its stages to the executors, takes the last stage's
//! rows and holds them against what it knows without them ([`guard`]). An executor keeps nothing, so a
//! try that fails is made again from committed parts. The engine is
//! [datafusion-distributed](https://docs.rs/datafusion-distributed).

#[cfg(feature = "cluster")]
mod channels;
#[cfg(not(feature = "cluster"))]
mod disabled;
#[cfg(feature = "cluster")]
mod enabled;
#[cfg(feature = "cluster")]
mod executor;
#[cfg(feature = "cluster")]
mod guard;
#[cfg(feature = "cluster")]
mod spill;

#[cfg(not(feature = "cluster"))]
pub use disabled::{Engine, Executor};
#[cfg(feature = "cluster")]
pub use enabled::Engine;
#[cfg(feature = "cluster")]
pub use executor::Executor;

/// A build without feature `cluster` was asked for it.
#[derive(Debug)]
pub struct NotBuilt;
