//! Groups that show nearly the same images as another one.
//!
//! A set-similarity join by prefix filtering (Chaudhuri, Ganti, Kaushik, ICDE 2006), exact. With the
//! clusters of each group in order from rare to common, two sets whose Jaccard similarity is at least t
//! share `need = ceil(t * n)` elements, and the l-th of them is among the first `n - need + l` of each.
//! Only groups that are kept are indexed.
//!
//! Many pages may be made of a few stock images, so lists are kept short by a rule: a cluster that at
//! most [`COMMON`] groups show is looked up by itself. Where the first element in common is one that
//! more groups show, so are all later ones, and groups are looked up by l such elements together, with
//! the largest l that gives a group no more than [`MAX_KEYS`] keys (Wang, Li, Feng, SIGMOD 2012). For
//! small groups that is `need` itself: what is compared then is nearly what overlaps.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;

/// Clusters that more groups show are looked up with others together.
const COMMON: u32 = 64;

/// Keys of common elements that a group has for each size of its partners, at most.
const MAX_KEYS: u64 = 16;

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
    pub fn overlapping(self, threshold: f64) -> HashMap<u32, u32> {
        self.join(threshold, COMMON).dropped
    }

    fn join(mut self, threshold: f64, common: u32) -> Joined {
        self.sort_by_rarity();
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_by_key(|&group| std::cmp::Reverse(self.of(group as usize).len()));
        let largest = order.first().map_or(0, |&group| self.of(group as usize).len());
        let keys =
            Keys { groups: &self, together: together(threshold, largest), threshold, common };
        let mut index = Index::default();
        let mut joined = Joined::default();
        for group in order {
            let set = self.of(group as usize);
            match self.first_like(set, &keys, &index, &mut joined.comparisons) {
                Some(kept) => {
                    joined.dropped.insert(group, kept);
                }
                None => {
                    keys.to_keep(set).into_iter().for_each(|key| index.push(key, group));
                }
            }
        }
        joined
    }

    fn sort_by_rarity(&mut self) {
        for group in 0..self.len() {
            let (range, shown) = (self.range(group), &self.shown);
            self.clusters[range].sort_unstable_by_key(|&c| (shown[c as usize], c));
        }
    }

    fn first_like(
        &self,
        set: &[u32],
        keys: &Keys<'_>,
        index: &Index,
        comparisons: &mut u64,
    ) -> Option<u32> {
        let largest = keys.threshold.recip() * set.len() as f64 + 1e-9;
        let is_near = |group: &u32| self.of(*group as usize).len() as f64 <= largest;
        // The smallest were indexed last.
        let keys_of_set = keys.to_find(set).into_iter();
        let candidates = keys_of_set.flat_map(|key| index.latest_first(key).take_while(is_near));
        let candidates: HashSet<u32> = candidates.collect();
        *comparisons += candidates.len() as u64;
        let alike = |other: &u32| self.jaccard(set, self.of(*other as usize)) >= keys.threshold;
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

/// What a join found, and how many pairs of groups it looked at.
#[derive(Debug, Default)]
struct Joined {
    dropped: HashMap<u32, u32>,
    comparisons: u64,
}

/// Groups by key. Most keys have one or none, so each is a list in one array for all.
#[derive(Default)]
struct Index {
    latest: HashMap<u64, u32>,
    /// A group, and where the one before it is.
    links: Vec<(u32, Option<NonZeroU32>)>,
}

impl Index {
    fn push(&mut self, key: u64, group: u32) {
        let before = self.latest.insert(key, self.links.len() as u32);
        self.links.push((group, before.and_then(|at| NonZeroU32::new(at + 1))));
    }

    fn latest_first(&self, key: u64) -> impl Iterator<Item = u32> {
        let at = |at: u32| self.links[at as usize];
        let latest = self.latest.get(&key).map(|&latest| at(latest));
        let links = std::iter::successors(latest, move |(_, before)| {
            before.map(|before| at(before.get() - 1))
        });
        links.map(|(group, _)| group)
    }
}

/// What groups are looked up by.
struct Keys<'a> {
    groups: &'a Groups,
    /// By the size of the group that is looked up: how many common elements make a key.
    together: Vec<usize>,
    threshold: f64,
    common: u32,
}

