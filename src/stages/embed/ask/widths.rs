//! How many numbers a vector of an endpoint has: as many as most of those seen, so that one odd answer, be
//! it the first, decides over no other.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Vectors by their width, over all parts.
#[derive(Debug, Default)]
pub struct Widths(Mutex<BTreeMap<usize, u64>>);

impl Widths {
    /// Counts vectors.
    pub fn note(&self, widths: impl IntoIterator<Item = usize>) {
        let mut seen = self.seen();
        widths.into_iter().for_each(|width| *seen.entry(width).or_default() += 1);
    }

    /// The width of most; none before any was seen.
    pub fn usual(&self) -> Option<usize> {
        self.seen().iter().max_by_key(|(_, count)| **count).map(|(width, _)| *width)
    }

    /// What all of an answer should have: a width in it that no other is seen more often than, else the
    /// usual one.
    pub fn expected(&self, found: &[usize]) -> usize {
        let seen = self.seen();
        let most = seen.values().max().copied().unwrap_or_default();
        let is_usual = |width: &&usize| seen.get(*width) == Some(&most);
        let usual = || seen.iter().find(|(_, count)| **count == most).map(|(width, _)| *width);
        found.iter().find(is_usual).copied().or_else(usual).unwrap_or_default()
    }

    /// Whether there is more than one.
    pub fn are_mixed(&self) -> bool {
        self.seen().len() > 1
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, u64>> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_first_answer_is_outvoted() {
        let widths = Widths::default();
        assert_eq!((widths.usual(), widths.expected(&[])), (None, 0));
        widths.note([7]);
        assert_eq!(widths.expected(&[7]), 7);
        widths.note([8]);
        assert_eq!([widths.expected(&[7]), widths.expected(&[8])], [7, 8], "even, so either");
        widths.note([8, 8]);
        assert_eq!([widths.expected(&[7]), widths.expected(&[8, 7])], [8, 8]);
        assert_eq!(widths.usual(), Some(8));
        assert!(widths.are_mixed());
    }
}
