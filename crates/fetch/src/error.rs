//! The one error of this module: a reason from the closed list and what exactly was seen.

use std::time::Duration;

use magiclens_core::Reason;

/// Failure of a request for a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", .reason.as_str())]
pub struct FetchError {
    /// From the closed list.
    pub reason: Reason,
    /// A status, a rule, an error message. Never a body.
    pub detail: String,
    /// The HTTP status, where an answer came at all.
    pub status: Option<u16>,
    /// True if a retry may succeed; see [`super::retry`].
    pub retryable: bool,
    /// Pause that the server asked for by Retry-After.
    pub retry_after: Option<Duration>,
}

impl FetchError {
    /// Creates a failure that a retry does not change.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), status: None, retryable: false, retry_after: None }
    }

    /// A failure that may pass.
    pub(crate) fn passing(reason: Reason, detail: impl Into<String>) -> Self {
        Self { retryable: true, ..Self::new(reason, detail) }
    }

    /// The same with `context: ` in front of the detail.
    pub(crate) fn within(mut self, context: &str) -> Self {
        self.detail = format!("{context}: {}", self.detail);
        self
    }
}
