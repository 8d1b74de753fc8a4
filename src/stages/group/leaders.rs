//! Clusters of items that are stars around a centre, never chains.
//!
//! Items are taken in order of preference. Each joins the nearest centre that is the same as it, or
//! becomes a centre itself (leader clustering), so every member was itself compared with its centre.

use rayon::prelude::*;

use crate::similarity::near::{NearError, Neighbours, Room};

/// No centre: stands where a rank would.
const NONE: u32 = u32::MAX;

/// Shares in which items are sorted to find their hashes: two words an item take less in parts.
const SHARES: usize = 16;

/// Members of a share that one thread looks up.
const LOOK_UP: usize = 1 << 14;

/// Bytes an item of the least memory that clustering takes, pairs aside.
const ITEM_BYTES: u64 = 21;

/// The distinct hashes of items, of which there are fewer than 2^32 - 1.
#[derive(Clone, Debug)]
pub struct Distinct {
    /// Ascending.
    hashes: Vec<u64>,
    /// For each item, where its hash is in `hashes`.
    slots: Vec<u32>,
}

impl Distinct {
    /// Of the hash of each item, in any order and with repeats.
    pub fn new(of_items: Vec<u64>) -> Self {
        let mut hashes = of_items.clone();
        hashes.par_sort_unstable();
        hashes.dedup();
        hashes.shrink_to_fit();
        let mut slots = vec![0; of_items.len()];
        let share = of_items.len().div_ceil(SHARES).max(1);
        for (of_items, slots) in of_items.chunks(share).zip(slots.chunks_mut(share)) {
            look_up(&hashes, of_items, slots);
        }
        Self { hashes, slots }
    }

    /// The hashes, ascending.
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// What of some memory is left for finding neighbours, and for them while items are clustered.
    pub fn room(&self, memory: u64) -> Result<Room, NearError> {
        let (hashes, items) = (self.hashes.len() as u64, self.slots.len() as u64);
        let (own, centres) = (hashes * 8 + items * 4, hashes * 4 + items * 4);
        match memory.checked_sub(own + centres) {
            Some(result) => Ok(Room { search: result + centres, result }),
            None => Err(NearError::Room { missing: own + centres - memory }),
        }
    }
}

/// The least memory in which so many items can be clustered, where hardly any are near each other.
pub fn least_bytes(items: u64) -> u64 {
    items * ITEM_BYTES + Room::LEAST
}

/// Finds where in `hashes` those of some items are.
fn look_up(hashes: &[u64], of_items: &[u64], slots: &mut [u32]) {
    // Sorted with their items: to look each hash up takes ten times as long.
    let mut sorted: Vec<(u64, u32)> =
        of_items.par_iter().copied().zip(0..of_items.len() as u32).collect();
    sorted.par_sort_unstable();
    sorted.par_chunks_mut(LOOK_UP).for_each(|part| {
        let mut slot = hashes.partition_point(|&hash| hash < part[0].0);
        for (hash, _) in part {
            while hashes[slot] < *hash {
                slot += 1;
            }
            *hash = slot as u64;
        }
    });
    sorted.iter().for_each(|&(slot, item)| slots[item as usize] = slot as u32);
}

/// Which item stands for which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clusters {
    /// The centre of each item in the order of preference; a centre has itself.
    pub centre_of: Vec<u32>,
    /// Items that became centres while there were more centres near them than may be asked for one.
    pub capped: u64,
    /// Distinct hashes of which some neighbours may be missing, as `Neighbours::capped` counts them.
    pub crowded: u64,
}

