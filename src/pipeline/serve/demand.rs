//! Looking at what changes, for as long as somebody asks and no longer: whoever nobody asks is idle.

use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

/// Between two looks while somebody asks…
const OFTEN: Duration = Duration::from_secs(2);
/// …which take this part of the time at most.
const SPARING: u32 = 4;
/// Longest that a question waits for the first look after a while: an old answer is better than none.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who asks, and what was seen when.
pub(super) struct Demand {
    asked: Notify,
    /// Until when the last look will do; none before the first.
    fresh_until: watch::Sender<Option<Instant>>,
}

impl Demand {
    /// Nobody has asked yet, and nothing was seen.
    pub(super) fn new() -> Self {
        Self { asked: Notify::new(), fresh_until: watch::Sender::new(None) }
    }

    /// Notes that somebody asks. Waits for a look where the last was too long ago, if it comes soon.
    pub(super) async fn ask(&self) {
        let mut fresh_until = self.fresh_until.subscribe();
        let is_old = fresh_until.borrow_and_update().is_none_or(|until| until < Instant::now());
        self.asked.notify_one();
        if is_old {
            let _ = timeout(PATIENCE, fresh_until.changed()).await;
        }
    }

    /// Notes a look that began then and has ended. Waits until the next is due: somebody asks, and this
    /// one was a while ago.
    pub(super) async fn looked(&self, begun: Instant) {
        let took = begun.elapsed();
        let pause = OFTEN.max(took * SPARING);
        // Whoever keeps asking has a look begun after the pause, and it takes as long as this one.
        self.fresh_until.send_replace(Some(Instant::now() + pause + took + OFTEN));
        sleep(pause).await;
        self.asked.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Looks that take so long, and are counted when they end.
    fn looking(takes: Duration) -> (Arc<Demand>, Arc<AtomicU32>) {
        let (demand, looks) = (Arc::new(Demand::new()), Arc::new(AtomicU32::new(0)));
        let (follows, counts) = (Arc::clone(&demand), Arc::clone(&looks));
        tokio::spawn(async move {
            loop {
                let begun = Instant::now();
                sleep(takes).await;
                counts.fetch_add(1, Relaxed);
                follows.looked(begun).await;
            }
        });
        (demand, looks)
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_nobody_asks_does_not_look() {
        let (demand, looks) = looking(SECOND / 10);
        sleep(3600 * SECOND).await;
        assert_eq!(looks.load(Relaxed), 1, "the first is for whoever comes");
        demand.ask().await;
        sleep(3600 * SECOND).await;
        assert_eq!(looks.load(Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_keeps_asking_sees_what_is_two_seconds_old() {
        let (demand, looks) = looking(SECOND / 10);
        for _ in 0..600 {
            demand.ask().await;
            sleep(SECOND / 10).await;
        }
        let looks = looks.load(Relaxed);
        assert!((28..=31).contains(&looks), "{looks} in a minute");
    }

    #[tokio::test(start_paused = true)]
    async fn looks_that_take_long_are_seldom() {
        let (demand, looks) = looking(10 * SECOND);
        for _ in 0..600 {
            demand.ask().await;
            sleep(SECOND).await;
        }
        let looks = looks.load(Relaxed);
        assert!((11..=13).contains(&looks), "{looks} in ten minutes");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_question_after_a_while_has_a_fresh_answer_or_soon_an_old_one() {
        for (takes, seen, waits) in [(SECOND, 2, SECOND), (10 * SECOND, 1, PATIENCE)] {
            let (demand, looks) = looking(takes);
            sleep(3600 * SECOND).await;
            let asked = Instant::now();
            demand.ask().await;
            assert_eq!((looks.load(Relaxed), asked.elapsed().as_secs()), (seen, waits.as_secs()));
        }
    }
}
