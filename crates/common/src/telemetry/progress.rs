//! The progress of a stage: a line on a terminal, a log line every few seconds elsewhere.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use tokio::task::AbortHandle;

use magiclens_core::{Class, Reason};

const LOG_EVERY: Duration = Duration::from_secs(10);
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// Counts of one stage, cheap to clone and to add to.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    stage: &'static str,
    counts: Counts,
    ticker: Option<AbortHandle>,
    bar: Option<ProgressBar>,
}

#[derive(Debug)]
struct Counts {
    started: Instant,
    total: Arc<AtomicU64>,
    done: Arc<AtomicU64>,
    rejected: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl Progress {
    /// Begins a stage. `json` keeps to log lines also on a terminal.
    pub fn begin(stage: &'static str, bars: &MultiProgress, json: bool) -> Self {
        let counts = Counts::new();
        let bar = (io::stderr().is_terminal() && !json).then(|| {
            let style = ProgressStyle::with_template("{prefix:8} {wide_msg}");
            let bar = bars.add(ProgressBar::new_spinner());
            bar.with_style(style.expect("a constant template")).with_prefix(stage)
        });
        let ticker = tokio::spawn(tick(stage, counts.share(), bar.clone())).abort_handle();
        Self(Arc::new(Inner { stage, counts, ticker: Some(ticker), bar }))
    }

    /// Creates a progress that is not displayed.
    pub fn hidden() -> Self {
        Self(Arc::new(Inner { stage: "", counts: Counts::new(), ticker: None, bar: None }))
    }

    /// More work has come to light.
    pub fn add_total(&self, records: u64) {
        self.0.counts.total.fetch_add(records, Relaxed);
    }

    /// Notes that one record of the work was forwarded to another process.
    pub fn hand_on(&self) {
        self.0.counts.total.fetch_sub(1, Relaxed);
    }

    /// So many records are done and passed on.
    pub fn add_done(&self, records: u64) {
        self.0.counts.done.fetch_add(records, Relaxed);
    }

    /// One record is done, with the reason if it was not passed on.
    pub fn done(&self, reason: Option<Reason>) {
        self.add_done(1);
        if let Some(reason) = reason {
            self.reject(reason);
        }
    }

    /// A record that was counted as done was not passed on after all.
    pub fn reject(&self, reason: Reason) {
        let counts = &self.0.counts;
        match reason.class() {
            Class::Rejected => counts.rejected.fetch_add(1, Relaxed),
            Class::Failed => counts.failed.fetch_add(1, Relaxed),
        };
    }

    /// Records known and done so far.
    pub fn reading(&self) -> (u64, u64) {
        let counts = &self.0.counts;
        (counts.total.load(Relaxed), counts.done.load(Relaxed))
    }

    /// Ends the line; says what was done.
    pub fn finish(&self) {
        let Inner { stage, counts, ticker, bar } = &*self.0;
        ticker.iter().for_each(AbortHandle::abort);
        bar.iter().for_each(ProgressBar::finish_and_clear);
        tracing::info!("{stage}: {}", counts.line(false));
    }
}

async fn tick(stage: &'static str, counts: Counts, bar: Option<ProgressBar>) {
    let every = if bar.is_some() { DRAW_EVERY } else { LOG_EVERY };
    loop {
        tokio::time::sleep(every).await;
        match &bar {
            Some(bar) => bar.set_message(counts.line(true)),
            None => tracing::info!("{stage}: {}", counts.line(true)),
        }
    }
}

impl Counts {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            total: Arc::default(),
            done: Arc::default(),
            rejected: Arc::default(),
            failed: Arc::default(),
        }
    }

    fn share(&self) -> Self {
        Self {
            started: self.started,
            total: Arc::clone(&self.total),
            done: Arc::clone(&self.done),
            rejected: Arc::clone(&self.rejected),
            failed: Arc::clone(&self.failed),
        }
    }

    /// `120/685 known, 31.2/s, 4 rejected, 1 failed, about 18 seconds left`
    fn line(&self, running: bool) -> String {
        let (done, total) = (self.done.load(Relaxed), self.total.load(Relaxed));
        let elapsed = self.started.elapsed();
        let rate = done as f64 / elapsed.as_secs_f64().max(1e-3);
        let (rejected, failed) = (self.rejected.load(Relaxed), self.failed.load(Relaxed));
        let mut line =
            format!("{done}/{total} done, {rate:.1}/s, {rejected} rejected, {failed} failed");
        if running && rate > 0.0 {
            let left = Duration::from_secs_f64(total.saturating_sub(done) as f64 / rate);
            line += &format!(", about {} left", HumanDuration(left));
        } else if !running {
            line += &format!(", in {:.1} s", elapsed.as_secs_f64());
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_what_was_lost() {
        let progress = Progress::hidden();
        progress.add_total(4);
        progress.done(None);
        progress.done(Some(Reason::Ad));
        progress.done(Some(Reason::Timeout));
        progress.add_total(1);
        progress.hand_on();
        let line = progress.0.counts.line(true);
        assert!(line.starts_with("3/4 done"), "{line}");
        assert!(line.contains("1 rejected, 1 failed, about"), "{line}");
    }
}
