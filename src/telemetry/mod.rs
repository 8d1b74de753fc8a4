//! What a person or a log collector sees: log lines, one progress line a stage, tables at the end.

mod clock;
mod funnel;
mod log;
mod progress;

pub use clock::TokioClock;
pub use funnel::{Step, funnel};
pub use log::{LogFormat, init};
pub use progress::Progress;
