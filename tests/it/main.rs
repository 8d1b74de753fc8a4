//! Whole-program tests and tests of the source itself: one binary, one module per concern.

mod config;
mod layering;
mod no_unsafe;
mod source;
