//! Whole-program tests that need no libtorch, and tests of the source: one binary, one module per concern.

// Clippy knows tests by their attribute, not the helpers beside them.
#![allow(clippy::unwrap_used)]

mod canary;
mod caps;
#[cfg(feature = "cluster")]
mod cluster;
mod command;
mod config;
mod conformance;
mod decontaminate;
mod docs;
mod endpoint;
mod forget;
mod gimp;
mod groups;
mod interop;
mod judge;
mod kill;
mod layering;
mod llama;
mod metrics;
mod models;
mod negatives;
mod no_unsafe;
mod notebooks;
mod object_store;
mod old_runs;
mod plan;
mod politeness;
mod rehydrate;
mod schemas;
mod similarity;
mod slices;
mod source;
mod splits;
mod test_script;
mod truth;
mod view;
mod warc;
mod webdataset;

#[path = "../support/kept_out.rs"]
mod kept_out;
#[path = "../support/model_server.rs"]
mod model_server;
#[path = "../support/notebook.rs"]
mod notebook;
#[path = "../support/s3.rs"]
mod s3;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/vectors.rs"]
mod vectors;
