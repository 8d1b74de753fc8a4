//! The stages, a folder each. They never import each other: tables are all they share.

pub mod collect;
mod context;
pub mod fetch;

pub use context::{Context, StageError, open_table};
