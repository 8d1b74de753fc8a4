//! What a run will cost before it is begun: parameters, FLOPs, memory, time. For `train --dry-run`, and
//! the FLOPs also for the meter.
//!
//! [`size`] counts parameters, [`flops`] floating-point operations, [`memory`] bytes; [`report`] writes
//! them down. Formulas, not measurements: nothing here touches a device.
//! <https://arxiv.org/abs/2001.08361> (2.1) counts transformers the same way.

pub mod flops;
pub mod memory;
pub mod report;
pub mod size;

pub use flops::{Flops, Work};
pub use memory::{Footprint, Memory};
pub use report::Report;
pub use size::ModelSize;
