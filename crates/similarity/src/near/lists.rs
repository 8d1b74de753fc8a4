//! Pairs laid out as lists: the neighbours of each hash.

use super::{NearError, Pairs, within};

/// For each hash of a sorted list, the hashes within the radius of it.
///
/// Most have none, so lists are found by a bit a hash, and the number of bits before each 64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbours {
    has: Vec<u64>,
    before: Vec<u32>,
    starts: Vec<u64>,
    items: Vec<u32>,
    /// Hashes that were in a run too long to compare in full, so that some neighbours may be missing.
    pub capped: u64,
}

impl Neighbours {
    /// Bytes that it takes for so many hashes where none has neighbours.
    pub fn least_bytes(hashes: u64) -> u64 {
        hashes.div_ceil(64) * 12
    }

    /// The indices of the neighbours of hash `i`, ascending and without `i` itself.
    pub fn of(&self, i: u32) -> &[u32] {
        let i = i as usize;
        if self.has[i / 64] >> (i % 64) & 1 == 0 {
            return &[];
        }
        let list = list(&self.has, &self.before, i);
        &self.items[self.starts[list] as usize..self.starts[list + 1] as usize]
    }

    /// Lays out pairs as lists of both ends, in so many bytes.
    pub fn from_pairs(
        mut pairs: Pairs,
        hashes: usize,
        capped: u64,
        room: u64,
    ) -> Result<Self, NearError> {
        let least = Self::least_bytes(hashes as u64);
        within(room, least)?;
        pairs.settle(room - least)?;
        let (mut has, mut count) = (vec![0; hashes.div_ceil(64)], 0);
        pairs.each(|a, b| {
            [a, b].into_iter().for_each(|i| has[i / 64] |= 1 << (i % 64));
            count += 1;
        })?;
        let (mut before, mut lists) = (Vec::with_capacity(has.len()), 0);
        for word in &has {
            before.push(lists);
            lists += u64::count_ones(*word);
        }
        within(room, least + pairs.bytes() + (u64::from(lists) + 2 + count) * 8)?;
        let list = |i: usize| list(&has, &before, i);
        // Shifted by one while the lists are filled: `starts[list + 1]` is where it is written to next.
        let mut starts = vec![0; lists as usize + 2];
        pairs.each(|a, b| [a, b].into_iter().for_each(|i| starts[list(i) + 2] += 1))?;
        (1..starts.len()).for_each(|list| starts[list] += starts[list - 1]);
        let mut items = vec![0; count as usize * 2];
        let mut put = |to: usize, item: usize| {
            let at = &mut starts[list(to) + 1];
            items[*at as usize] = item as u32;
            *at += 1;
        };
        // Pairs ascend, so all with a smaller neighbour of `i` come before those that begin with `i`.
        pairs.each(|a, b| {
            put(b, a);
            put(a, b);
        })?;
        starts.pop();
        Ok(Self { has, before, starts, items, capped })
    }
}

/// The number of the list of a hash that has one.
fn list(has: &[u64], before: &[u32], i: usize) -> usize {
    let earlier = has[i / 64] & ((1 << (i % 64)) - 1);
    (before[i / 64] + earlier.count_ones()) as usize
}
