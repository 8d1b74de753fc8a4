//! Clusters of items that are stars around a centre, never chains.
//!
//! Items are taken in order of preference. Each joins the nearest centre that is the same as it, or
//! becomes a centre itself (leader clustering), so every member was itself compared with its centre.

use rayon::prelude::*;

use crate::similarity::near::{Neighbours, neighbours};

/// No centre: stands where a rank would.
const NONE: u32 = u32::MAX;

/// What is to be clustered; an item is an index into `hashes`.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a> {
    /// The hash of each item, in any order and with repeats; fewer than 2^32 - 1.
    pub hashes: &'a [u64],
    /// Items in order of preference as centres, best first, each at most once.
    pub order: &'a [u32],
}

/// Which item stands for which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clusters {
    /// The centre of each item; a centre, and an item not in `order`, has itself.
    pub centre_of: Vec<u32>,
    /// Items that became centres while there were more centres near them than may be asked for one.
    pub capped: u64,
    /// Distinct hashes of which some neighbours may be missing, as `Neighbours::capped` counts them.
    pub crowded: u64,
}

/// Clusters `items`: `is_same(centre, item)` is asked for centres within `radius`, nearest hash
/// first and then earliest centre first, until one is the same or `max_centres` were asked.
pub fn leaders<E>(
    items: &Items,
    radius: u32,
    mut is_same: impl FnMut(u32, u32) -> Result<bool, E>,
    max_centres: usize,
) -> Result<Clusters, E> {
    let mut search = Search::new(items, radius, max_centres);
    let mut clusters = Clusters {
        centre_of: (0..items.hashes.len() as u32).collect(),
        capped: 0,
        crowded: search.near.capped,
    };
    for (rank, &item) in items.order.iter().enumerate() {
        let slot = search.distinct.slots[item as usize];
        match search.centre_for(slot, |centre| is_same(centre, item))? {
            Some(centre) => clusters.centre_of[item as usize] = centre,
            None => {
                clusters.capped += u64::from(search.candidates.len() > max_centres);
                search.centres.push(slot, rank as u32);
            }
        }
    }
    Ok(clusters)
}

/// The distinct hashes of the items.
struct Distinct {
    /// Ascending.
    hashes: Vec<u64>,
    /// For each item, where its hash is in `hashes`.
    slots: Vec<u32>,
}

impl Distinct {
    fn new(of_items: &[u64]) -> Self {
        // Sorted with their items: to look each hash up takes ten times as long.
        let mut sorted: Vec<(u64, u32)> =
            of_items.par_iter().copied().zip(0..of_items.len() as u32).collect();
        sorted.par_sort_unstable();
        let (mut hashes, mut slots) = (Vec::with_capacity(sorted.len()), vec![0; sorted.len()]);
        for (hash, item) in sorted {
            if hashes.last() != Some(&hash) {
                hashes.push(hash);
            }
            slots[item as usize] = hashes.len() as u32 - 1;
        }
        Self { hashes, slots }
    }
}

/// The centres so far by hash; a centre is named by its rank, its place in the order of preference.
///
/// Those of one hash form a ring, since nearly all hashes have one or none: 4 bytes a hash for the
/// latest, and 4 bytes a rank for the one after it, which is the earliest after the latest.
struct Centres {
    latest: Vec<u32>,
    next: Vec<u32>,
}

impl Centres {
    fn push(&mut self, slot: u32, rank: u32) {
        let latest = std::mem::replace(&mut self.latest[slot as usize], rank);
        let earliest = if latest == NONE { rank } else { self.next[latest as usize] };
        self.next[rank as usize] = earliest;
        if latest != NONE {
            self.next[latest as usize] = rank;
        }
    }

    /// The centres with one hash, earliest first.
    fn at(&self, slot: u32) -> impl Iterator<Item = u32> {
        let latest = self.latest[slot as usize];
        let earliest = (latest != NONE).then(|| self.next[latest as usize]);
        let after = move |&rank: &u32| (rank != latest).then(|| self.next[rank as usize]);
        std::iter::successors(earliest, after)
    }
}

