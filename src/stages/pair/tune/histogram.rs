//! How often which similarity occurs, and how much of that is kept.

use std::fmt::Write;

/// Steps from 0 to 1; below 0 there is one more.
const STEPS: usize = 20;

/// Characters of the longest bar.
const BAR: u64 = 30;

/// Counts of one similarity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    counts: [Count; STEPS + 1],
}

/// Candidates of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// All of them.
    pub all: u64,
    /// Those that are pairs.
    pub kept: u64,
}

/// A step that has candidates on both sides of it, or is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its bounds in words.
    pub range: String,
    /// Its candidates.
    pub count: Count,
    /// Share of all candidates that are at least so alike, in percent.
    pub at_least: f64,
}

impl Histogram {
    /// Counts a candidate.
    pub fn add(&mut self, similarity: f32, is_kept: bool) {
        let count = &mut self.counts[step(similarity)];
        count.all += 1;
        count.kept += u64::from(is_kept);
    }

    /// From the first step with a candidate to the last.
    pub fn lines(&self) -> Vec<Line> {
        let has = |count: &Count| count.all > 0;
        let (Some(first), Some(last)) =
            (self.counts.iter().position(has), self.counts.iter().rposition(has))
        else {
            return Vec::new();
        };
        let total: u64 = self.counts.iter().map(|count| count.all).sum();
        let line = |at: usize| {
            let at_least: u64 = self.counts[at..].iter().map(|count| count.all).sum();
            let at_least = at_least as f64 * 100.0 / total as f64;
            Line { range: range(at), count: self.counts[at], at_least }
        };
        (first..=last).map(line).collect()
    }

    /// The lines with bars, in characters.
    pub fn table(&self, name: &str) -> String {
        let lines = self.lines();
        let most = lines.iter().map(|line| line.count.all).max().unwrap_or(1);
        let mut text = format!("{name:>11}  candidates      pairs  at least\n");
        for Line { range, count: Count { all, kept }, at_least } in lines {
            let bar = "#".repeat((all * BAR).div_ceil(most) as usize);
            let _ = writeln!(text, "{range:>11}  {all:>10} {kept:>10} {at_least:>8.1}%  {bar}");
        }
        text
    }
}

/// The first is below 0; 1 belongs to the last.
fn step(similarity: f32) -> usize {
    if similarity < 0.0 {
        return 0;
    }
    // Rounding errors of a cosine do not decide over a step.
    let step = (f64::from(similarity) * STEPS as f64 + 1e-6) as usize;
    1 + step.min(STEPS - 1)
}

fn range(step: usize) -> String {
    let from = |step: usize| (step as f64 - 1.0) / STEPS as f64;
    match step {
        0 => "below 0".to_owned(),
        _ => format!("{:.2}–{:.2}", from(step), from(step + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_hold_their_lower_bound_and_the_last_one_holds_1() {
        for (value, range_of) in [
            (-0.3, "below 0"),
            (0.0, "0.00–0.05"),
            (0.049, "0.00–0.05"),
            (0.05, "0.05–0.10"),
            (0.8, "0.80–0.85"),
            (1.0, "0.95–1.00"),
            (1.000_000_1, "0.95–1.00"),
        ] {
            assert_eq!(range(step(value)), range_of, "{value}");
        }
    }

    #[test]
    fn lines_go_from_the_first_to_the_last_with_shares_from_above() {
        let mut histogram = Histogram::default();
        for (value, is_kept) in [(0.52, false), (0.61, true), (0.62, true), (0.99, false)] {
            histogram.add(value, is_kept);
        }
        let lines = histogram.lines();
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[0].at_least, 100.0);
        assert_eq!(lines[2].count, Count { all: 2, kept: 2 });
        assert_eq!((lines[1].at_least, lines[3].at_least, lines[9].at_least), (75.0, 25.0, 25.0));
        let table = histogram.table("visual");
        assert_eq!(table.lines().count(), 11);
        assert!(table.contains("0.60–0.65           2          2     75.0%"), "{table}");
        assert_eq!(Histogram::default().lines(), []);
    }
}
