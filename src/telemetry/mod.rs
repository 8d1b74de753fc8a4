//! What a person or a log collector sees: log lines, one progress line a stage, metrics, tables
//! at the end; and clocks: limiters' on tokio's time, limits that a starved process does not break.

mod clock;
pub mod exporter;
mod funnel;
mod log;
pub mod metrics;
mod process;
mod progress;
mod say;
mod time_limit;
mod visible;

pub use clock::TokioClock;
pub use funnel::{Step, funnel};
pub use log::{LogFormat, init};
pub use process::{Resources, ThreadCpu, resources};
pub use progress::Progress;
pub use say::say;
pub use time_limit::{TimeLimit, TimeLimitExceeded, within};
pub use visible::{excerpt, visible};