/// What the search for the centre of an item needs.
struct Search<'a> {
    order: &'a [u32],
    distinct: Distinct,
    near: Neighbours,
    centres: Centres,
    max_centres: usize,
    /// Of the item at hand, in the order they are asked, as packed (distance, rank); it may have
    /// more than `max_centres`, which shows only that there are more.
    candidates: Vec<u64>,
}

impl<'a> Search<'a> {
    fn new(items: &Items<'a>, radius: u32, max_centres: usize) -> Self {
        let distinct = Distinct::new(items.hashes);
        let near = neighbours(&distinct.hashes, radius);
        let latest = vec![NONE; distinct.hashes.len()];
        let centres = Centres { latest, next: vec![0; items.order.len()] };
        Self { order: items.order, distinct, near, centres, max_centres, candidates: Vec::new() }
    }

    /// The first centre that `is_same` accepts of those it may be asked for an item with this hash.
    fn centre_for<E>(
        &mut self,
        slot: u32,
        mut is_same: impl FnMut(u32) -> Result<bool, E>,
    ) -> Result<Option<u32>, E> {
        let mut asked = 0;
        self.candidates.clear();
        for gather in [Self::add_own, Self::add_near] {
            gather(self, slot);
            while asked < self.candidates.len().min(self.max_centres) {
                let centre = self.order[self.candidates[asked] as u32 as usize];
                if is_same(centre)? {
                    return Ok(Some(centre));
                }
                asked += 1;
            }
        }
        Ok(None)
    }

    /// Adds the centres with the very hash: mostly one of them is the same, and no more is needed.
    fn add_own(&mut self, slot: u32) {
        let own = self.centres.at(slot).take(self.max_centres.saturating_add(1));
        self.candidates.extend(own.map(u64::from));
    }

