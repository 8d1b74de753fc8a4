//! The model: images and texts in, unit vectors out. arXiv 2403.19651, section 3.
//!
//! [`config`] has the sizes, [`parameters`] the learned tensors by name, `nn` the layers; `clip`,
//! `fusion` and `pooler` are made of those, and [`MagicLens`] of all; [`ClipTowers`] is CLIP by itself, as a
//! judge of how alike images and texts are. With a [`tape`] the towers keep less for the backward pass. [`weights`] reads every format
//! that such weights come in and writes one. [`tokenizer`], [`preprocess`] and [`input`] make numbers of
//! texts and image files.

mod casts;
mod clip;
pub mod config;
mod fusion;
pub mod input;
mod magiclens;
mod nn;
pub mod parameters;
mod pooler;
pub mod preprocess;
pub mod tape;
pub mod tokenizer;
mod towers;
pub mod weights;

pub(crate) use casts::Casts;
pub use casts::Hold;
pub use config::ModelConfig;
pub use magiclens::MagicLens;
pub(crate) use nn::wide;
pub use parameters::{Origin, Parameter, Parameters};
pub use towers::{ClipTowers, TowersError};

#[cfg(test)]
pub(crate) mod tests;
