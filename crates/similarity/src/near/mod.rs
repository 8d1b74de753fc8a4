//! All pairs of 64-bit hashes within a small Hamming distance: none is missed but in a capped run.
//!
//! The 64 bits are cut into `radius + 2` blocks. Hashes that differ in at most `radius` bits agree
//! in at least two blocks, so the hashes are sorted once for each two blocks by what they have
//! there, and compared only within runs of the same key. This is the table scheme of Manku, Jain
//! and Das Sarma, "Detecting near-duplicates for web crawling" (WWW 2007), with one [`table`] at a
//! time, and of that so many keys as there is room for. [`pairs`] that find no room wait in a file.
//! [`bucket`] is the same for the hashes of some keys of one table, wherever those are worked on.

mod bucket;
mod lists;
mod pairs;
mod table;

use std::io;

use thiserror::Error;

pub use bucket::{Bucket, Cut};
pub use lists::Neighbours;
pub use pairs::Pairs;
use table::Search;
pub(super) use table::block_masks;
pub use table::{Crowded, Limits};

/// The largest radius the blocks are meant for: above it runs are so long that nothing is saved.
pub const MAX_RADIUS: u32 = 6;

/// Bytes of pairs that are in memory, at least: each run of them in the file is read through a buffer.
const LEAST_PAIRS: u64 = 16 << 20;

/// Bytes of a key, and of a pair.
const KEY: u64 = 8;

/// Memory beside the hashes themselves, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// While pairs are searched for.
    pub search: u64,
    /// What is found, and the making of it.
    pub result: u64,
}

impl Room {
    /// Some buffers, whatever there is to be searched.
    pub const LEAST: u64 = LEAST_PAIRS + (1 << 20);
}

