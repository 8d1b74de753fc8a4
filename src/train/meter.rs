//! How fast a run goes: triplets a second over the last while, model FLOP utilisation (MFU), the
//! share of time spent waiting for data, and the time left.
//!
//! Time comes in as an argument: nothing here looks at a clock. MFU is that of PaLM, appendix B,
//! with recomputation not counted: <https://arxiv.org/abs/2204.02311>.

use std::collections::VecDeque;
use std::time::Duration;

/// One step as the meter sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepTime {
    /// Triplets of the step over all ranks.
    pub triplets: u64,
    /// Wall time of the step, waiting included; without evaluation and checkpoints.
    pub took: Duration,
    /// The part of it in which the batch was waited for.
    pub waited: Duration,
}

/// The latest steps that together took at least a given time, and no step more.
///
/// Sums are kept in whole nanoseconds, so they do not drift over 50,000 steps.
#[derive(Clone, Debug)]
pub struct Window {
    span: Duration,
    steps: VecDeque<StepTime>,
    sum: StepTime,
}

impl Window {
    /// Makes an empty one that reaches back over `span`.
    pub fn new(span: Duration) -> Self {
        let sum = StepTime { triplets: 0, took: Duration::ZERO, waited: Duration::ZERO };
        Self { span, steps: VecDeque::new(), sum }
    }

    /// Takes in a step and forgets those that are too long ago.
    pub fn push(&mut self, step: StepTime) {
        self.sum.triplets += step.triplets;
        self.sum.took += step.took;
        self.sum.waited += step.waited;
        self.steps.push_back(step);
        while let Some(oldest) = self.steps.front().copied()
            && self.steps.len() > 1
            && self.sum.took - oldest.took >= self.span
        {
            self.sum.triplets -= oldest.triplets;
            self.sum.took -= oldest.took;
            self.sum.waited -= oldest.waited;
            self.steps.pop_front();
        }
    }

    /// Triplets a second, or 0 where no time has passed.
    pub fn rate(&self) -> f64 {
        per(self.sum.triplets as f64, self.sum.took.as_secs_f64())
    }

    /// The share of the time, 0 to 1, in which data was waited for.
    pub fn wait_share(&self) -> f64 {
        per(self.sum.waited.as_secs_f64(), self.sum.took.as_secs_f64())
    }

    /// How many steps it holds.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether no step was taken in yet.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// Gives `model FLOP/s ÷ peak FLOP/s`, 0 to 1: `flops` of one triplet (forward and backward),
/// `rate` in triplets a second over all ranks, `peak` in FLOP/s of all GPUs together as measured.
///
/// With the FLOPs of recomputation in `flops` it is the hardware's utilisation instead.
pub fn mfu(flops: f64, rate: f64, peak: f64) -> f64 {
    per(flops * rate, peak)
}

/// Counts the steps of this session against those of the run.
#[derive(Clone, Debug)]
pub struct Meter {
    window: Window,
    steps: u64,
    done: u64,
    stepping: Duration,
    pausing: Duration,
    since: u64,
}

impl Meter {
    /// Begins at step `done` of `steps`; rates are those of the last `span`.
    pub fn new(steps: u64, done: u64, span: Duration) -> Self {
        let (stepping, pausing) = (Duration::ZERO, Duration::ZERO);
        Self { window: Window::new(span), steps, done, stepping, pausing, since: done }
    }

    /// Takes in one step.
    pub fn step(&mut self, step: StepTime) {
        self.window.push(step);
        self.stepping += step.took;
        self.done += 1;
    }

    /// Takes in time beside the steps: evaluation, checkpoints. It slows the run, not the rate.
    pub fn pause(&mut self, took: Duration) {
        self.pausing += took;
    }

