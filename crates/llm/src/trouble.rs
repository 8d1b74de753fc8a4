//! Why there is no answer: whose fault it was, the endpoint's, the request's or the run's.
//!
//! What is tried again, and when, is decided elsewhere; which error means what is in `classify`.

use std::time::Duration;

use super::ask::Usage;
pub use super::clean::clean;

/// A parameter that some models refuse to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// `max_tokens`, where `max_completion_tokens` is wanted.
    MaxTokens,
    /// `temperature`, where it cannot be chosen.
    Temperature,
    /// `seed`, where there is none.
    Seed,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The endpoint wants to be asked slower.
    Busy {
        /// The pause it asked for.
        after: Option<Duration>,
        /// Its words, safe to log.
        detail: String,
    },
    /// It may pass: the endpoint failed, or answered with no answer.
    Broken {
        /// Its words, safe to log.
        detail: String,
        /// What it cost all the same.
        usage: Option<Usage>,
    },
    /// The endpoint does not know this way to ask for a shape.
    Format {
        /// Its words, safe to log.
        detail: String,
    },
    /// The model refuses a parameter.
    Dialect {
        /// Which one.
        parameter: Parameter,
        /// Its words, safe to log.
        detail: String,
    },
    /// This request will never be answered.
    Skip {
        /// Whether it is for what it shows or says.
        refused: bool,
        /// Its words, safe to log.
        detail: String,
    },
    /// No request will be answered.
    Abort {
        /// Its words, safe to log.
        detail: String,
    },
}

impl Trouble {
    /// The endpoint's words, safe to log.
    pub fn detail(&self) -> &str {
        match self {
            Self::Busy { detail, .. }
            | Self::Broken { detail, .. }
            | Self::Format { detail }
            | Self::Dialect { detail, .. }
            | Self::Skip { detail, .. }
            | Self::Abort { detail } => detail,
        }
    }
}

/// Says that there is no answer, and that there may be one another time.
pub fn broken(status: u16, why: &str, usage: Option<Usage>) -> Trouble {
    Trouble::Broken { detail: told(status, why), usage }
}

/// Whether an answer is expected under this status.
pub fn is_good(status: u16) -> bool {
    (200..300).contains(&status)
}

/// The status and the words; 0 is no status.
pub fn told(status: u16, words: &str) -> String {
    match (status, words) {
        (0, words) => clean(words),
        (status, "") => format!("status {status}"),
        (status, words) => clean(&format!("status {status}: {words}")),
    }
}
