//! What models have taken so far, step by step and part by part, and what of a budget is a slice's.

use std::collections::BTreeMap;
use std::path::Path;

use futures::{StreamExt, TryStreamExt, stream};
use magiclens_common::config::Budget;
use magiclens_core::Slice;
use magiclens_store::{Store, StoreError};

use super::replies::{REPLIES, spent_of_file};
use super::tally::Totals;

/// Objects that are read at the same time.
const READS_AT_ONCE: usize = 16;

/// Totals by step and part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spending(BTreeMap<(String, u32), Totals>);

/// The part that a file of replies is of.
pub(super) fn part_of(path: &str) -> Option<u32> {
    let name = path.rsplit('/').next()?;
    name.strip_prefix("part-")?.strip_suffix(".jsonl")?.parse().ok()
}

impl Spending {
    /// What the replies of a run directory say.
    pub async fn read(store: &Store) -> Result<Self, StoreError> {
        match store.folder() {
            Some(folder) => Self::of_files(folder),
            None => Self::of_objects(store).await,
        }
    }

    /// The same of files, those of slices' scratch folders too.
    pub fn of_files(folder: &Path) -> Result<Self, StoreError> {
        let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut spending = Self::default();
        for step in entries(&folder.join(REPLIES)) {
            let name = step.file_name().to_string_lossy().into_owned();
            for file in entries(&step.path()) {
                if let Some(part) = part_of(&file.file_name().to_string_lossy()) {
                    spending.add(&name, part, &spent_of_file(&file.path())?);
                }
            }
        }
        Ok(spending)
    }

    pub(super) async fn of_objects(store: &Store) -> Result<Self, StoreError> {
        let paths = store.list(REPLIES).await?.into_iter().map(|(path, _)| path);
        let sums = paths.filter(|path| path.ends_with(".spent.json"));
        let read = |path: String| async move {
            let text = store.read(&path).await?.unwrap_or_default();
            let totals = serde_json::from_slice::<Totals>(&text);
            let totals = totals.map_err(|error| StoreError::corrupt(path.as_str(), error))?;
            Ok::<_, StoreError>((path, totals))
        };
        let mut sums = stream::iter(sums.map(read)).buffer_unordered(READS_AT_ONCE);
        let mut spending = Self::default();
        while let Some((path, totals)) = sums.try_next().await? {
            let mut folders = path.rsplit('/').skip(1);
            let part = folders.next().and_then(|part| part_of(&format!("{part}.jsonl")));
            if let (Some(part), Some(step)) = (part, folders.next()) {
                spending.add(step, part, &totals);
            }
        }
        Ok(spending)
    }

    fn add(&mut self, step: &str, part: u32, totals: &Totals) {
        self.0.entry((step.to_owned(), part)).or_default().add(totals);
    }

    fn sum(&self, counts: impl Fn(&str, u32) -> bool) -> Totals {
        let mut sum = Totals::default();
        let counted = self.0.iter().filter(|((step, part), _)| counts(step, *part));
        counted.for_each(|(_, totals)| sum.add(totals));
        sum
    }

    /// All of it.
    pub fn all(&self) -> Totals {
        self.sum(|_, _| true)
    }

    /// What a step took.
    pub fn of_step(&self, step: &str) -> Totals {
        self.sum(|of, _| of == step)
    }

    /// What the parts of a slice took.
    pub fn of(&self, slice: Slice) -> Totals {
        self.sum(|_, part| slice.owns(part))
    }

    /// The caps of one slice: all may spend up to one level, at which they reach the caps of the budget
    /// together, those that are above it already with what they have. Whenever it is computed it is the
    /// same level, as long as nobody passes it.
    pub fn share(&self, budget: &Budget, slice: Slice) -> Budget {
        if slice.is_whole() {
            return budget.clone();
        }
        let spent: Vec<Totals> = slice.all().map(|slice| self.of(slice)).collect();
        let tokens = spent.iter().map(|totals| (totals.input + totals.output) as f64).collect();
        let cost = spent.iter().map(|totals| totals.cost).collect();
        let mut share = budget.clone();
        if budget.max_tokens > 0 {
            // 0 is no cap.
            share.max_tokens = (level(budget.max_tokens as f64, tokens) as u64).max(1);
        }
        if budget.max_cost > 0.0 {
            share.max_cost = level(budget.max_cost, cost).max(f64::MIN_POSITIVE);
        }
        share
    }
}

/// The level at which `cap` is reached by the sum of what is above it and of all others at the level.
fn level(cap: f64, mut spent: Vec<f64>) -> f64 {
    spent.sort_by(|a, b| b.total_cmp(a));
    let (mut left, mut sharing) = (cap, spent.len() as f64);
    for spent in spent {
        if spent * sharing <= left {
            break;
        }
        (left, sharing) = (left - spent, sharing - 1.0);
    }
    if sharing > 0.0 { (left / sharing).max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_together_never_pass_the_cap() {
        assert_eq!(level(100.0, vec![0.0; 4]), 25.0);
        assert_eq!(level(100.0, vec![25.0, 0.0, 25.0, 7.0]), 25.0);
        // What one process spent before there were slices is taken off all of them.
        assert_eq!(level(100.0, vec![70.0, 0.0, 0.0, 0.0]), 10.0);
        assert_eq!(level(100.0, vec![130.0, 0.0]), 0.0);
        assert_eq!(level(100.0, vec![60.0, 40.0]), 40.0);
    }

    proptest::proptest! {
        #[test]
        fn the_level_does_not_move_as_slices_spend(
            before in proptest::collection::vec(0.0..50.0, 1..6), shares in proptest::collection::vec(0.0..1.0, 6),
        ) {
            let cap = 100.0;
            let first = level(cap, before.clone());
            let now: Vec<f64> = before.iter().zip(&shares)
                .map(|(spent, share)| spent + (first - spent).max(0.0) * share).collect();
            let second = level(cap, now.clone());
            proptest::prop_assert!((first - second).abs() < 1e-6, "{first} {second}");
            let most: f64 = now.iter().map(|spent| spent.max(second)).sum();
            proptest::prop_assert!(most <= cap.max(before.iter().sum()) + 1e-6);
        }
    }

    #[test]
    fn a_budget_without_caps_has_none_for_slices() {
        let slice = Slice { index: 1, of: 4 };
        let mut spending = Spending::default();
        spending.add("describe", 5, &Totals { calls: 1, input: 30, output: 10, cost: 1.0 });
        assert_eq!(
            spending.share(&Budget::default(), slice).max_tokens,
            Budget::default().max_tokens
        );
        let budget = Budget { max_tokens: 100, max_cost: 2.0, ..Budget::default() };
        let share = spending.share(&budget, slice);
        assert_eq!((share.max_tokens, spending.of(slice).calls), (20, 1));
        assert!((share.max_cost - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(spending.share(&budget, Slice::WHOLE), budget);
    }
}
