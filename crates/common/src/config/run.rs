//! `[run]` and `[store]`: what is common to all stages.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Engine;

/// `[run]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// Share of a stage's records that may fail before the exit code is 2.
    pub failure_budget: f64,
    /// CPU threads for parsing and decoding; 0 = one a core.
    pub cpu_threads: usize,
    /// Seconds that a slice waits for others of which none is at work.
    pub slice_wait_s: u64,
}

impl Default for Run {
    fn default() -> Self {
        Self { failure_budget: 0.5, cpu_threads: 0, slice_wait_s: 300 }
    }
}

impl Run {
    /// Number of CPU threads in effect.
    pub fn threads(&self) -> usize {
        match self.cpu_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

/// `[store]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Work in progress is committed in segments of at most this many bytes…
    pub segment_bytes: usize,
    /// …and at least this often, in seconds: what a lost machine can lose.
    pub segment_seconds: u64,
    /// Memory that DataFusion plans may use before they spill, in bytes.
    pub plan_memory_bytes: usize,
    /// Where plans are worked on: `local`, or executors by address (feature `cluster`).
    pub engine: Engine,
    /// Seconds that a plan may take on executors before it is tried again.
    pub engine_deadline_s: u64,
    /// How often a plan is tried on executors.
    pub engine_tries: u32,
    /// Folder for what grows by appending, where the run directory is in an object store; empty = the
    /// system's temporary folder.
    pub scratch: PathBuf,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            segment_seconds: 20,
            plan_memory_bytes: 384 << 20,
            engine: Engine::Local,
            engine_deadline_s: 7200,
            engine_tries: 3,
            scratch: PathBuf::new(),
        }
    }
}
