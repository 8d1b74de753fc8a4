//! The learning rate of each step: a linear warm-up, then half a cosine (arXiv 1608.03983).

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::config;
use super::optimizer::Rates;

/// A pure function of the step, so that a restart needs no state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// Highest rate of the fusion and the pooler.
    pub rate_new: f64,
    /// Highest rate of CLIP's weights.
    pub rate_reused: f64,
    /// Steps until the highest rates, 0 for none.
    pub warmup_steps: u64,
    /// Steps of the run.
    pub steps: u64,
    /// Share of the highest rates that is left at the end, and after it.
    pub floor: f64,
}

impl Default for Schedule {
    /// The paper's rates as far as they are known, over up to 50,000 steps.
    fn default() -> Self {
        Self { rate_new: 2e-5, rate_reused: 2e-6, warmup_steps: 500, steps: 50_000, floor: 0.0 }
    }
}

impl Schedule {
    /// Reads a recipe's section; a constant rate is one whose floor is the top.
    pub fn of(optimizer: &config::Optimizer, steps: u64) -> Self {
        let floor = match optimizer.schedule {
            config::Schedule::Cosine => optimizer.lr_floor,
            config::Schedule::Constant => 1.0,
        };
        Self {
            rate_new: optimizer.lr_new,
            rate_reused: optimizer.lr_reused,
            warmup_steps: optimizer.warmup_steps,
            steps,
            floor,
        }
    }

    /// Rates of a step, from 0 on. The first is not 0, or it would be a step for nothing.
    pub fn rates(&self, step: u64) -> Rates {
        let factor = self.factor(step);
        Rates { new: self.rate_new * factor, reused: self.rate_reused * factor }
    }

    /// Share of the highest rates, in (0, 1] before the end.
    pub fn factor(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return (step + 1) as f64 / self.warmup_steps as f64;
        }
        let length = self.steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let progress = ((step - self.warmup_steps) as f64 / length).min(1.0);
        self.floor + (1.0 - self.floor) * (1.0 + (PI * progress).cos()) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCHEDULE: Schedule =
        Schedule { rate_new: 2.0, rate_reused: 1.0, warmup_steps: 4, steps: 12, floor: 0.1 };

    #[test]
    fn warms_up_then_falls_to_the_floor() {
        let factors: Vec<f64> = (0..5).map(|step| SCHEDULE.factor(step)).collect();
        assert_eq!(factors, [0.25, 0.5, 0.75, 1.0, 1.0]);
        assert!((SCHEDULE.factor(8) - 0.55).abs() < 1e-12, "half way");
        assert!((SCHEDULE.factor(12) - 0.1).abs() < 1e-12);
        assert_eq!(SCHEDULE.factor(1000), SCHEDULE.factor(12));
        assert_eq!(SCHEDULE.rates(1), Rates { new: 1.0, reused: 0.5 });
    }

    proptest! {
        #[test]
        fn rises_then_falls_and_stays_within_bounds(
            warmup in 0_u64..50, rest in 0_u64..100, floor in 0.0_f64..1.0,
        ) {
            let schedule = Schedule { warmup_steps: warmup, steps: warmup + rest, floor, ..SCHEDULE };
            let factors: Vec<f64> = (0..warmup + rest + 3).map(|s| schedule.factor(s)).collect();
            prop_assert!(factors.iter().all(|&f| f > 0.0 || floor == 0.0));
            prop_assert!(factors.iter().all(|&f| f <= 1.0 + 1e-12));
            let (up, down) = factors.split_at(warmup as usize);
            prop_assert!(up.is_sorted());
            prop_assert!(down.is_sorted_by(|a, b| a >= b));
        }
    }
}
