//! Requests and tokens per minute, as most endpoints count them.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use magiclens_common::telemetry::TokioClock;

/// So many seconds' worth of requests may go at once, and as much is caught up on after a lull.
const REQUESTS_BURST: u32 = 2;
/// The same for tokens: a request is many of them.
const TOKENS_BURST: u32 = 10;

/// What an endpoint grants per minute.
pub(super) struct Rates {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

/// What one request has yet to pay. Kept over waits, so that nothing is paid twice.
pub(super) struct Bill {
    requests: u32,
    tokens: u32,
}

impl Rates {
    /// Buckets that begin full; 0 for no limit.
    pub(super) fn new(requests_per_minute: u32, tokens_per_minute: u32) -> Self {
        Self {
            requests: Bucket::new(requests_per_minute, REQUESTS_BURST),
            tokens: Bucket::new(tokens_per_minute, TOKENS_BURST),
        }
    }

    /// What one request of `tokens` tokens costs: at most a minute's worth, or it could never go.
    pub(super) fn bill(&self, tokens: u64) -> Bill {
        let most = self.tokens.as_ref().map_or(0, |bucket| bucket.per_minute);
        Bill { requests: 1, tokens: u32::try_from(tokens).unwrap_or(u32::MAX).min(most) }
    }

    /// Pays as much of `bill` as there is, or says when there is more.
    pub(super) fn pay(&self, bill: &mut Bill) -> Result<(), Instant> {
        if let Some(requests) = &self.requests {
            requests.pay(&mut bill.requests)?;
        }
        if let Some(tokens) = &self.tokens {
            tokens.pay(&mut bill.tokens)?;
        }
        Ok(())
    }
}

struct Bucket {
    limiter: RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<std::time::Instant>>,
    per_minute: u32,
    burst: NonZeroU32,
}

impl Bucket {
    fn new(per_minute: u32, burst_seconds: u32) -> Option<Self> {
        let rate = NonZeroU32::new(per_minute)?;
        let burst = u64::from(per_minute) * u64::from(burst_seconds) / 60;
        let burst = u32::try_from(burst).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_minute(rate).allow_burst(burst);
        let limiter = RateLimiter::direct_with_clock(quota, TokioClock);
        Some(Self { limiter, per_minute, burst })
    }

    /// In portions that fit into the bucket, so that a request that is larger than it pays in full.
    fn pay(&self, left: &mut u32) -> Result<(), Instant> {
        while let Some(portion) = NonZeroU32::new((*left).min(self.burst.get())) {
            let paid =
                self.limiter.check_n(portion).expect("a portion is no larger than the burst");
            if let Err(not_until) = paid {
                // A wait of nothing would have the caller spin.
                let wait = not_until.wait_time_from(TokioClock.now()).max(Duration::from_millis(1));
                return Err(Instant::now() + wait);
            }
            *left -= portion.get();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds that `requests` requests of `tokens` tokens take, one after the other.
    async fn seconds_for(rates: &Rates, requests: usize, tokens: u64) -> f64 {
        let start = Instant::now();
        for _ in 0..requests {
            let mut bill = rates.bill(tokens);
            while let Err(until) = rates.pay(&mut bill) {
                tokio::time::sleep_until(until).await;
            }
        }
        start.elapsed().as_secs_f64()
    }

    #[track_caller]
    fn assert_near(seconds: f64, expected: f64) {
        assert!((seconds - expected).abs() < 0.02 * expected + 0.1, "{seconds}, not {expected}");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_reach_the_rate_and_not_more() {
        let rates = Rates::new(6000, 0);
        assert_near(seconds_for(&rates, 200, 1_000_000).await, 0.0);
        assert_near(seconds_for(&rates, 6000, 1_000_000).await, 60.0);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_near(seconds_for(&rates, 6000, 1_000_000).await, 58.0);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_rates_send_one_at_a_time() {
        assert_near(seconds_for(&Rates::new(1, 0), 4, 0).await, 180.0);
        assert_near(seconds_for(&Rates::new(6, 1), 4, 0).await, 30.0);
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_reach_the_rate_and_not_more() {
        let rates = Rates::new(0, 600_000);
        assert_near(seconds_for(&rates, 100, 1000).await, 0.0);
        assert_near(seconds_for(&rates, 1000, 1000).await, 100.0);
    }

    #[tokio::test(start_paused = true)]
    async fn large_requests_pay_in_full_up_to_a_minute() {
        let rates = Rates::new(0, 6000);
        assert_near(seconds_for(&rates, 1, 3000).await, 20.0);
        assert_near(seconds_for(&rates, 1, u64::MAX).await, 60.0);
        assert_near(seconds_for(&Rates::new(0, 3), 1, 2).await, 20.0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_rates_are_as_good_as_none() {
        let rates = Rates::new(u32::MAX, u32::MAX);
        assert_near(seconds_for(&rates, 100_000, 1000).await, 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_paid_twice() {
        let rates = Rates::new(2, 2);
        assert!(rates.pay(&mut rates.bill(0)).is_ok());
        assert!(rates.pay(&mut rates.bill(1)).is_err(), "the one request is spent");
        tokio::time::advance(Duration::from_secs(30)).await;
        let mut bill = rates.bill(2);
        assert!(rates.pay(&mut bill).is_err(), "the request is paid and one token");
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(rates.pay(&mut bill).is_ok());
    }
}
