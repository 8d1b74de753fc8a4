//! What a person or a log collector sees: log lines, one progress line a stage, metrics, tables
//! at the end.

mod clock;
pub mod exporter;
mod funnel;
mod log;
pub mod metrics;
mod process;
mod progress;
mod say;
mod visible;

pub use clock::TokioClock;
pub use funnel::{Step, funnel};
pub use log::{LogFormat, init};
pub use process::{Resources, resources};
pub use progress::Progress;
pub use say::say;
pub use visible::{excerpt, visible};
