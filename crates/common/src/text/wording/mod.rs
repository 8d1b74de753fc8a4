//! How instructions are worded: lengths, variety and openings, side by side with a baseline.
//!
//! Lengths are exact. Variety and openings are counted over a sample in bounded memory that depends on
//! the instructions alone, never on their order. distinct-n is from <https://arxiv.org/abs/1510.03055>.

mod sample;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use crate::text::{fold, pieces};
use sample::{Sample, key};

/// Different instructions that the sample holds, at most.
const SAMPLE: usize = 100_000;

/// Lengths that are told apart; the last stands for all that are longer.
const LENGTHS: usize = 40;

/// Openings in a table.
const OPENINGS: usize = 10;

/// Words of an opening.
const OPENING_WORDS: usize = 2;

/// Lengths in a table, each up to and including.
const BANDS: [usize; 6] = [3, 6, 10, 15, 25, usize::MAX];

/// Statistics of many instructions.
#[derive(Clone, Debug)]
pub struct Wording {
    count: u64,
    words: u64,
    lengths: [u64; LENGTHS],
    sample: Sample,
}

impl Default for Wording {
    fn default() -> Self {
        Self::with_capacity(SAMPLE)
    }
}

impl Wording {
    /// Starts with nothing counted; the sample is to hold so many different instructions.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { count: 0, words: 0, lengths: [0; LENGTHS], sample: Sample::new(capacity) }
    }

    /// Counts an instruction; one without a word counts as one word.
    pub fn add(&mut self, instruction: &str) {
        let words = spoken(instruction).len().max(1);
        self.count += 1;
        self.words += words as u64;
        self.lengths[words.min(LENGTHS) - 1] += 1;
        self.sample.add(instruction);
    }

    /// Takes over what another has counted.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.words += other.words;
        for (length, more) in self.lengths.iter_mut().zip(other.lengths) {
            *length += more;
        }
        self.sample.merge(other.sample);
    }

    /// Instructions counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many have 1, 2, 3… words; the last figure is for 40 and more.
    pub fn lengths(&self) -> &[u64] {
        &self.lengths
    }

    /// Words of an instruction on average.
    pub fn mean_words(&self) -> f64 {
        ratio(self.words, self.count)
    }

    /// Words of the instruction in the middle (of two, the shorter): 40 stands for more.
    pub fn median_words(&self) -> usize {
        let mut passed = 0;
        let middle = self.lengths.iter().position(|count| {
            passed += count;
            passed * 2 >= self.count
        });
        if self.count == 0 { 0 } else { middle.map_or(LENGTHS, |at| at + 1) }
    }

    /// Instructions in the sample.
    pub fn sampled(&self) -> u64 {
        self.sample.size()
    }

    /// Different runs of `n` words, as a share of all runs, over the first `most` of the sample.
    ///
    /// It falls with the number of instructions: compare at an equal number only.
    pub fn distinct(&self, n: usize, most: u64) -> f64 {
        let mut seen = HashSet::new();
        let mut all = 0;
        for (instruction, times) in self.sample.first(most) {
            for run in spoken(instruction).windows(n.max(1)) {
                all += times;
                seen.insert(key(&run.join(" ")));
            }
        }
        ratio(seen.len() as u64, all)
    }

    /// The commonest first two words, each with its share of the first `most` of the sample.
    pub fn openings(&self, most: u64) -> Vec<(String, f64)> {
        let mut counts: HashMap<String, u64> = HashMap::new();
        let mut all = 0;
        for (instruction, times) in self.sample.first(most) {
            let words = spoken(instruction);
            let opening = words[..words.len().min(OPENING_WORDS)].join(" ");
            *counts.entry(opening).or_default() += times;
            all += times;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|(a, most), (b, more)| more.cmp(most).then_with(|| a.cmp(b)));
        counts.truncate(OPENINGS);
        counts.into_iter().map(|(opening, times)| (opening, ratio(times, all))).collect()
    }

    /// Both side by side, in Markdown: figures, lengths, openings.
    pub fn table(&self, baseline: &Self) -> String {
        let both = [self, baseline];
        let most = self.sampled().min(baseline.sampled());
        let mut table = String::from("| | instructions | baseline |\n|---|---:|---:|\n");
        let mut row = |name: &str, cells: [String; 2]| {
            writeln!(table, "| {name} | {} | {} |", cells[0], cells[1])
                .expect("a string takes what is written");
        };
        row("number", both.map(|one| one.count.to_string()));
        row("words, mean", both.map(|one| format!("{:.1}", one.mean_words())));
        row("words, median", both.map(|one| one.median_words().to_string()));
        for n in 1..=3 {
            row(&format!("distinct-{n}"), both.map(|one| format!("{:.3}", one.distinct(n, most))));
        }
        let mut from = 1;
        for to in BANDS {
            let name = if to == usize::MAX {
                format!("{from} words and more")
            } else {
                format!("{from} to {to} words")
            };
            row(&name, both.map(|one| percent(one.band(from, to))));
            from = to.saturating_add(1);
        }
        let [ours, theirs] = both.map(|one| one.openings(most));
        table
            .push_str("\n| opening | share | opening of baseline | share |\n|---|---:|---|---:|\n");
        for at in 0..ours.len().max(theirs.len()) {
            let cell = |all: &[(String, f64)]| {
                all.get(at)
                    .map_or(" | ".into(), |(words, share)| format!("{words} | {}", percent(*share)))
            };
            writeln!(table, "| {} | {} |", cell(&ours), cell(&theirs))
                .expect("a string takes what is written");
        }
        write!(table, "\ndistinct-n and openings are over {most} instructions of each.\n")
            .expect("a string takes what is written");
        table
    }

    /// The share of instructions that have so many words.
    fn band(&self, from: usize, to: usize) -> f64 {
        ratio(self.lengths[from - 1..to.min(LENGTHS)].iter().sum(), self.count)
    }
}

