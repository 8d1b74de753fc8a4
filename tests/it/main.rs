//! Whole-program tests and tests of the source itself: one binary, one module per concern.

// Clippy knows tests by their attribute, not the helpers beside them.
#![allow(clippy::unwrap_used)]

mod canary;
mod caps;
#[cfg(feature = "cluster")]
mod cluster;
mod command;
mod config;
mod decontaminate;
mod docs;
#[cfg(feature = "torch")]
mod embed;
mod endpoint;
#[cfg(feature = "torch")]
mod evaluate;
mod forget;
mod gimp;
mod groups;
mod interop;
mod judge;
mod kill;
mod layering;
mod llama;
mod metrics;
mod model_server;
mod models;
mod negatives;
mod no_unsafe;
mod notebooks;
mod object_store;
mod old_runs;
mod plan;
mod politeness;
mod rehydrate;
mod s3;
mod schemas;
#[cfg(feature = "torch")]
mod search;
mod similarity;
mod slices;
mod source;
mod splits;
mod support;
#[cfg(feature = "torch")]
mod train;
mod truth;
mod view;
mod warc;
mod webdataset;
