//! Images of benchmarks are kept out of an export: how many copies are found, how many others are taken for
//! one, and what a run leaves.

mod export;
mod recall;
