//! The time in which nobody asks, because the endpoint said that it is busy.

use std::time::Duration;

use governor::Jitter;
use tokio::time::Instant;

use super::Wait;

/// The first pause where the endpoint named none; later ones double.
const FIRST: Duration = Duration::from_millis(500);
/// The longest of these, before a quarter of it is added at random: at most 30 s in all.
const LONGEST: Duration = Duration::from_secs(24);
/// The longest pause that an endpoint is granted.
const LONGEST_ASKED: Duration = Duration::from_secs(600);
/// Over this time a limit's worth of requests is spread after a pause.
const SPREAD: Duration = Duration::from_secs(1);

/// When the next request may be sent.
#[derive(Default)]
pub(super) struct Pause {
    until: Option<Instant>,
    /// Requests are apart from one another until here.
    spread: Option<Instant>,
    /// The pause before this one, if nothing succeeded since.
    last: Option<Duration>,
    era: u64,
}

impl Pause {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Counts the refusals that were news. Who asked in an earlier one knew nothing of the later.
    pub(super) fn era(&self) -> u64 {
        self.era
    }

    pub(super) fn clear(&self, now: Instant) -> Result<(), Wait> {
        self.until.filter(|until| *until > now).map_or(Ok(()), |until| Err(Wait::Until(until)))
    }

    /// Keeps the next request apart from this one, if a pause has just ended.
    pub(super) fn sent(&mut self, now: Instant, limit: usize) {
        if self.spread.is_some_and(|spread| now < spread) {
            // From when this one was due: a late timer is no reason to be late from then on.
            self.until = self.until.map(|due| due + upto(SPREAD.div_f64(limit.max(1) as f64)));
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.last = None;
    }

    /// Whether a refusal of a request that was sent in `era` was news, and not the rest of a burst.
    /// Only news makes the endpoint's pause longer, unless it asked for a longer one itself.
    pub(super) fn busy(&mut self, now: Instant, era: u64, after: Option<Duration>) -> bool {
        let news = era == self.era;
        match after.filter(|after| !after.is_zero()) {
            Some(after) => self.hold(now + after.min(LONGEST_ASKED)),
            None if news => {
                let pause = self.last.map_or(FIRST, |last| (last * 2).min(LONGEST));
                self.last = Some(pause);
                self.hold(now + pause + upto(pause / 4));
            }
            None => {}
        }
        self.era += u64::from(news);
        news
    }

    fn hold(&mut self, until: Instant) {
        if self.until.is_none_or(|held| held < until) {
            self.until = Some(until);
            self.spread = Some(until + SPREAD);
        }
    }
}

fn upto(longest: Duration) -> Duration {
    Jitter::up_to(longest) + Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(pause: &Pause, now: Instant) -> f64 {
        match pause.clear(now) {
            Err(Wait::Until(until)) => (until - now).as_secs_f64(),
            _ => 0.0,
        }
    }

    #[test]
    fn pauses_double_until_a_success() {
        let mut now = Instant::now();
        let mut pause = Pause::new();
        for expected in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 24.0] {
            assert!(pause.busy(now, pause.era(), None));
            let seconds = left(&pause, now);
            assert!((expected..=expected * 1.25).contains(&seconds), "{seconds}, not {expected}");
            now += Duration::from_secs_f64(seconds);
            assert_eq!(pause.clear(now), Ok(()));
        }
        pause.succeeded();
        pause.busy(now, pause.era(), Some(Duration::ZERO));
        assert!(left(&pause, now) < 0.7, "0 is no pause that an endpoint can mean");
    }

    #[test]
    fn a_burst_is_one_refusal() {
        let now = Instant::now();
        let mut pause = Pause::new();
        let era = pause.era();
        assert_eq!((0..1000).filter(|_| pause.busy(now, era, None)).count(), 1);
        assert!(left(&pause, now) < 0.7);
    }

    #[test]
    fn the_longest_that_was_asked_for_holds() {
        let now = Instant::now();
        let mut pause = Pause::new();
        let era = pause.era();
        for seconds in [20, 60, 5] {
            pause.busy(now, era, Some(Duration::from_secs(seconds)));
        }
        pause.busy(now, pause.era(), None);
        pause.succeeded();
        assert_eq!(left(&pause, now), 60.0);
        pause.busy(now, era, Some(Duration::MAX));
        assert_eq!(left(&pause, now), 600.0);
    }

    #[test]
    fn requests_are_spread_after_a_pause() {
        let mut now = Instant::now();
        let mut pause = Pause::new();
        pause.sent(now, 100);
        assert_eq!(pause.clear(now), Ok(()), "there was none yet");
        pause.busy(now, pause.era(), Some(Duration::from_secs(2)));
        now += Duration::from_secs(2);
        let start = now;
        for _ in 0..100 {
            assert_eq!(pause.clear(now), Ok(()));
            pause.sent(now, 100);
            now += Duration::from_secs_f64(left(&pause, now));
        }
        let seconds = (now - start).as_secs_f64();
        assert!((0.3..=0.7).contains(&seconds), "{seconds}");
        now += SPREAD;
        pause.sent(now, 100);
        assert_eq!(pause.clear(now), Ok(()));
    }
}
