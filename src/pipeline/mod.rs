//! Wiring: configuration, inputs, stages in order, status.

mod error;
mod eval_prompts;
mod forget;
mod inputs;
mod lists;
mod missing;
mod rehydrate;
mod run;
mod seeds;
mod session;
mod status;
mod tune_pairs;

pub use error::RunError;
pub use eval_prompts::eval_prompts;
pub use forget::{compact, forget};
pub use lists::warc_paths;
pub use rehydrate::rehydrate;
pub use run::{Options, Outcome, RunStage, run};
pub use status::{print_config, status};
pub use tune_pairs::tune_pairs;
