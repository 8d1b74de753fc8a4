//! The same of a list that someone else ranked: a submission file has no scores.

use std::collections::HashSet;
use std::hash::Hash;

/// Ranks, from 1 and rising, of the positives that the list has. What is listed twice counts once, at its
/// first place, and takes its second.
fn ranks_in<T: Eq + Hash>(list: &[T], positives: &[T]) -> Vec<usize> {
    let wanted: HashSet<&T> = positives.iter().collect();
    let mut found = HashSet::new();
    let ranks =
        list.iter().zip(1..).filter(|(item, _)| wanted.contains(item) && found.insert(*item));
    ranks.map(|(_, rank)| rank).collect()
}

fn distinct<T: Eq + Hash>(positives: &[T]) -> usize {
    positives.iter().collect::<HashSet<_>>().len()
}

/// Whether a positive is among the first `k` of a list.
pub fn hit_of<T: Eq + Hash>(list: &[T], positives: &[T], k: usize) -> f64 {
    super::hit(&ranks_in(list, positives), k)
}

/// The share of positives among the first `k` of a list.
pub fn positives_of<T: Eq + Hash>(list: &[T], positives: &[T], k: usize) -> f64 {
    let found = ranks_in(list, positives).iter().filter(|&&rank| rank <= k).count();
    found as f64 / distinct(positives).max(1) as f64
}

/// The share of the first `k` places of a list that positives are on.
pub fn precision_of<T: Eq + Hash>(list: &[T], positives: &[T], k: usize) -> f64 {
    super::precision(&ranks_in(list, positives), k)
}

/// [`average_precision`](super::average_precision) of a list, which may be short of positives.
pub fn average_precision_of<T: Eq + Hash>(list: &[T], positives: &[T], k: usize) -> f64 {
    let ranks = ranks_in(list, positives);
    let all = distinct(positives).min(k).max(1);
    // What is not listed would rank behind all that is: it adds nothing, and still counts below.
    super::average_precision(&ranks, k) * ranks.len().min(k).max(1) as f64 / all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_from_a_list_counts() {
        let list = ["a", "b", "c"];
        assert_eq!(average_precision_of(&list, &["a", "z"], 5), 0.5);
        assert_eq!(average_precision_of(&list, &["b", "z"], 2), 0.25);
        assert_eq!(average_precision_of(&["a", "a", "b"], &["a", "b"], 3), (1.0 + 2.0 / 3.0) / 2.0);
        assert_eq!(positives_of(&list, &["c", "c", "y"], 3), 0.5);
        assert_eq!(hit_of(&list, &["c"], 2), 0.0);
    }
}