    /// Adds the centres with hashes within the radius, unless those there are too many already.
    fn add_near(&mut self, slot: u32) {
        let from = self.candidates.len();
        if from > self.max_centres {
            return;
        }
        let room = (self.max_centres - from).saturating_add(1);
        let hash = self.distinct.hashes[slot as usize];
        for &other in self.near.of(slot) {
            let distance = (hash ^ self.distinct.hashes[other as usize]).count_ones();
            let pack = |rank| u64::from(distance) << 32 | u64::from(rank);
            self.candidates.extend(self.centres.at(other).take(room).map(pack));
        }
        self.candidates[from..].sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::similarity::near::tests::{Random, planted};

    const RADIUS: u32 = 3;

    /// Says yes to about two thirds of the pairs, whichever of the two comes first.
    fn is_same(hashes: &[u64], a: u32, b: u32) -> bool {
        let (a, b) = (hashes[a as usize], hashes[b as usize]);
        Random(a.min(b) ^ a.max(b).rotate_left(9)).below(3) > 0
    }

    fn shuffled(count: usize, seed: u64) -> Vec<u32> {
        let (mut random, mut order) = (Random(seed), (0..count as u32).collect::<Vec<_>>());
        (1..count).for_each(|i| order.swap(i, random.below(i + 1)));
        order
    }

    fn cluster(hashes: &[u64], order: &[u32], max_centres: usize) -> Clusters {
        let same = |centre, item| Ok::<_, Infallible>(is_same(hashes, centre, item));
        leaders(&Items { hashes, order }, RADIUS, same, max_centres).expect("is_same never fails")
    }

    /// The same by its definition: each item against all centres so far.
    fn naive(hashes: &[u64], order: &[u32], max_centres: usize) -> Clusters {
        let (mut centre_of, mut capped) = ((0..hashes.len() as u32).collect::<Vec<_>>(), 0);
        let mut centres: Vec<u32> = Vec::new();
        for &item in order {
            let distance = |c: &u32| (hashes[*c as usize] ^ hashes[item as usize]).count_ones();
            let mut near: Vec<u32> =
                centres.iter().copied().filter(|c| distance(c) <= RADIUS).collect();
            near.sort_by_key(distance);
            match near.iter().take(max_centres).find(|c| is_same(hashes, **c, item)) {
                Some(centre) => centre_of[item as usize] = *centre,
                None => {
                    capped += u64::from(near.len() > max_centres);
                    centres.push(item);
                }
            }
        }
        Clusters { centre_of, capped, crowded: 0 }
    }

    proptest! {
        #[test]
        fn follows_its_definition(
            seed: u64, rows in 0_usize..200, ball in 0_usize..100, max_centres in 0_usize..12,
        ) {
            let hashes = planted(rows + ball, rows / 4, ball, 2, seed);
            let order = shuffled(hashes.len(), seed);
            let found = cluster(&hashes, &order, max_centres);
            prop_assert_eq!(&found, &naive(&hashes, &order, max_centres));
            prop_assert_eq!(found, cluster(&hashes, &order, max_centres));
        }

        #[test]
        fn clusters_are_stars_and_centres_apart(seed: u64, ball in 0_usize..100) {
            let hashes = planted(200 + ball, 30, ball, 2, seed);
            let order = shuffled(hashes.len(), seed);
            let found = cluster(&hashes, &order, usize::MAX);
            let may_join = |centre: u32, item: u32| {
                let differ = hashes[centre as usize] ^ hashes[item as usize];
                differ.count_ones() <= RADIUS && is_same(&hashes, centre, item)
            };
            let mut centres: Vec<u32> = Vec::new();
            for &item in &order {
                let centre = found.centre_of[item as usize];
                if centre == item {
                    prop_assert!(!centres.iter().any(|&earlier| may_join(earlier, item)));
                    centres.push(item);
                } else {
                    prop_assert!(may_join(centre, item) && centres.contains(&centre));
                }
            }
            prop_assert_eq!(found.capped, 0);
        }

        #[test]
        fn names_of_items_do_not_matter(seed: u64, ball in 0_usize..100) {
            let hashes = planted(200 + ball, 30, ball, 2, seed);
            let order = shuffled(hashes.len(), seed);
            let renamed = shuffled(hashes.len(), seed ^ 1);
            let (mut moved, mut expected) = (hashes.clone(), vec![0; hashes.len()]);
            let found = cluster(&hashes, &order, 5);
            for (old, &new) in renamed.iter().enumerate() {
                moved[new as usize] = hashes[old];
                expected[new as usize] = renamed[found.centre_of[old] as usize];
            }
            let order: Vec<u32> = order.iter().map(|&old| renamed[old as usize]).collect();
            let again = cluster(&moved, &order, 5);
            prop_assert_eq!((again.centre_of, again.capped), (expected, found.capped));
        }
    }

    #[test]
    fn asks_nearest_first_then_earliest() {
        let hashes = [0b111, 0b1, 0b11, 0b1, 0, 0];
        let mut asked = Vec::new();
        let no = |centre, item| {
            asked.push((item, centre));
            Ok::<_, Infallible>(false)
        };
        let items = Items { hashes: &hashes, order: &[3, 0, 2, 1, 5, 4] };
        let found = leaders(&items, RADIUS, no, 4).expect("never fails");
        asked.retain(|&(item, _)| item == 4);
        assert_eq!(asked, [(4, 5), (4, 3), (4, 1), (4, 2)]);
        assert_eq!((found.centre_of, found.capped), (vec![0, 1, 2, 3, 4, 5], 1));
    }

    #[test]
    fn an_error_ends_it() {
        let items = Items { hashes: &[5, 5], order: &[0, 1] };
        assert_eq!(leaders(&items, RADIUS, |_, _| Err("gone"), 1), Err("gone"));
    }
}
