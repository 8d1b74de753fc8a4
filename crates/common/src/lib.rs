//! Foundations of every crate above: configuration in layers, logs, progress and metrics, and the words of a text.
#![forbid(unsafe_code)]

pub mod config;
pub mod telemetry;
pub mod text;
