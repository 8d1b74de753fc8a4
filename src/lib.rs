//! MagicLens as a whole: web pages in, (query image, instruction, target image) triplets out.
#![forbid(unsafe_code)]

pub use magiclens_common::{config, telemetry, text};
pub use magiclens_store::tables as table;
pub use {
    magiclens_core as record, magiclens_fetch as http, magiclens_imaging as imaging,
    magiclens_llm as endpoint, magiclens_similarity as similarity, magiclens_store as store,
    magiclens_warc as warc, magiclens_web as web,
};

#[cfg(feature = "torch")]
pub mod model;
pub mod pipeline;
#[cfg(feature = "torch")]
pub mod retrieval;
pub mod stages;
#[cfg(feature = "torch")]
pub mod train;
