//! How often which similarity occurs, and how much of that is kept.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::scale::{Scale, thousandths};

/// Steps that are shown, at most.
const STEPS: usize = 20;

/// Characters of the longest bar.
const BAR: u64 = 30;

/// Counts of one similarity, by thousandths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    counts: BTreeMap<i32, Count>,
}

/// Candidates of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// All of them.
    pub all: u64,
    /// Those that are pairs.
    pub kept: u64,
}

/// A step.
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
        let count = self.counts.entry(thousandths(similarity)).or_default();
        count.all += 1;
        count.kept += u64::from(is_kept);
    }

    /// Steps from the least value to the largest; none where there is no value.
    pub fn scale(&self, at_most: usize) -> Option<Scale> {
        let (least, most) = (self.counts.first_key_value()?, self.counts.last_key_value()?);
        Some(Scale::over(*least.0, *most.0, at_most))
    }

    /// From the first step with a candidate to the last.
    pub fn lines(&self) -> Vec<Line> {
        let Some(scale) = self.scale(STEPS) else { return Vec::new() };
        let mut steps = vec![Count::default(); scale.len()];
        for (value, count) in &self.counts {
            let step = &mut steps[scale.at(*value)];
            (step.all, step.kept) = (step.all + count.all, step.kept + count.kept);
        }
        let total: u64 = steps.iter().map(|count| count.all).sum();
        let line = |at: usize| {
            let at_least: u64 = steps[at..].iter().map(|count| count.all).sum();
            let at_least = at_least as f64 * 100.0 / total as f64;
            Line { range: scale.range(at), count: steps[at], at_least }
        };
        (0..scale.len()).map(line).collect()
    }

    /// The lines with bars, in characters.
    pub fn table(&self, name: &str) -> String {
        let lines = self.lines();
        let most = lines.iter().map(|line| line.count.all).max().unwrap_or(1);
        let mut text = format!("{name:>13}  candidates      pairs  at least\n");
        for Line { range, count: Count { all, kept }, at_least } in lines {
            let bar = "#".repeat((all * BAR).div_ceil(most) as usize);
            let _ = writeln!(text, "{range:>13}  {all:>10} {kept:>10} {at_least:>8.1}%  {bar}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn bounds_of_embeddings_can_be_told_apart() {
        let mut histogram = Histogram::default();
        [0.952, 0.961, 0.974, 0.989].into_iter().for_each(|value| histogram.add(value, true));
        let table = histogram.table("text");
        assert!(table.contains("0.960–0.962"), "{table}");
    }
}
