//! Finding images with a model: [`encoder`] makes vectors, [`pump`] many of them, [`embed`] a file of them.

pub mod embed;
pub mod encoder;
pub mod pump;
mod queries;
mod table;

pub use embed::{EmbedError, Embedded, embed};
pub use encoder::{Encoder, EncoderError};
