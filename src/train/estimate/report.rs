//! What `train --dry-run` prints: parameters, FLOPs, memory and time as a table for people.
//!
//! <https://arxiv.org/abs/2403.19651> trains the base model on 64 TPUs in six hours.

use std::fmt;
use std::time::Duration;

use super::flops::Flops;
use super::memory::Memory;
use super::size::Parameters;
use crate::train::units;

/// The share of the peak that is assumed where nothing was measured: the aim of the project.
const ASSUMED_MFU: f64 = 0.4;

/// Everything that the table says.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Parameters by part.
    pub parameters: Parameters,
    /// FLOPs of a triplet, forward.
    pub flops: Flops,
    /// FLOPs of a triplet with the backward pass and what is computed again.
    pub computed: f64,
    /// Device memory of one rank.
    pub memory: Memory,
    /// Memory of the device in bytes, if there is one to ask.
    pub device_bytes: Option<u64>,
    /// FLOP/s of all devices together, as measured by a matrix product; `None` where it was not.
    pub peak: Option<f64>,
    /// Steps of the run.
    pub steps: u64,
    /// Triplets of a step over all ranks.
    pub batch: u64,
    /// Triplets in the shards, if they were counted.
    pub triplets: Option<u64>,
}

impl Report {
    /// Triplets a second at the assumed utilisation, and the time that all steps take.
    pub fn expected(&self) -> Option<(f64, Duration)> {
        let rate = self.peak? * ASSUMED_MFU / self.flops.training();
        let seconds = (self.steps * self.batch) as f64 / rate;
        Some((rate, Duration::try_from_secs_f64(seconds).ok()?))
    }

    /// Whether the estimate is above what the device has.
    pub fn is_too_large(&self) -> bool {
        self.device_bytes.is_some_and(|bytes| self.memory.total() > bytes)
    }

    fn parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.parameters;
        writeln!(f, "parameters       {:>12}", units::count(all.total()))?;
        for (part, number) in [
            ("image tower", all.vision),
            ("text tower", all.text),
            ("fusion", all.fusion),
            ("pooler", all.pooler),
        ] {
            writeln!(f, "  {part:<14} {:>12}", units::count(number))?;
        }
        Ok(())
    }

    fn flops(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let giga = |flops: f64| format!("{:.1} GFLOP", flops / 1e9);
        let training = self.flops.training();
        writeln!(f, "a triplet        {:>12}, forward and backward", giga(training))?;
        if self.computed > training {
            writeln!(f, "  recomputed     {:>12} more", giga(self.computed - training))?;
        }
        Ok(())
    }

    fn memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.memory;
        writeln!(f, "memory, about    {:>12} a rank", units::bytes(memory.total()))?;
        for (part, bytes) in [
            ("weights", memory.weights),
            ("gradients", memory.gradients),
            ("optimizer", memory.optimizer),
            ("cast weights", memory.cast),
            ("activations", memory.activations),
            ("contrast", memory.contrast),
            ("pixels", memory.pixels),
        ] {
            writeln!(f, "  {part:<14} {:>12}", units::bytes(bytes))?;
        }
        let Some(device) = self.device_bytes else { return Ok(()) };
        let advice = if self.is_too_large() { ": too little, lower batch.chunk" } else { "" };
        writeln!(f, "  the device has {:>12}{advice}", units::bytes(device))
    }

    fn time(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.steps * self.batch;
        writeln!(
            f,
            "steps            {:>12} of {}",
            units::count(self.steps),
            units::count(self.batch)
        )?;
        if let Some(triplets) = self.triplets {
            let passes = seen as f64 / triplets.max(1) as f64;
            writeln!(
                f,
                "  passes         {passes:>12.2} over {} triplets",
                units::count(triplets)
            )?;
        }
        let Some((rate, time)) = self.expected() else {
            return writeln!(f, "time             not estimated: no device was measured");
        };
        let peak = self.peak.unwrap_or_default() / 1e12;
        let share = units::percent(ASSUMED_MFU);
        writeln!(
            f,
            "time, about      {:>12} at {share} of {peak:.1} TFLOP/s",
            units::duration(time)
        )?;
        writeln!(f, "  triplets/s     {:>12}", units::rate(rate))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parameters(f)?;
        self.flops(f)?;
        self.memory(f)?;
        self.time(f)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Footprint, ModelSize, Work};
    use super::*;

    fn report() -> Report {
        let size = ModelSize::base();
        let work =
            Work { text_tokens: 20.0, hard_negatives: 0.0, query_negatives: true, batch: 2048 };
        let step = Footprint {
            rows: 2048,
            batch: 2048,
            chunk: 128,
            held: 0,
            images: 2.0,
            text_tokens: 20.0,
            element: 2,
            recompute_blocks: 0,
            ema: false,
        };
        let flops = Flops::of(&size, &work);
        Report {
            parameters: size.parameters(),
            flops,
            computed: flops.with_recomputation(0.0, false),
            memory: Memory::of(&size, &step),
            device_bytes: Some(85_000_000_000),
            peak: Some(780e12),
            steps: 50_000,
            batch: 2048,
            triplets: Some(36_700_000),
        }
    }

    #[test]
    fn one_pass_at_the_aim_takes_less_than_seven_hours() {
        let (rate, time) = report().expected().unwrap();
        assert!((1_500.0..1_600.0).contains(&rate), "{rate}");
        let pass = time.as_secs_f64() / 3600.0 * 36.7e6 / (50_000.0 * 2048.0);
        assert!((6.4..6.7).contains(&pass), "{pass} h");
    }

    #[test]
    fn the_table_says_what_is_known() {
        insta::assert_snapshot!(report());
    }

    #[test]
    fn the_table_warns_and_leaves_out() {
        let mut report = report();
        report.device_bytes = Some(8_000_000_000);
        report.computed = report.flops.training();
        report.peak = None;
        report.triplets = None;
        let text = report.to_string();
        assert!(text.contains("8.0 GB: too little, lower batch.chunk\n"), "{text}");
        assert!(text.contains("no device was measured"), "{text}");
        assert!(!text.contains("recomputed") && !text.contains("passes"), "{text}");
    }
}
