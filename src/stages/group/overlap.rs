//! Groups that show nearly the same images as another one.
//!
//! A set-similarity join by prefix filtering (Chaudhuri, Ganti, Kaushik, ICDE 2006): with the
//! clusters of each group in order from rare to common, two sets whose Jaccard similarity is at least
//! t share one of their first `n - ceil(t * n) + 1` elements. Only groups that are kept are indexed
//! and only by those rare first elements, so a stock image on a million pages costs nothing.

use std::collections::{HashMap, HashSet};

/// Groups as sets of clusters, in the order in which they lie on disk.
#[derive(Debug, Default)]
pub struct Groups {
    starts: Vec<u32>,
    clusters: Vec<u32>,
    numbers: HashMap<i64, u32>,
    shown: Vec<u32>,
}

impl Groups {
    /// Adds a group of distinct clusters.
    pub fn push(&mut self, clusters: impl IntoIterator<Item = i64>) {
        self.starts.push(self.clusters.len() as u32);
        for cluster in clusters {
            let next = self.numbers.len() as u32;
            let number = *self.numbers.entry(cluster).or_insert(next);
            if number == next {
                self.shown.push(0);
            }
            self.shown[number as usize] += 1;
            self.clusters.push(number);
        }
    }

    /// Groups so far.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    fn range(&self, group: usize) -> std::ops::Range<usize> {
        let end = self.starts.get(group + 1).map_or(self.clusters.len(), |end| *end as usize);
        self.starts[group] as usize..end
    }

    fn of(&self, group: usize) -> &[u32] {
        &self.clusters[self.range(group)]
    }

    /// For each group that must go, the one that stays for it: the groups with most images are
    /// looked at first, and each is dropped for the first kept one that it overlaps by `threshold`.
    pub fn overlapping(mut self, threshold: f64) -> HashMap<u32, u32> {
        self.sort_by_rarity();
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_by_key(|&group| std::cmp::Reverse(self.of(group as usize).len()));
        let mut index: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut dropped = HashMap::new();
        for group in order {
            let set = self.of(group as usize);
            let prefix = set.len() + 1 - at_least(threshold, set.len()).min(set.len());
            match self.first_like(group, &set[..prefix.min(set.len())], &index, threshold) {
                Some(kept) => {
                    dropped.insert(group, kept);
                }
                None => {
                    for &cluster in &set[..prefix.min(set.len())] {
                        index.entry(cluster).or_default().push(group);
                    }
                }
            }
        }
        dropped
    }

    fn sort_by_rarity(&mut self) {
        for group in 0..self.len() {
            let (range, shown) = (self.range(group), &self.shown);
            self.clusters[range].sort_unstable_by_key(|&c| (shown[c as usize], c));
        }
    }

    fn first_like(
        &self,
        group: u32,
        prefix: &[u32],
        index: &HashMap<u32, Vec<u32>>,
        threshold: f64,
    ) -> Option<u32> {
        let candidates = prefix.iter().filter_map(|cluster| index.get(cluster)).flatten();
        let candidates: HashSet<u32> = candidates.copied().collect();
        let set = self.of(group as usize);
        let alike = |other: &u32| self.jaccard(set, self.of(*other as usize)) >= threshold;
        candidates.into_iter().filter(alike).min()
    }

    /// Both are sorted by rarity.
    fn jaccard(&self, a: &[u32], b: &[u32]) -> f64 {
        let key = |c: u32| (self.shown[c as usize], c);
        let (mut i, mut j, mut common) = (0, 0, 0);
        while i < a.len() && j < b.len() {
            match key(a[i]).cmp(&key(b[j])) {
                std::cmp::Ordering::Less => i += 1,
                std::cmp::Ordering::Greater => j += 1,
                std::cmp::Ordering::Equal => (i, j, common) = (i + 1, j + 1, common + 1),
            }
        }
        common as f64 / (a.len() + b.len() - common).max(1) as f64
    }
}

/// The least number of `size` elements that are a share of `threshold`, rounding errors aside.
fn at_least(threshold: f64, size: usize) -> usize {
    (threshold * size as f64 - 1e-9).ceil() as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn groups(sets: &[BTreeSet<i64>]) -> Groups {
        let mut groups = Groups::default();
        sets.iter().for_each(|set| groups.push(set.iter().copied()));
        groups
    }

    /// The same rule, every group with every kept one.
    fn brute_force(sets: &[BTreeSet<i64>], threshold: f64) -> HashMap<u32, u32> {
        let mut order: Vec<usize> = (0..sets.len()).collect();
        order.sort_by_key(|&group| std::cmp::Reverse(sets[group].len()));
        let mut kept: BTreeSet<usize> = BTreeSet::new();
        let mut dropped = HashMap::new();
        for group in order {
            let alike = kept.iter().find(|&&other| {
                let common = sets[group].intersection(&sets[other]).count() as f64;
                let all = sets[group].union(&sets[other]).count().max(1) as f64;
                common / all >= threshold
            });
            match alike {
                Some(&other) => {
                    dropped.insert(group as u32, other as u32);
                }
                None => {
                    kept.insert(group);
                }
            }
        }
        dropped
    }

    proptest! {
        #[test]
        fn prefixes_miss_nothing(
            sets in prop::collection::vec(prop::collection::btree_set(0i64..12, 1..7), 0..40),
            threshold in prop::sample::select(vec![0.3, 0.5, 0.8, 1.0]),
        ) {
            prop_assert_eq!(groups(&sets).overlapping(threshold), brute_force(&sets, threshold));
        }
    }

    #[test]
    fn a_stock_image_everywhere_makes_nothing_overlap() {
        let sets: Vec<BTreeSet<i64>> = (1..50_000).map(|own| BTreeSet::from([0, own])).collect();
        assert!(groups(&sets).overlapping(0.8).is_empty());
    }

    #[test]
    fn of_many_copies_one_stays() {
        let sets = vec![BTreeSet::from([1, 2, 3]); 20_000];
        let dropped = groups(&sets).overlapping(0.8);
        assert_eq!(dropped.len(), 19_999);
        assert!(dropped.values().all(|&kept| kept == 0));
    }
}
