//! Schedule of the reads of a run: they repeat while requests arrive and stop when none do.

use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

/// Shortest pause between two reads while requests arrive.
const OFTEN: Duration = Duration::from_secs(2);
/// Shortest pause as a multiple of the time that the last read took.
const SPARING: u32 = 4;
/// Longest that a request waits for the first read after an idle time, before it is answered from old data.
const PATIENCE: Duration = Duration::from_secs(2);

/// Requests that ask for current data, and the time of the last read.
pub(super) struct Demand {
    asked: Notify,
    /// Time until which the last read is recent enough; `None` before the first read.
    fresh_until: watch::Sender<Option<Instant>>,
}

impl Demand {
    /// Creates the state before any request and any read.
    pub(super) fn new() -> Self {
        Self { asked: Notify::new(), fresh_until: watch::Sender::new(None) }
    }

    /// Notes a request. If the last read is too old, waits for the next one, for at most [`PATIENCE`].
    pub(super) async fn ask(&self) {
        let mut fresh_until = self.fresh_until.subscribe();
        let is_old = fresh_until.borrow_and_update().is_none_or(|until| until < Instant::now());
        self.asked.notify_one();
        if is_old {
            let _ = timeout(PATIENCE, fresh_until.changed()).await;
        }
    }

    /// Notes that a read which began at `begun` has ended. Waits until the next read is due: after a pause,
    /// and once a request has arrived.
    pub(super) async fn looked(&self, begun: Instant) {
        let took = begun.elapsed();
        let pause = OFTEN.max(took * SPARING);
        // While requests arrive, the next read begins after the pause and takes about as long as this one.
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

    /// Starts reads that take `takes` each and are counted when they end.
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
    async fn without_requests_there_is_one_read() {
        let (demand, looks) = looking(SECOND / 10);
        sleep(3600 * SECOND).await;
        assert_eq!(looks.load(Relaxed), 1, "the run is read once at the start");
        demand.ask().await;
        sleep(3600 * SECOND).await;
        assert_eq!(looks.load(Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn steady_requests_cause_a_read_every_two_seconds() {
        let (demand, looks) = looking(SECOND / 10);
        for _ in 0..600 {
            demand.ask().await;
            sleep(SECOND / 10).await;
        }
        let looks = looks.load(Relaxed);
        assert!((28..=31).contains(&looks), "{looks} in a minute");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_reads_take_a_fifth_of_the_time() {
        let (demand, looks) = looking(10 * SECOND);
        for _ in 0..600 {
            demand.ask().await;
            sleep(SECOND).await;
        }
        let looks = looks.load(Relaxed);
        assert!((11..=13).contains(&looks), "{looks} in ten minutes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_after_an_idle_time_waits_for_a_read_but_not_for_a_slow_one() {
        for (takes, seen, waits) in [(SECOND, 2, SECOND), (10 * SECOND, 1, PATIENCE)] {
            let (demand, looks) = looking(takes);
            sleep(3600 * SECOND).await;
            let asked = Instant::now();
            demand.ask().await;
            assert_eq!((looks.load(Relaxed), asked.elapsed().as_secs()), (seen, waits.as_secs()));
        }
    }
}
