//! The progress of a training run: a line on a terminal that is drawn again each step, and log
//! lines elsewhere, one every few seconds however short the steps are.
//!
//! Unlike `telemetry::Progress` it needs no runtime: the loop is synchronous and draws it itself.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::units;

/// The pause between two log lines where nothing is drawn, as in the other commands.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// What one line says.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Steps done.
    pub step: u64,
    /// Steps of the run.
    pub steps: u64,
    /// Loss of the latest step; `None` before the first one.
    pub loss: Option<f64>,
    /// Triplets a second over all ranks.
    pub rate: f64,
    /// Model FLOP utilisation, 0 to 1; `None` where the peak was not measured.
    pub mfu: Option<f64>,
    /// GPU memory in use on this rank, in bytes; `None` on a CPU.
    pub gpu_bytes: Option<u64>,
    /// The share of time, 0 to 1, in which data was waited for.
    pub wait_share: f64,
    /// The time left; `None` while it is not known.
    pub eta: Option<Duration>,
}

impl Status {
    /// Writes `step 1,200/50,000  loss 2.31  1,432 triplets/s  MFU 38 %  …  ETA 9 h 12 min`; what
    /// is not known is left out.
    pub fn line(&self) -> String {
        let known = [
            Some(format!("step {}/{}", units::count(self.step), units::count(self.steps))),
            self.loss.map(|value| format!("loss {}", loss(value))),
            Some(format!("{} triplets/s", units::rate(self.rate))),
            self.mfu.map(|mfu| format!("MFU {}", units::percent(mfu))),
            self.gpu_bytes.map(units::bytes),
            Some(format!("data wait {}", units::percent(self.wait_share))),
            self.eta.map(|eta| format!("ETA {}", units::duration(eta))),
        ];
        known.into_iter().flatten().collect::<Vec<_>>().join("  ")
    }
}

/// Three significant digits: a loss near zero still moves.
fn loss(value: f64) -> String {
    match value.abs() {
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        size if size >= 0.001 => format!("{value:.4}"),
        _ => format!("{value:.1e}"),
    }
}

/// Where lines go.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    logged: Option<Instant>,
}

impl Progress {
    /// Begins. `bars` is what `telemetry::init` gave; `json` keeps to log lines also on a terminal.
    pub fn begin(bars: &MultiProgress, json: bool) -> Self {
        let bar = (io::stderr().is_terminal() && !json).then(|| {
            let style = ProgressStyle::with_template("{wide_msg}").expect("a constant template");
            bars.add(ProgressBar::new_spinner()).with_style(style)
        });
        Self { bar, logged: None }
    }

    /// Shows how far the run is; to be called after each step.
    pub fn show(&mut self, status: &Status) {
        match &self.bar {
            Some(bar) => bar.set_message(status.line()),
            None => self.log(status, Instant::now()),
        }
    }

    /// Logs a line unless the one before is too fresh; says whether it did.
    fn log(&mut self, status: &Status, now: Instant) {
        if self.is_due(now) {
            self.logged = Some(now);
            tracing::info!("{}", status.line());
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.logged.is_none_or(|last| now.duration_since(last) >= LOG_EVERY)
    }

    /// Ends the line; the last status stays in the log.
    pub fn finish(self, status: &Status) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
        tracing::info!("{}", status.line());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            step: 1_200,
            steps: 50_000,
            loss: Some(2.3149),
            rate: 1_432.2,
            mfu: Some(0.38),
            gpu_bytes: Some(61_200_000_000),
            wait_share: 0.004,
            eta: Some(Duration::from_secs(33_120)),
        }
    }

    #[test]
    fn a_line_on_a_gpu_says_all() {
        assert_eq!(
            status().line(),
            "step 1,200/50,000  loss 2.31  1,432 triplets/s  MFU 38 %  61.2 GB  \
             data wait 0.4 %  ETA 9 h 12 min"
        );
    }

    #[test]
    fn a_line_on_a_cpu_leaves_out_what_is_not_known() {
        let status = Status { mfu: None, gpu_bytes: None, eta: None, rate: 3.2, ..status() };
        assert_eq!(status.line(), "step 1,200/50,000  loss 2.31  3.2 triplets/s  data wait 0.4 %");
    }

    #[test]
    fn a_loss_keeps_its_digits() {
        let losses = [0.0, 8.317, 12.345, 0.04567, 0.000_012_3, f64::NAN];
        let written = ["0.00", "8.32", "12.3", "0.0457", "1.2e-5", "NaN"];
        assert_eq!(losses.map(loss), written);
    }

    #[test]
    fn log_lines_keep_their_distance() {
        let mut progress = Progress { bar: None, logged: None };
        let start = Instant::now();
        let due: Vec<bool> = [0, 1, 9, 10, 11, 20, 45]
            .map(|second| {
                let now = start + Duration::from_secs(second);
                let due = progress.is_due(now);
                progress.log(&status(), now);
                due
            })
            .to_vec();
        assert_eq!(due, [true, false, false, true, false, true, true]);
    }
}
