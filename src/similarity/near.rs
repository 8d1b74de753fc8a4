//! All pairs of 64-bit hashes within a small Hamming distance: none is missed but in a capped run.
//!
//! The 64 bits are cut into `radius + 2` blocks. Hashes that differ in at most `radius` bits agree
//! in at least two blocks, so the hashes are sorted once for each two blocks by what they have
//! there, and compared only within runs of the same key. This is the table scheme of Manku, Jain
//! and Das Sarma, "Detecting near-duplicates for web crawling" (WWW 2007), with one table at a time.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rayon::prelude::*;

/// The largest radius the blocks are meant for: above it runs are so long that nothing is saved.
pub const MAX_RADIUS: u32 = 6;

/// The limits of `neighbours`: a run of 2^17 costs 2^33 comparisons, some seconds.
const LIMITS: Limits = Limits { run: 1 << 17, window: 4096 };

/// Members of a run above which its comparisons are shared out to all cores.
const LONG: usize = 2048;

/// Comparisons counted together, so that the compiler makes them wide: almost none is a pair.
const WIDE: usize = 32;

/// Spreads the bits of two blocks over the upper half of a word: 2^64 over the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// For each hash of a sorted list, the hashes within the radius of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbours {
    starts: Vec<u64>,
    items: Vec<u32>,
    /// Hashes that were in a run too long to compare in full, so that some neighbours may be missing.
    pub capped: u64,
}

impl Neighbours {
    /// The indices of the neighbours of hash `i`, ascending and without `i` itself.
    pub fn of(&self, i: u32) -> &[u32] {
        let i = i as usize;
        &self.items[self.starts[i] as usize..self.starts[i + 1] as usize]
    }

    /// Lays out packed pairs, smaller index first, as lists of both ends.
    fn from_pairs(mut pairs: Vec<u64>, hashes: usize, capped: u64) -> Self {
        pairs.par_sort_unstable();
        pairs.dedup();
        // Shifted by one while the lists are filled: `starts[i + 1]` is where `i` writes next.
        let mut starts = vec![0; hashes + 2];
        let ends = || pairs.iter().map(|&pair| unpack(pair));
        ends().flat_map(|(a, b)| [a, b]).for_each(|i| starts[i + 2] += 1);
        (1..starts.len()).for_each(|i| starts[i] += starts[i - 1]);
        let mut items = vec![0; pairs.len() * 2];
        let mut put = |to: usize, item: usize| {
            items[starts[to + 1] as usize] = item as u32;
            starts[to + 1] += 1;
        };
        // Smaller neighbours first, then larger ones: pairs are sorted, so both come ascending.
        ends().for_each(|(a, b)| put(b, a));
        ends().for_each(|(a, b)| put(a, b));
        starts.pop();
        Self { starts, items, capped }
    }
}

/// Finds all pairs among `hashes`, distinct and ascending, that differ in at most `radius` bits.
pub fn neighbours(hashes: &[u64], radius: u32) -> Neighbours {
    let (pairs, capped) = find_pairs(hashes, radius, LIMITS);
    Neighbours::from_pairs(pairs, hashes.len(), capped)
}

/// The packed pairs in no order, each once where no run is capped, and how many hashes are in such.
fn find_pairs(hashes: &[u64], radius: u32, limits: Limits) -> (Vec<u64>, u64) {
    debug_assert!(radius <= MAX_RADIUS, "radius {radius} is over {MAX_RADIUS}");
    debug_assert!(hashes.is_sorted_by(|a, b| a < b), "hashes are not distinct and ascending");
    let crowded: Vec<_> = hashes.iter().map(|_| AtomicBool::new(false)).collect();
    let (mut keys, mut pairs) = (vec![0; hashes.len()], Vec::new());
    let (masks, crowded) = (&*block_masks(radius + 2), &*crowded);
    for second in 1..masks.len() {
        for first in 0..second {
            let table = Table { hashes, crowded, masks, first, second, radius, limits };
            table.fill(&mut keys);
            let runs = keys.par_chunk_by(|a, b| a >> 32 == b >> 32).filter(|run| run.len() > 1);
            pairs.par_extend(runs.flat_map_iter(|run| table.scan(run)));
        }
    }
    (pairs, crowded.iter().filter(|is| is.load(Relaxed)).count() as u64)
}