    /// The latest steps.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The time left: what the remaining steps take at the pace of the window, with a share of
    /// pauses like that so far. `None` before the first step of the session.
    pub fn eta(&self) -> Option<Duration> {
        if self.done == self.since || self.stepping.is_zero() {
            return None;
        }
        let pace = self.window.sum.took.as_secs_f64() / self.window.len() as f64;
        let pauses = self.pausing.as_secs_f64() / self.stepping.as_secs_f64();
        let left = self.steps.saturating_sub(self.done) as f64;
        Duration::try_from_secs_f64(left * pace * (1.0 + pauses)).ok()
    }
}

/// A quotient that is 0 where there is nothing to divide by.
fn per(amount: f64, by: f64) -> f64 {
    if by > 0.0 { amount / by } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(triplets: u64, took_ms: u64, waited_ms: u64) -> StepTime {
        let [took, waited] = [took_ms, waited_ms].map(Duration::from_millis);
        StepTime { triplets, took, waited }
    }

    #[test]
    fn the_rate_is_that_of_the_last_while() {
        let mut window = Window::new(Duration::from_secs(10));
        assert_eq!((window.rate(), window.wait_share(), window.len()), (0.0, 0.0, 0));
        window.push(step(2048, 60_000, 50_000));
        assert!((window.rate() - 2048.0 / 60.0).abs() < 1e-9);
        for _ in 0..10 {
            window.push(step(2048, 2_000, 100));
        }
        // The slow first step is out: five steps of two seconds make the ten.
        assert_eq!((window.len(), window.rate()), (5, 1024.0));
        assert!((window.wait_share() - 0.05).abs() < 1e-9);
    }

    #[test]
    fn utilisation_is_the_share_of_the_peak() {
        // 1,450 triplets/s of 215 GFLOP on an H100 that multiplies at 780 TFLOP/s.
        assert!((mfu(215e9, 1450.0, 780e12) - 0.3997).abs() < 1e-4);
        assert_eq!(mfu(215e9, 1450.0, 0.0), 0.0);
    }

    #[test]
    fn the_time_left_counts_pauses_and_only_this_session() {
        let mut meter = Meter::new(50_000, 40_000, Duration::from_secs(30));
        assert_eq!(meter.eta(), None);
        for _ in 0..100 {
            meter.step(step(2048, 1_500, 0));
        }
        assert_eq!(meter.eta(), Some(Duration::from_millis(9_900 * 1_500)));
        meter.pause(Duration::from_secs(15));
        let eta = meter.eta().unwrap().as_secs_f64();
        assert!((eta - 9_900.0 * 1.5 * 1.1).abs() < 1e-6, "{eta}");
        let mut over = Meter::new(1, 0, Duration::from_secs(30));
        over.step(step(1, 10, 0));
        assert_eq!(over.eta(), Some(Duration::ZERO));
    }

    proptest! {
        #[test]
        fn a_window_is_the_shortest_tail_that_lasts_long_enough(
            steps in prop::collection::vec((0u64..5000, 0u64..3000, 0u64..3000), 1..60),
            span in 1u64..8000,
        ) {
            let steps: Vec<_> =
                steps.into_iter().map(|(n, took, wait)| step(n, took, wait.min(took))).collect();
            let span = Duration::from_millis(span);
            let mut window = Window::new(span);
            for (at, &next) in steps.iter().enumerate() {
                window.push(next);
                let tails = (0..=at).rev().map(|from| &steps[from..=at]);
                let lasts = |tail: &[StepTime]| tail.iter().map(|s| s.took).sum::<Duration>();
                let tail = tails.clone().find(|tail| lasts(tail) >= span).unwrap_or(&steps[..=at]);
                prop_assert_eq!(window.len(), tail.len());
                let triplets = tail.iter().map(|s| s.triplets).sum::<u64>() as f64;
                let seconds = lasts(tail).as_secs_f64();
                let rate = if seconds == 0.0 { 0.0 } else { triplets / seconds };
                prop_assert_eq!(window.rate(), rate);
                prop_assert!((0.0..=1.0).contains(&window.wait_share()));
            }
        }
    }
}
