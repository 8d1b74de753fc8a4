//! Finding images with a model. For now: embedding what a file lists.

pub mod embed;
mod queries;
mod table;

pub use embed::{EmbedError, Embedded, embed};
