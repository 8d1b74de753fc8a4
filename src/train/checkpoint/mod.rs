//! Checkpoints: folders that are either whole or not there, of which a few are kept.
//!
//! ```text
//! checkpoints/
//!   latest.json                   which one a run resumes from: its writing is the commit
//!   best.json                     which one scored highest on validation
//!   step-000001200/
//!     model.safetensors …         whatever the trainer writes
//!     state.json                  step, seed, data, recipe; size and sha256 of every file
//!     state.sha256                the same of state.json, as `sha256sum -c` reads it
//! ```
//!
//! [`Keeper`] writes and is the only one to do so in a folder; [`Checkpoints`] reads, also while a
//! keeper writes. A checkpoint is written aside, synced, renamed, and pointed to; only then are
//! older ones removed. Kill -9, a power cut or a full disk at any moment leave the one before. What
//! is in the files is not known here.
//! <https://pubs.opengroup.org/onlinepubs/9799919799/functions/rename.html>

mod disk;
mod error;
mod keep;
mod keeper;
mod pointer;
mod seal;
mod shelf;
mod state;
#[cfg(test)]
mod tests;

pub use error::{BoxError, CheckpointError};
pub use keeper::{Keeper, Saved, Writer};
pub use pointer::Pointer;
pub use seal::FileInfo;
pub use shelf::{Checkpoint, Checkpoints, Which};
pub use state::{Counters, TrainState};
