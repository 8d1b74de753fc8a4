//! Which of many fixed 64-bit hashes lie within a small Hamming distance of another one.
//!
//! The table scheme of [`near`](super::near), all tables in memory, for lookups against a list that
//! stays: hashes that differ in at most `radius` of 64 bits agree in two of `radius + 2` blocks. A
//! lookup takes the same time whatever is looked up how often, so that a stage may stream past it.

use rayon::prelude::*;

use super::near::{MAX_RADIUS, block_masks};

/// Hashes that share two blocks, beyond which they are not looked through there: what is near
/// agrees in other blocks too, unless it is very near, and then it is one of many.
const CROWD: u32 = 1 << 14;

/// Bits of a block that count, at most: the few blocks of a small radius are wider than a table can be.
const MAX_BITS: u32 = 8;

/// Fixed hashes, to be looked up by nearness. Takes 8 bytes a hash for each table, of which a radius
/// of 6 has 28.
#[derive(Debug)]
pub struct HashIndex {
    hashes: Vec<u64>,
    radius: u32,
    tables: Vec<Table>,
}

/// The items of all hashes, ordered by what they have in two of the blocks.
#[derive(Debug)]
struct Table {
    blocks: [Block; 2],
    starts: Vec<u32>,
    entries: Vec<Entry>,
}

/// An item beside half a word of its hash: nearly all that share a key are told apart by it, without a
/// look at the hash itself, which lies anywhere in memory.
#[derive(Clone, Copy, Debug)]
struct Entry {
    folded: u32,
    item: u32,
}

/// Hashes differ in as many bits as their folded halves, or more.
fn folded(hash: u64) -> u32 {
    (hash >> 32 ^ hash) as u32
}

#[derive(Clone, Copy, Debug)]
struct Block {
    shift: u32,
    bits: u32,
}

impl Block {
    fn of_mask(mask: u64) -> Self {
        Self { shift: mask.trailing_zeros(), bits: mask.count_ones().min(MAX_BITS) }
    }

    fn of(self, hash: u64) -> usize {
        (hash >> self.shift) as usize & ((1 << self.bits) - 1)
    }
}

impl Table {
    fn new(hashes: &[u64], blocks: [Block; 2]) -> Self {
        let keys = 1 << (blocks[0].bits + blocks[1].bits);
        let entries = vec![Entry { folded: 0, item: 0 }; hashes.len()];
        let mut table = Self { blocks, starts: vec![0; keys + 1], entries };
        hashes.iter().for_each(|&hash| {
            let key = table.key(hash);
            table.starts[key + 1] += 1;
        });
        (0..keys).for_each(|key| table.starts[key + 1] += table.starts[key]);
        let mut next = table.starts.clone();
        for (item, &hash) in (0..).zip(hashes) {
            let at = &mut next[table.key(hash)];
            table.entries[*at as usize] = Entry { folded: folded(hash), item };
            *at += 1;
        }
        table
    }

    fn key(&self, hash: u64) -> usize {
        let [high, low] = self.blocks;
        high.of(hash) << low.bits | low.of(hash)
    }

    /// Items with the same key, unless they are a crowd.
    fn like(&self, hash: u64) -> &[Entry] {
        let key = self.key(hash);
        let (from, to) = (self.starts[key], self.starts[key + 1]);
        if to - from > CROWD { &[] } else { &self.entries[from as usize..to as usize] }
    }
}

impl HashIndex {
    /// Of fewer than 2^32 hashes, found up to `radius` bits, at most [`MAX_RADIUS`].
    pub fn new(hashes: Vec<u64>, radius: u32) -> Self {
        debug_assert!(radius <= MAX_RADIUS, "radius {radius} is over {MAX_RADIUS}");
        let blocks: Vec<Block> = block_masks(radius + 2).into_iter().map(Block::of_mask).collect();
        let pairs: Vec<[Block; 2]> = (1..blocks.len())
            .flat_map(|b| (0..b).map(move |a| (a, b)))
            .map(|(a, b)| [blocks[a], blocks[b]])
            .collect();
        let tables = pairs.into_par_iter().map(|pair| Table::new(&hashes, pair)).collect();
        Self { hashes, radius, tables }
    }

    /// The first item within the radius that is accepted, in an order that is always the same. An item
    /// may be offered more than once.
    pub fn find(&self, hash: u64, mut accept: impl FnMut(u32) -> bool) -> Option<u32> {
        let (half, radius) = (folded(hash), self.radius);
        let is_near = |item: u32| (self.hashes[item as usize] ^ hash).count_ones() <= radius;
        for table in &self.tables {
            for entry in table.like(hash) {
                let may_be = (entry.folded ^ half).count_ones() <= radius;
                if may_be && is_near(entry.item) && accept(entry.item) {
                    return Some(entry.item);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use magiclens_testing::hashes::{Random, planted};

    use super::*;

    proptest! {
        #[test]
        fn finds_what_comparing_with_all_finds(
            seed: u64, radius in 0_u32..=6, rows in 0_usize..300, ball in 0_usize..100,
        ) {
            let hashes = planted(rows + ball, rows / 9, ball, 6, seed);
            let index = HashIndex::new(hashes.clone(), radius);
            let mut random = Random(seed ^ 1);
            for _ in 0..20 {
                let hash = match hashes.len() {
                    0 => random.next(),
                    all => { let at = random.below(all); random.flip(hashes[at], 8) }
                };
                let mut found = BTreeSet::new();
                prop_assert_eq!(index.find(hash, |item| { found.insert(item); false }), None);
                let near = (0..).zip(&hashes).filter(|(_, to)| (*to ^ hash).count_ones() <= radius);
                prop_assert_eq!(found, near.map(|(item, _)| item).collect::<BTreeSet<u32>>());
            }
        }
    }

    #[test]
    fn a_crowd_is_passed_over_and_what_is_a_block_off_it_is_found() {
        let mut hashes = vec![0; CROWD as usize + 1];
        hashes.push(0xFF << 56);
        let index = HashIndex::new(hashes, 6);
        assert_eq!(index.find(0, |_| true), None);
        assert_eq!(index.find(0xFF << 56, |_| true), Some(CROWD + 1));
    }
}
