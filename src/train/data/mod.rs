//! Triplet shards in, training batches out: on local disk or an object store, at any size.
//!
//! [`Shards::open`] reads every footer and refuses what is corrupt or incomplete; [`Shards::split`]
//! is the [`Dataset`] of one split. A [`Loader`] then streams its [`Batch`]es: `order` says which
//! triplet comes when, from (seed, step) alone; `read` brings the bytes of a window's rows;
//! [`Prepare`] makes them numbers on all cores.
//!
//! Order: an epoch has every triplet once, and the stream of batches runs over the ends of epochs,
//! so that none is dropped. Resuming at any step takes the footers and the narrow columns of one
//! window. The order does not depend on the number of ranks, threads or the memory given.
//!
//! Memory: `prefetch_mib` of image files, `ready_batches + 2` batches of pixels, and the narrow
//! columns of two windows (some 500 bytes a row).

mod batch;
mod error;
mod index;
mod loader;
mod location;
mod options;
mod order;
mod prepare;
mod read;
mod shard;
#[cfg(test)]
mod tests;

pub use batch::{Batch, Failure, Role};
pub use error::DataError;
pub use index::{Dataset, Shards};
pub use loader::Loader;
pub use options::LoadOptions;
pub use order::Position;
pub use prepare::{Prepare, PrepareImage, PrepareText};
