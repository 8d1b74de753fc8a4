//! The whole pace, on paused time.

mod breaker;
mod law;
mod outage;
mod storm;
mod turns;

use std::time::Duration;

use tokio::time::Instant;

use super::{Limits, Pace, Turn};

const SECOND: Duration = Duration::from_secs(1);

/// No limits but `concurrency`.
fn limits(concurrency: usize) -> Limits {
    Limits {
        concurrency,
        requests_per_minute: 0,
        tokens_per_minute: 0,
        cooldown: SECOND,
        give_up: 300 * SECOND,
        has_answered: false,
    }
}

fn pace(concurrency: usize) -> Pace {
    Pace::new(limits(concurrency))
}

async fn take(pace: &Pace) -> Turn<'_> {
    pace.turn(1).await.unwrap()
}

/// Waits for a turn; how long, in seconds.
async fn timed(pace: &Pace) -> (Turn<'_>, f64) {
    let start = Instant::now();
    let turn = take(pace).await;
    (turn, start.elapsed().as_secs_f64())
}

/// Whether there is no turn within `seconds`.
async fn holds(pace: &Pace, seconds: u32) -> bool {
    tokio::time::timeout(seconds * SECOND, pace.turn(1)).await.is_err()
}

/// A runtime with paused time, for tests that are not async themselves.
fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}
