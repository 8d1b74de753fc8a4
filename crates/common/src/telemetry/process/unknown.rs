//! Systems without `/proc`.

use std::time::Duration;

use super::Resources;

/// Not known here.
pub fn resources() -> Option<Resources> {
    None
}

/// CPU time of one thread, which these systems do not report.
#[derive(Debug)]
pub struct ThreadCpu(());

impl ThreadCpu {
    /// Not known here.
    pub fn begin() -> Option<Self> {
        None
    }

    /// Not known here.
    pub fn used(&self) -> Option<Duration> {
        None
    }
}
