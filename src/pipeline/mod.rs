//! Wiring: configuration, inputs, stages in order, status.

mod decontaminate;
mod error;
mod eval_prompts;
mod forget;
mod inputs;
mod judge;
mod lists;
mod metrics;
mod missing;
mod plan;
mod rehydrate;
mod report;
mod run;
mod seeds;
mod serve;
mod session;
mod status;
mod tune_pairs;
mod usage;
mod view;
mod webdataset;

pub use decontaminate::hash_images;
pub use error::RunError;
pub use eval_prompts::eval_prompts;
pub use forget::{compact, forget};
pub use judge::{JudgeError, JudgeOptions, judge};
pub use lists::warc_paths;
pub use plan::plan;
pub use rehydrate::rehydrate;
pub use report::report;
pub use run::{Options, Outcome, RunStage, run};
pub use serve::serve;
pub use status::{print_config, status};
pub use tune_pairs::tune_pairs;
pub use webdataset::webdataset;