/// Clusters items by their hashes and which of those are near each other. `order` has items in order of
/// preference as centres, best first, each at most once. `is_same(centre, item)` is asked for centres
/// that are near, nearest hash first and then earliest centre first, until one is the same or
/// `max_centres` were asked.
pub fn leaders<E>(
    distinct: Distinct,
    near: Neighbours,
    order: &[u32],
    mut is_same: impl FnMut(u32, u32) -> Result<bool, E>,
    max_centres: usize,
) -> Result<Clusters, E> {
    let Distinct { hashes, mut slots } = distinct;
    let latest = vec![NONE; hashes.len()];
    let centres = Centres { latest, next: vec![0; order.len()] };
    let (mut capped, crowded) = (0, near.capped);
    let mut search = Search { order, hashes, near, centres, max_centres, candidates: Vec::new() };
    for (rank, &item) in order.iter().enumerate() {
        // An item's slot is not looked at again, so its centre takes the place.
        let slot = slots[item as usize];
        if let Some(centre) = search.centre_for(slot, |centre| is_same(centre, item))? {
            slots[item as usize] = centre;
            continue;
        }
        slots[item as usize] = item;
        capped += u64::from(search.candidates.len() > max_centres);
        search.centres.push(slot, rank as u32);
    }
    Ok(Clusters { centre_of: slots, capped, crowded })
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
    hashes: Vec<u64>,
    near: Neighbours,
    centres: Centres,
    max_centres: usize,
    /// Of the item at hand, in the order they are asked, as packed (distance, rank); it may have
    /// more than `max_centres`, which shows only that there are more.
    candidates: Vec<u64>,
}

impl Search<'_> {
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
        let hash = self.hashes[slot as usize];
        for &other in self.near.of(slot) {
            let distance = (hash ^ self.hashes[other as usize]).count_ones();
            let pack = |rank| u64::from(distance) << 32 | u64::from(rank);
            self.candidates.extend(self.centres.at(other).take(room).map(pack));
        }
        self.candidates[from..].sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use magiclens_testing::hashes::{Random, planted};
    use proptest::prelude::*;

    use super::*;
    use crate::similarity::near::{Limits, neighbours};

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

    fn near(hashes: &[u64]) -> (Distinct, Neighbours) {
        let distinct = Distinct::new(hashes.to_vec());
        let room = distinct.room(1 << 30).unwrap();
        let near = neighbours(distinct.hashes(), RADIUS, Limits::default(), room).unwrap();
        (distinct, near)
    }

    fn cluster(hashes: &[u64], order: &[u32], max_centres: usize) -> Clusters {
        let same = |centre, item| Ok::<_, Infallible>(is_same(hashes, centre, item));
        let (distinct, near) = near(hashes);
        leaders(distinct, near, order, same, max_centres).expect("is_same never fails")
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
        let (distinct, near) = near(&hashes);
        let found = leaders(distinct, near, &[3, 0, 2, 1, 5, 4], no, 4).expect("never fails");
        asked.retain(|&(item, _)| item == 4);
        assert_eq!(asked, [(4, 5), (4, 3), (4, 1), (4, 2)]);
        assert_eq!((found.centre_of, found.capped), (vec![0, 1, 2, 3, 4, 5], 1));
    }

    #[test]
    fn an_error_ends_it() {
        let (distinct, near) = near(&[5, 5]);
        assert_eq!(leaders(distinct, near, &[0, 1], |_, _| Err("gone"), 1), Err("gone"));
    }

    #[test]
    fn each_item_finds_its_hash() {
        for rows in [0, 1, 15, 17, 3 * LOOK_UP * SHARES] {
            let hashes = planted(rows, rows / 3, rows / 9, 2, 5);
            let distinct = Distinct::new(hashes.clone());
            assert!(distinct.hashes.is_sorted_by(|a, b| a < b));
            let found = distinct.slots.iter().map(|&slot| distinct.hashes[slot as usize]);
            assert!(found.eq(hashes), "{rows} rows");
        }
    }

    #[test]
    fn the_least_memory_is_enough_and_less_is_not() {
        let hashes: Vec<u64> = (1..40_000).map(|i| Random(i).next()).collect();
        let memory = least_bytes(hashes.len() as u64);
        let (distinct, near) = near(&hashes);
        let missing = |memory| {
            let found = distinct
                .room(memory)
                .and_then(|room| neighbours(distinct.hashes(), RADIUS, Limits::default(), room));
            match found {
                Ok(found) => {
                    assert_eq!(found, near);
                    0
                }
                Err(NearError::Room { missing }) => missing,
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(missing(memory), 0);
        assert!(missing(memory / 2) > 0);
        assert_eq!(missing(0), hashes.len() as u64 * 20);
    }
}