impl Keys<'_> {
    /// Under which keys a group looks for kept ones that are no smaller.
    fn to_find(&self, set: &[u32]) -> Vec<u64> {
        let mut keys = self.of_rare(set);
        self.of_common(set, self.together[set.len()], &mut keys);
        keys
    }

    /// Under which keys a kept group is found by those that are no larger.
    fn to_keep(&self, set: &[u32]) -> Vec<u64> {
        let mut keys = self.of_rare(set);
        let mut together = self.together[need(self.threshold, set.len())..=set.len()].to_vec();
        together.dedup();
        together.into_iter().for_each(|together| self.of_common(set, together, &mut keys));
        keys
    }

    fn prefix<'s>(&self, set: &'s [u32], shared: usize) -> &'s [u32] {
        &set[..(set.len() + shared).saturating_sub(need(self.threshold, set.len())).min(set.len())]
    }

    fn is_common(&self, cluster: u32) -> bool {
        self.groups.shown[cluster as usize] > self.common
    }

    fn of_rare(&self, set: &[u32]) -> Vec<u64> {
        let prefix = self.prefix(set, 1).iter();
        // What one group alone shows finds nothing.
        let rare = prefix.filter(|&&c| !self.is_common(c) && self.groups.shown[c as usize] > 1);
        rare.map(|&cluster| mix(0, cluster)).collect()
    }

    fn of_common(&self, set: &[u32], together: usize, keys: &mut Vec<u64>) {
        let is_first = self.prefix(set, 1).last().is_some_and(|&cluster| self.is_common(cluster));
        if is_first {
            let prefix = self.prefix(set, together);
            let rare = prefix.partition_point(|&cluster| !self.is_common(cluster));
            combine(&prefix[rare..], together, 1, keys);
        }
    }
}

/// Adds a key for each choice of `take` elements.
fn combine(elements: &[u32], take: usize, key: u64, keys: &mut Vec<u64>) {
    if take == 0 {
        keys.push(key);
        return;
    }
    for at in 0..(elements.len() + 1).saturating_sub(take) {
        combine(&elements[at + 1..], take - 1, mix(key, elements[at]), keys);
    }
}

/// A collision only costs a comparison.
fn mix(key: u64, cluster: u32) -> u64 {
    (key.rotate_left(23) ^ u64::from(cluster)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// For groups of each size up to `largest`, how many common elements make a key: as many as they must
/// have in common, or fewer where a group that is looked up would have too many keys.
fn together(threshold: f64, largest: usize) -> Vec<usize> {
    let of = |size: usize| {
        let partner = ((size as f64 / threshold + 1e-9) as usize).min(largest);
        let spare = partner - need(threshold, partner).min(partner);
        let fits = |&together: &usize| choices(spare + together, spare) <= MAX_KEYS;
        (1..=need(threshold, size)).rev().find(fits).unwrap_or(1)
    };
    (0..=largest).map(of).collect()
}

/// How many ways there are to leave `leave` of `all` out; saturates.
fn choices(all: usize, leave: usize) -> u64 {
    (0..leave).fold(1, |ways: u64, i| ways.saturating_mul((all - i) as u64) / (i as u64 + 1))
}

/// What a set of `size` has in common at least with one that overlaps it, rounding errors aside.
fn need(threshold: f64, size: usize) -> usize {
    ((threshold * size as f64 - 1e-9).ceil() as usize).max(1).min(size)
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
        fn keys_miss_nothing(
            sets in prop::collection::vec(prop::collection::btree_set(0i64..14, 1..11), 0..40),
            threshold in prop::sample::select(vec![0.05, 0.3, 0.5, 0.6, 0.8, 0.9, 1.0]),
            common in prop::sample::select(vec![0, 1, 3, 8, COMMON]),
        ) {
            let joined = groups(&sets).join(threshold, common);
            prop_assert_eq!(joined.dropped, brute_force(&sets, threshold));
        }
    }

    /// So many groups of `sizes` images out of a stock of `stock`, no two the same.
    fn of_stock(stock: usize, sizes: &[usize], count: usize) -> Vec<BTreeSet<i64>> {
        let mut random = 1_u64;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) as usize % below
        };
        let mut sets = BTreeSet::new();
        while sets.len() < count {
            let size = sizes[next(sizes.len())];
            let mut set = BTreeSet::new();
            while set.len() < size {
                set.insert(next(stock) as i64);
            }
            sets.insert(set);
        }
        sets.into_iter().collect()
    }

    #[test]
    fn many_groups_of_a_few_stock_images_are_compared_with_few() {
        for (stock, sizes) in [(50, vec![3, 4, 5, 6, 7]), (60, vec![8, 9, 10, 12])] {
            let sets = of_stock(stock, &sizes, 60_000);
            let joined = groups(&sets).join(0.8, COMMON);
            // By single images it is 423 for the first stock with a quarter of these groups, and grows
            // with their number.
            let each = joined.comparisons as f64 / sets.len() as f64;
            eprintln!(
                "{stock} images, {sizes:?}: {each:.2} comparisons, {} dropped",
                joined.dropped.len()
            );
            assert!(each < 100.0, "{each} comparisons of a group");
        }
    }

    #[test]
    fn a_stock_image_everywhere_makes_nothing_overlap() {
        let sets: Vec<BTreeSet<i64>> = (1..50_000).map(|own| BTreeSet::from([0, own])).collect();
        let joined = groups(&sets).join(0.8, COMMON);
        assert_eq!((joined.dropped.len(), joined.comparisons), (0, 0));
    }

    #[test]
    fn of_many_copies_one_stays() {
        let sets = vec![BTreeSet::from([1, 2, 3]); 20_000];
        let joined = groups(&sets).join(0.8, COMMON);
        assert_eq!((joined.dropped.len(), joined.comparisons), (19_999, 19_999));
        assert!(joined.dropped.values().all(|&kept| kept == 0));
    }
}