/// The words of an instruction as people count them: `what's` is one.
fn spoken(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut end = None;
    for (at, piece) in pieces(text) {
        let joined = end.is_some_and(|end: usize| matches!(&text[end..at], "'" | "’"));
        match found.last_mut() {
            Some(last) if joined => {
                last.push('\'');
                last.push_str(&fold(piece));
            }
            _ => found.push(fold(piece)),
        }
        end = Some(at + piece.len());
    }
    found
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(instructions: &[&str]) -> Wording {
        let mut wording = Wording::default();
        instructions.iter().for_each(|instruction| wording.add(instruction));
        wording
    }

    #[test]
    fn lengths_are_exact() {
        let long = "far ".repeat(50);
        let wording = of(&["What's inside?", "show me the inside", "the next step", "", &long]);
        assert_eq!(wording.count(), 5);
        assert_eq!(&wording.lengths()[..4], [1, 1, 1, 1]);
        assert_eq!(wording.lengths()[LENGTHS - 1], 1);
        assert!((wording.mean_words() - 12.0).abs() < 1e-9);
        assert_eq!(wording.median_words(), 3);
        assert_eq!(of(&["a b", "a b c d"]).median_words(), 2);
        assert_eq!((of(&[]).median_words(), of(&[]).mean_words()), (0, 0.0));
        assert_eq!(of(&[&long]).median_words(), LENGTHS);
    }

    #[test]
    fn variety_counts_runs_of_words() {
        let wording = of(&["show the inside", "Show the outside!", "show the inside"]);
        for (n, expected) in [(1, 4.0 / 9.0), (2, 3.0 / 6.0), (3, 2.0 / 3.0), (4, 0.0)] {
            assert!((wording.distinct(n, 9) - expected).abs() < 1e-9, "{n}");
        }
        assert!((wording.distinct(3, 1) - 1.0).abs() < 1e-9);
        assert_eq!(of(&[]).distinct(1, 9), 0.0);
    }

    #[test]
    fn openings_are_sorted() {
        let wording =
            of(&["show me it", "Show me all", "what’s it for", "what's it", "a b", "why"]);
        let found = wording.openings(9);
        let words: Vec<_> = found.iter().map(|(words, _)| words.as_str()).collect();
        assert_eq!(words, ["show me", "what's it", "a b", "why"]);
        assert!((found[0].1 - 2.0 / 6.0).abs() < 1e-9);
    }

    #[test]
    fn the_table_compares_equal_numbers() {
        let ours = of(&["what's inside?", "who made this one?", "show me its nest"]);
        let theirs = of(&["the same, but red", "the same, but blue"]);
        let table = ours.table(&theirs);
        for line in [
            "| number | 3 | 2 |",
            "| words, mean | 3.3 | 4.0 |",
            "| words, median | 4 | 4 |",
            "| distinct-1 | 1.000 | 0.625 |",
            "| 1 to 3 words | 33.3 % | 0.0 % |",
            "| 4 to 6 words | 66.7 % | 100.0 % |",
            "| 26 words and more | 0.0 % | 0.0 % |",
            "distinct-n and openings are over 2 instructions of each.",
        ] {
            assert!(table.lines().any(|found| found == line), "{line} in\n{table}");
        }
        assert!(
            table.contains("| the same | 100.0 % |\n") && table.contains(" |  |  |\n"),
            "{table}"
        );
        assert!(of(&[]).table(&of(&[])).contains("| number | 0 | 0 |"));
    }

    proptest! {
        #[test]
        fn the_sample_does_not_depend_on_the_order(
            mut all in proptest::collection::vec("[a-d]{1,2} [a-d]{1,2}", 0..80),
            capacity in 1_usize..20,
            cut: prop::sample::Index,
        ) {
            let fill = |all: &[String]| {
                let mut wording = Wording::with_capacity(capacity);
                all.iter().for_each(|instruction| wording.add(instruction));
                wording
            };
            let whole = fill(&all);
            prop_assert!(whole.sample.first(u64::MAX).count() <= capacity);
            let at = cut.index(all.len() + 1);
            let mut merged = fill(&all[at..]);
            merged.merge(fill(&all[..at]));
            all.reverse();
            for other in [fill(&all), merged] {
                prop_assert_eq!(&other.sample, &whole.sample);
                prop_assert_eq!(other.table(&whole), whole.table(&whole));
            }
        }

        #[test]
        fn never_panics(text: String) {
            let wording = of(&[&text, &text]);
            prop_assert_eq!(wording.lengths().iter().sum::<u64>(), 2);
            wording.table(&of(&[]));
        }
    }
}
