//! How many requests may be in flight: halved when the endpoint is busy, grown while it answers.
//!
//! As TCP with slow start towards a curve instead of a threshold. From its last refusal on, the curve
//! runs from half of the limit that was refused back to all of it, lingers there, and then leaves it
//! behind, faster and faster. The idea is CUBIC's (<https://www.rfc-editor.org/rfc/rfc9438>), with
//! 2^(t³) for its polynomial: a limit of 2,000 comes back in the same time as one of 20, and one
//! that fell to 1 by mistake is forgotten in half a minute.

use std::time::Duration;

use tokio::time::Instant;

use super::Wait;

/// From a refusal until the limit that was refused is tried again.
const RECOVERY: Duration = Duration::from_secs(10);
/// Refusals within this time count once: a burst learns of them one by one.
const STORM: Duration = Duration::from_secs(1);

/// The slots of one endpoint.
pub(super) struct Gate {
    cap: f64,
    limit: f64,
    in_flight: usize,
    refused: Option<Refused>,
    /// Whether anything succeeded since the limit was last halved.
    proven: bool,
}

/// What the endpoint last refused.
#[derive(Clone, Copy)]
struct Refused {
    limit: f64,
    at: Instant,
}

impl Gate {
    pub(super) fn new(concurrency: usize) -> Self {
        let cap = concurrency.max(1) as f64;
        Self { cap, limit: cap, in_flight: 0, refused: None, proven: true }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    pub(super) fn clear(&self) -> Result<(), Wait> {
        if self.in_flight < self.limit() { Ok(()) } else { Err(Wait::Turn) }
    }

    pub(super) fn enter(&mut self) {
        self.in_flight += 1;
    }

    pub(super) fn leave(&mut self) {
        self.in_flight -= 1;
    }

    /// Adds a slot, which doubles them per round of answers, as far as the curve.
    pub(super) fn succeeded(&mut self, now: Instant) {
        self.proven = true;
        self.limit = (self.limit + 1.0).min(self.curve(now)).max(self.limit);
    }

    /// Halves the slots.
    pub(super) fn busy(&mut self, now: Instant) {
        let last = self.refused;
        if last.is_some_and(|last| now < last.at + STORM) {
            return;
        }
        // Refused at any limit, a storm says nothing of what the endpoint can do when it is over.
        let limit = last.filter(|_| !self.proven).map_or(self.limit, |last| last.limit);
        self.refused = Some(Refused { limit, at: now });
        self.limit = (self.limit / 2.0).max(1.0);
        self.proven = false;
    }

    fn curve(&self, now: Instant) -> f64 {
        let Some(refused) = self.refused else { return self.cap };
        let since = now.saturating_duration_since(refused.at);
        let t = since.as_secs_f64() / RECOVERY.as_secs_f64() - 1.0;
        (refused.limit * t.powi(3).exp2()).clamp(1.0, self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    /// So many successes that only the curve bounds the limit.
    fn limit_at(gate: &mut Gate, at: Instant) -> usize {
        (0..4000).for_each(|_| gate.succeeded(at));
        gate.limit()
    }

    #[test]
    fn slots_are_taken_and_left() {
        let mut gate = Gate::new(2);
        (0..2).for_each(|_| gate.enter());
        assert_eq!(gate.clear(), Err(Wait::Turn));
        gate.leave();
        assert_eq!(gate.clear(), Ok(()));
        assert_eq!((gate.in_flight(), gate.limit()), (1, 2));
        assert_eq!(Gate::new(0).limit(), 1, "else nothing would ever be asked");
    }

    #[test]
    fn a_storm_halves_once_a_second_and_never_below_one() {
        let start = Instant::now();
        let mut gate = Gate::new(2000);
        (0..1000).for_each(|burst| gate.busy(after(start, f64::from(burst) / 1001.0)));
        assert_eq!(gate.limit(), 1000);
        gate.busy(after(start, 1.0));
        assert_eq!(gate.limit(), 500);
        (2..60).for_each(|second| gate.busy(after(start, f64::from(second))));
        assert_eq!(gate.limit(), 1);
    }

    #[test]
    fn the_curve_comes_back_lingers_and_leaves() {
        let start = Instant::now();
        let mut gate = Gate::new(2000);
        gate.limit = 100.0;
        gate.busy(start);
        for (seconds, least, most) in
            [(0.0, 50, 50), (5.0, 90, 93), (9.0, 99, 100), (11.0, 100, 101), (20.0, 199, 200)]
        {
            let limit = limit_at(&mut gate, after(start, seconds));
            assert!((least..=most).contains(&limit), "{limit} after {seconds} s");
        }
        assert_eq!(limit_at(&mut gate, after(start, 30.0)), 2000, "and is bounded by the cap");
    }

    #[test]
    fn below_the_curve_it_doubles_per_round() {
        let start = Instant::now();
        let mut gate = Gate::new(2000);
        (0..6).for_each(|second| gate.busy(after(start, f64::from(second))));
        let mut rounds = 0;
        while gate.limit() < 1000 {
            (0..gate.limit()).for_each(|_| gate.succeeded(after(start, 5.0)));
            rounds += 1;
        }
        assert_eq!(rounds, 6, "31 to 1000");
        assert_eq!(gate.limit(), 1000, "a storm without one success leaves the curve high");
    }

    #[test]
    fn a_lower_capacity_is_learnt() {
        let start = Instant::now();
        let mut gate = Gate::new(2000);
        gate.busy(start);
        gate.succeeded(after(start, 1.0));
        gate.busy(after(start, 2.0));
        let limit = limit_at(&mut gate, after(start, 12.0));
        assert!(
            (1000..=1002).contains(&limit),
            "{limit}: the curve lingers at what was refused last"
        );
    }

    #[test]
    fn one_by_mistake_is_forgotten() {
        let start = Instant::now();
        let mut gate = Gate::new(2000);
        gate.limit = 1.0;
        gate.busy(start);
        assert_eq!(limit_at(&mut gate, after(start, 9.0)), 1);
        assert_eq!(limit_at(&mut gate, after(start, 33.0)), 2000);
    }
}