/// Why neighbours were not found.
#[derive(Debug, Error)]
pub enum NearError {
    /// There is too little room.
    #[error("{missing} bytes of memory too few for near-duplicates")]
    Room {
        /// Bytes that are wanted beyond what there is.
        missing: u64,
    },
    /// Pairs could not be kept in the temporary folder, or read from there.
    #[error("pairs in the temporary folder: {0}")]
    Spill(#[from] io::Error),
}

/// Fails where more is needed than there is.
pub fn within(room: u64, needed: u64) -> Result<(), NearError> {
    match needed.checked_sub(room) {
        Some(missing) if missing > 0 => Err(NearError::Room { missing }),
        _ => Ok(()),
    }
}

/// Finds all pairs among `hashes`, distinct and ascending, that differ in at most `radius` bits. What is
/// found does not depend on the room.
pub fn neighbours(
    hashes: &[u64],
    radius: u32,
    limits: Limits,
    room: Room,
) -> Result<Neighbours, NearError> {
    within(room.result, Neighbours::least_bytes(hashes.len() as u64))?;
    let search = Search::new(hashes, radius, limits);
    let (keys, bytes) = divided(&search, room.search)?;
    let pairs = search.pairs(keys, bytes)?;
    let capped = search.crowded.count();
    drop(search);
    Neighbours::from_pairs(pairs, hashes.len(), capped, room.result)
}

/// The keys that there is room for at a time, and the bytes that are left for pairs.
fn divided(search: &Search, room: u64) -> Result<(usize, u64), NearError> {
    let fixed = search.bytes() + LEAST_PAIRS;
    within(room, fixed)?;
    let (free, all) = (room - fixed, search.hashes.len() as u64 * KEY);
    // Pairs are few beside keys.
    let keys = match free / 4 * 3 {
        most if most >= all => all,
        most => {
            let least = search.least_keys() as u64 * KEY;
            within(free, least)?;
            most.max(least)
        }
    };
    Ok(((keys / KEY) as usize, LEAST_PAIRS + free - keys))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use rayon::prelude::*;

    use magiclens_testing::hashes::planted;

    use super::*;

    pub fn distinct(mut hashes: Vec<u64>) -> Vec<u64> {
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

    fn lists(found: &Neighbours, hashes: usize) -> Vec<Vec<u32>> {
        (0..hashes).map(|i| found.of(i as u32).to_vec()).collect()
    }

    /// Room for everything at once.
    const ALL: Room = Room { search: 1 << 30, result: 1 << 30 };

    fn found(hashes: &[u64], radius: u32) -> Neighbours {
        neighbours(hashes, radius, Limits::default(), ALL).unwrap()
    }

    /// `neighbours` with radius 3 and other limits.
    fn limited(hashes: &[u64], run: usize, window: usize) -> Neighbours {
        neighbours(hashes, 3, Limits { run, window }, ALL).unwrap()
    }

    /// The same with the fewest keys at a time, and more or fewer pairs in memory.
    fn cramped(hashes: &[u64], radius: u32, limits: Limits, pairs: u64) -> Neighbours {
        let search = Search::new(hashes, radius, limits);
        let pairs = search.pairs(search.least_keys(), pairs * KEY).unwrap();
        let capped = search.crowded.count();
        Neighbours::from_pairs(pairs, hashes.len(), capped, 1 << 30).unwrap()
    }

    proptest! {
        #[test]
        fn finds_what_brute_force_finds(
            seed: u64, radius in 0_u32..=4, rows in 0_usize..200, ball in 0_usize..150, bits in 1_usize..=5,
        ) {
            let hashes = distinct(planted(rows + ball, rows / 9, ball, bits, seed));
            let expected = brute_force(&hashes, radius);
            prop_assert!(lists(&found(&hashes, radius), hashes.len()) == expected);
            let search = Search::new(&hashes, radius, Limits::default());
            let pairs = search.pairs(hashes.len(), 1 << 30).unwrap();
            let once = (expected.concat().len() / 2, 0);
            prop_assert_eq!((pairs.pending(), search.crowded.count()), once);
        }

        #[test]
        fn finds_the_same_in_any_room(
            seed: u64, radius in 0_u32..=4, rows in 0_usize..200, ball in 0_usize..150,
            run in 2_usize..200, window in 0_usize..20, pairs in 1_u64..50,
        ) {
            // What few blocks there are to differ in makes runs long.
            let planted = planted(rows + ball, rows / 9, ball, 3, seed);
            let hashes = distinct(planted.iter().map(|hash| hash & 0xFFFF_0000_003F).collect());
            let limits = Limits { run, window };
            let all = cramped(&hashes, radius, limits, u64::MAX / KEY);
            let whole = neighbours(&hashes, radius, limits, ALL).unwrap();
            prop_assert_eq!(&all, &whole);
            prop_assert_eq!(cramped(&hashes, radius, limits, pairs), whole);
        }
    }

    #[test]
    fn misses_no_pair_of_20_000_rows() {
        let hashes = distinct(planted(20_000, 200, 20, 3, 7));
        let expected = brute_force(&hashes, 3);
        assert!(expected.concat().len() > 7000, "too few pairs planted");
        assert!(lists(&found(&hashes, 3), hashes.len()) == expected);
    }

    #[test]
    fn too_little_room_is_told_with_what_is_missing() {
        // A third of them is one run in each table of blocks that they have in common.
        let mut hashes = planted(4000, 0, 0, 3, 7);
        hashes.extend(0..2000);
        let hashes = distinct(hashes);
        let whole = found(&hashes, 3);
        let missing = |room| match neighbours(&hashes, 3, Limits::default(), room) {
            Err(NearError::Room { missing }) => missing,
            other => panic!("{other:?}"),
        };
        let mut room = Room { search: 0, result: ALL.result };
        room.search += missing(room);
        room.search += missing(room);
        assert!(room.search < LEAST_PAIRS + 6000 * KEY, "all keys at a time: {room:?}");
        assert_eq!(neighbours(&hashes, 3, Limits::default(), room).unwrap(), whole);
        room.search -= 1;
        assert_eq!(missing(room), 1);
        let mut room = Room { search: ALL.search, result: 0 };
        room.result += missing(room);
        room.result += missing(room);
        assert_eq!(neighbours(&hashes, 3, Limits::default(), room).unwrap(), whole);
        room.result = Neighbours::least_bytes(hashes.len() as u64) - 1;
        assert_eq!(missing(room), 1);
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
        assert!(lists(&found, hashes.len()) == windowed);
        let whole = limited(&hashes, 4096, 2);
        assert!(whole.capped == 0 && lists(&whole, hashes.len()) == expected);
    }

    #[test]
    fn a_later_table_finds_what_a_capped_run_missed() {
        // The first two blocks are the same in all; pairs two bits apart have a third in common.
        let hashes = distinct(planted(3000, 0, 0, 2, 3).iter().map(|hash| hash >> 26).collect());
        let found = limited(&hashes, 100, 1);
        assert_eq!(found.capped, hashes.len() as u64);
        assert!(lists(&found, hashes.len()) == brute_force(&hashes, 3));
    }
}