/// The masks of `blocks` nearly equal blocks of a hash, highest bits first.
pub(super) fn block_masks(blocks: u32) -> Vec<u64> {
    let below = |bit: u32| 1_u64.checked_shl(bit).map_or(!0, |power| power - 1);
    (0..blocks).rev().map(|b| below(64 * (b + 1) / blocks) & !below(64 * b / blocks)).collect()
}

/// The two halves of a packed pair.
fn unpack(pair: u64) -> (usize, usize) {
    ((pair >> 32) as usize, pair as u32 as usize)
}

/// What is compared of a run of equal keys.
#[derive(Clone, Copy)]
struct Limits {
    /// The members of a run up to which all are compared with all.
    run: usize,
    /// The members after each, in hash order, that it is compared with in a longer run.
    window: usize,
}

/// The hashes sorted by what they have in two of the blocks.
struct Table<'a> {
    hashes: &'a [u64],
    /// Whether each hash was in a run over the limit, in this table or an earlier one.
    crowded: &'a [AtomicBool],
    masks: &'a [u64],
    first: usize,
    second: usize,
    radius: u32,
    limits: Limits,
}

impl Table<'_> {
    /// Fills `keys` with packed (key, index), sorted, so that each run is in hash order.
    fn fill(&self, keys: &mut [u64]) {
        // Two keys may fall together, if rarely: that lengthens a run, and `is_new` sees to it.
        let mask = self.masks[self.first] | self.masks[self.second];
        let key = |hash: u64| (hash & mask).wrapping_mul(SPREAD) >> 32 << 32;
        let packed = keys.par_iter_mut().zip(self.hashes).enumerate();
        packed.for_each(|(i, (to, &hash))| *to = key(hash) | i as u64);
        keys.par_sort_unstable();
    }

    /// The packed pairs of a run, the smaller index in the upper half.
    fn scan(&self, run: &[u64]) -> Vec<u64> {
        let index = |i: usize| unpack(run[i]).1;
        let is_capped = run.len() > self.limits.run;
        let window = if is_capped { self.limits.window } else { run.len() };
        if is_capped {
            (0..run.len()).for_each(|i| self.crowded[index(i)].store(true, Relaxed));
        }
        let hashes: &[u64] = &(0..run.len()).map(|i| self.hashes[index(i)]).collect::<Vec<_>>();
        let pairs = |i: usize| {
            let after = &hashes[i + 1..run.len().min(i + 1 + window)];
            let near = self.near(hashes[i], after).map(move |j| i + 1 + j);
            near.map(move |j| (hashes[i] ^ hashes[j], index(i), index(j)))
                .filter(|&(differ, a, b)| self.is_new(differ, a, b))
                .map(|(_, a, b)| (a as u64) << 32 | b as u64)
        };
        match run.len() {
            ..LONG => (0..run.len()).flat_map(pairs).collect(),
            _ => (0..run.len()).into_par_iter().with_min_len(64).flat_map_iter(pairs).collect(),
        }
    }

    /// Where among `others` the hashes within the radius of `hash` are.
    fn near(&self, hash: u64, others: &[u64]) -> impl Iterator<Item = usize> {
        let is_near = move |other: &u64| (hash ^ other).count_ones() <= self.radius;
        let wide = others.chunks(WIDE).enumerate();
        wide.filter(move |(_, part)| {
            part.iter().map(|other| u32::from(is_near(other))).sum::<u32>() > 0
        })
        .flat_map(move |(at, part)| {
            (0..part.len()).filter(move |&j| is_near(&part[j])).map(move |j| at * WIDE + j)
        })
    }

    /// Whether no earlier table gave a pair that differs in the bits `differ`: it agrees first here,
    /// or what a capped run missed turns up again.
    fn is_new(&self, differ: u64, a: usize, b: usize) -> bool {
        let mut agreed = (0..self.masks.len()).filter(|&block| differ & self.masks[block] == 0);
        let is_first = agreed.next() == Some(self.first) && agreed.next() == Some(self.second);
        is_first || [a, b].iter().all(|&i| self.crowded[i].load(Relaxed))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Splitmix64, by Sebastiano Vigna.
    pub struct Random(pub u64);

    impl Random {
        pub fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(SPREAD);
            let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ mixed >> 31
        }

        pub fn below(&mut self, limit: usize) -> usize {
            (self.next() % limit as u64) as usize
        }

        /// `hash` with up to `bits` bits flipped.
        pub fn flip(&mut self, hash: u64, bits: usize) -> u64 {
            (0..bits).fold(hash, |hash, _| hash ^ 1 << self.below(64))
        }
    }

    /// Rows of which some are near-duplicates of others, some share a hash and some lie in a ball.
    pub fn planted(rows: usize, shared: usize, ball: usize, bits: usize, seed: u64) -> Vec<u64> {
        let mut random = Random(seed);
        let (same, centre) = (random.next(), random.next());
        let mut hashes: Vec<u64> = (0..rows - shared - ball).map(|_| random.next()).collect();
        for to in (0..hashes.len()).step_by(5).skip(1) {
            hashes[to] = random.flip(hashes[to - 1], bits);
        }
        hashes.extend((0..shared).map(|_| same));
        hashes.extend((0..ball).map(|_| random.flip(centre, bits)));
        hashes
    }

    fn distinct(mut hashes: Vec<u64>) -> Vec<u64> {
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }

    /// Every list of neighbours, by comparing all with all.
    fn brute_force(hashes: &[u64], radius: u32) -> Vec<Vec<u32>> {
        let near = |i: usize, j: usize| i != j && (hashes[i] ^ hashes[j]).count_ones() <= radius;
        let list = |i| (0..hashes.len()).filter(|&j| near(i, j)).map(|j| j as u32).collect();
        (0..hashes.len()).into_par_iter().map(list).collect()
    }

    fn lists(found: &Neighbours) -> Vec<Vec<u32>> {
        (0..found.starts.len() - 1).map(|i| found.of(i as u32).to_vec()).collect()
    }

    /// `neighbours` with radius 3 and other limits.
    fn limited(hashes: &[u64], run: usize, window: usize) -> Neighbours {
        let (pairs, capped) = find_pairs(hashes, 3, Limits { run, window });
        Neighbours::from_pairs(pairs, hashes.len(), capped)
    }

    proptest! {
        #[test]
        fn finds_what_brute_force_finds(
            seed: u64, radius in 0_u32..=4, rows in 0_usize..200, ball in 0_usize..150, bits in 1_usize..=5,
        ) {
            let hashes = distinct(planted(rows + ball, rows / 9, ball, bits, seed));
            let expected = brute_force(&hashes, radius);
            prop_assert!(lists(&neighbours(&hashes, radius)) == expected);
            let once = (expected.concat().len() / 2, 0);
            let (pairs, capped) = find_pairs(&hashes, radius, LIMITS);
            prop_assert_eq!((pairs.len(), capped), once);
        }
    }

    #[test]
    fn misses_no_pair_of_20_000_rows() {
        let hashes = distinct(planted(20_000, 200, 20, 3, 7));
        let expected = brute_force(&hashes, 3);
        assert!(expected.concat().len() > 7000, "too few pairs planted");
        assert!(lists(&neighbours(&hashes, 3)) == expected);
    }

    #[test]
    fn blocks_cover_each_bit_once() {
        for masks in (2..=MAX_RADIUS + 2).map(block_masks) {
            assert_eq!(masks.iter().fold(0, |all, mask| all ^ mask), !0);
            assert_eq!(masks.iter().map(|mask| mask.count_ones()).sum::<u32>(), 64);
        }
    }

    #[test]
    fn a_run_over_the_limit_is_compared_in_a_window_and_counted() {
        // All differ in the lowest block only, so each table without it is one run.
        let hashes: Vec<u64> = (0..4096).collect();
        let expected = brute_force(&hashes, 3);
        let found = limited(&hashes, 4095, 2);
        let in_window =
            |i: u32, list: &[u32]| list.iter().copied().filter(|j| j.abs_diff(i) <= 2).collect();
        let windowed: Vec<Vec<u32>> =
            (0..).zip(&expected).map(|(i, list)| in_window(i, list)).collect();
        assert_eq!(found.capped, 4096);
        assert!(lists(&found) == windowed);
        let whole = limited(&hashes, 4096, 2);
        assert!(whole.capped == 0 && lists(&whole) == expected);
    }

    #[test]
    fn a_later_table_finds_what_a_capped_run_missed() {
        // The first two blocks are the same in all; pairs two bits apart have a third in common.
        let hashes = distinct(planted(3000, 0, 0, 2, 3).iter().map(|hash| hash >> 26).collect());
        let found = limited(&hashes, 100, 1);
        assert_eq!(found.capped, hashes.len() as u64);
        assert!(lists(&found) == brute_force(&hashes, 3));
    }
}
