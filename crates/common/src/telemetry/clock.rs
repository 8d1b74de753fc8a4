//! governor's clock on tokio's time, which tests pause.

use governor::clock::Clock;
use tokio::time::Instant;

/// The time that limiters of requests go by.
#[derive(Clone, Debug, Default)]
pub struct TokioClock;

impl Clock for TokioClock {
    type Instant = std::time::Instant;

    fn now(&self) -> Self::Instant {
        Instant::now().into_std()
    }
}
