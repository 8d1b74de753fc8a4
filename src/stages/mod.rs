//! The stages, a folder each. They never import each other: tables are all they share.

pub mod collect;
pub mod fetch;
