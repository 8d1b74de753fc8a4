//! Whole-program tests and tests of the source itself: one binary, one module per concern.

mod command;
mod config;
mod gimp;
mod interop;
mod kill;
mod layering;
mod no_unsafe;
mod politeness;
mod schemas;
mod source;
mod support;
mod truth;
