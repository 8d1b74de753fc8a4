//! Output for people and log collectors: log lines, one progress line a stage, metrics, and tables at
//! the end. Also clocks: tokio's time for limiters, and time limits that hold when a process is starved
//! of CPU.

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
