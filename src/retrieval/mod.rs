//! Finding images with a model: [`encoder`] makes vectors, [`pump`] many of them, [`embed`] a file of them, [`index`] a
//! folder to search, which [`serve`] shows in a browser.

pub mod embed;
pub mod encoder;
pub mod index;
pub mod pump;
mod queries;
pub mod query;
pub mod serve;
mod table;

pub use embed::{EmbedError, Embedded, embed};
pub use encoder::{Encoder, EncoderError};
pub use index::{Index, IndexError};
