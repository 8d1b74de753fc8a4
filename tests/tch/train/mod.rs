//! The `train` binary on a CPU: stopped, killed, over two ranks, on bad shards and full disks.
//!
//! Every test has a folder of its own with drawn triplets ([`shards`]) and a tiny model that trains
//! for seconds ([`bench`]).

mod bench;
mod disk;
mod faults;
mod kept;
mod others;
mod ranks;
mod recipe;
mod resume;
mod s3;
mod shards;

pub use bench::{Bench, floats};
pub use shards::{triplets, write as write_shards};
