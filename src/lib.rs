//! MagicLens as a whole: web pages in, (query image, instruction, target image) triplets out.
#![forbid(unsafe_code)]

pub use magiclens_common::{config, telemetry, text};
pub use {
    magiclens_core as record, magiclens_imaging as imaging, magiclens_similarity as similarity,
    magiclens_warc as warc,
};

pub mod endpoint;
pub mod http;
#[cfg(feature = "torch")]
pub mod model;
pub mod pipeline;
#[cfg(feature = "torch")]
pub mod retrieval;
pub mod stages;
pub mod store;
pub mod table;
#[cfg(feature = "torch")]
pub mod train;
pub mod web;
