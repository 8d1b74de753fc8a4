//! MagicLens as a whole: web pages in, (query image, instruction, target image) triplets out.
#![forbid(unsafe_code)]

pub mod config;
pub mod endpoint;
pub mod http;
pub mod imaging;
#[cfg(feature = "torch")]
pub mod model;
pub mod pipeline;
pub mod record;
#[cfg(feature = "torch")]
pub mod retrieval;
pub mod similarity;
pub mod stages;
pub mod store;
pub mod table;
pub mod telemetry;
pub mod text;
#[cfg(feature = "torch")]
pub mod train;
pub mod warc;
pub mod web;
