//! Whole-program tests that need libtorch: one binary, one module per concern.

// Clippy knows tests by their attribute, not the helpers beside them.
#![allow(clippy::unwrap_used)]

mod bounds;
mod clip;
mod embed;
mod evaluate;
mod notebook_of_vectors;
mod search;
mod train;

// What `it` uses too; not all of it is used here.
#[allow(dead_code)]
#[path = "../support/kept_out.rs"]
mod kept_out;
#[allow(dead_code)]
#[path = "../support/notebook.rs"]
mod notebook;
#[allow(dead_code)]
#[path = "../support/s3.rs"]
mod s3;
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../support/vectors.rs"]
mod vectors;
