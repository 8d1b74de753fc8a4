//! How often a request is tried again: some times for each, and not more than a share of all.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use governor::Jitter;

/// The first pause is at most this; later ones double.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What all requests together may spend on tries again, so that a failing endpoint is not asked
/// several times as often as a working one. As in the AWS SDKs
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>).
pub struct RetryQuota {
    capacity: u32,
    left: AtomicU32,
}

impl RetryQuota {
    /// A full quota.
    pub fn new(capacity: u32) -> Self {
        Self { capacity, left: AtomicU32::new(capacity) }
    }

    /// Takes `cost` if there is as much.
    pub fn try_take(&self, cost: u32) -> bool {
        self.change(|left| left.checked_sub(cost))
    }

    /// Gives 1 back, as far as there is room: to be called at each success.
    pub fn succeeded(&self) {
        self.change(|left| (left < self.capacity).then_some(left + 1));
    }

    /// What is left of it.
    #[cfg(test)]
    pub fn left(&self) -> u32 {
        self.left.load(Ordering::Relaxed)
    }

    // Relaxed: nothing else is read by what it says.
    fn change(&self, to: impl Fn(u32) -> Option<u32>) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, to).is_ok()
    }
}

/// The pauses between the tries of one request, each random below a bound that doubles to 30 s: full
/// jitter, so that requests that failed together are not tried together
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
pub struct Pauses(ExponentialBackoff);

impl Pauses {
    /// At most `retries` pauses.
    pub fn new(retries: usize) -> Self {
        let bounds = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(retries);
        Self(bounds.build())
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let bound = self.0.next()?;
        Some(Jitter::up_to(bound) + Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quota_is_spent_and_earned() {
        let quota = RetryQuota::new(10);
        assert!(quota.try_take(5) && quota.try_take(5));
        assert!(!quota.try_take(5) && !quota.try_take(1));
        (0..4).for_each(|_| quota.succeeded());
        assert!(!quota.try_take(5), "4 are left");
        assert!(quota.try_take(0) && quota.try_take(4));
        (0..100).for_each(|_| quota.succeeded());
        assert_eq!(quota.left(), 10, "never more than the capacity");
        assert!(!RetryQuota::new(0).try_take(1));
    }

    #[test]
    fn threads_take_no_more_than_there_is() {
        let quota = RetryQuota::new(1000);
        let taken = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while quota.try_take(3) {
                        taken.fetch_add(3, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!((taken.into_inner(), quota.left()), (999, 1));
    }

    #[test]
    fn pauses_are_bounded_jittered_and_end() {
        let mut means = [0.0; 9];
        for _ in 0..2000 {
            let pauses: Vec<_> = Pauses::new(9).collect();
            assert_eq!(pauses.len(), 9);
            for (mean, pause) in means.iter_mut().zip(pauses) {
                *mean += pause.as_secs_f64() / 2000.0;
            }
        }
        for (mean, bound) in
            means.into_iter().zip([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0])
        {
            assert!((mean / bound - 0.5_f64).abs() < 0.1, "{mean} of {bound}");
        }
        assert_eq!(Pauses::new(0).next(), None);
        assert!(Pauses::new(1000).all(|pause| pause <= LONGEST_PAUSE));
    }
}
