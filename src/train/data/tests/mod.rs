//! Batches from real shards, held to the laws of the order and against every fault that is promised
//! to be survived or named.

mod faults;
mod fixtures;
mod laws;
mod stores;
