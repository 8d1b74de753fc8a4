//! Finding images with a model: [`encoder`] makes vectors, [`pump`] many of them, [`embed`] a file of them, [`index`] a
//! folder to search, which [`serve`] shows in a browser; [`evaluate`] measures a model on
//! [`benchmarks`] by their [`metrics`].

pub mod benchmarks;
pub mod embed;
pub mod encoder;
pub mod evaluate;
pub mod index;
pub mod metrics;
pub mod pump;
mod queries;
pub mod query;
pub mod serve;
mod table;

pub use embed::{EmbedError, Embedded, embed};
pub use encoder::{Encoder, EncoderError};
pub use index::{Index, IndexError};
