//! A table cut into buckets by the upper bits of the key, so that each can be worked on by itself.
//!
//! Runs lie within buckets, so what all buckets of all tables give is what one process finds.

use std::sync::Mutex;

use super::pairs::{Pairs, Sink};
use super::table::{Blocks, Limits, Search, Table};

/// One table in 2^`bits` buckets.
#[derive(Clone, Debug)]
pub struct Cut {
    blocks: Blocks,
    radius: u32,
    bits: u32,
}

/// What was found in a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// How many hashes it has.
    pub hashes: u64,
    /// Their sum, without what is carried over.
    pub sum: u64,
    /// Those in runs over the limit, ascending.
    pub crowded: Vec<u64>,
    /// Pairs within the radius.
    pub pairs: Vec<[u64; 2]>,
}

impl Cut {
    /// All tables of a radius, in the order they are to be worked on.
    pub fn all(radius: u32, bits: u32) -> impl Iterator<Item = Self> {
        Blocks::all(radius).map(move |blocks| Self { blocks, radius, bits })
    }

    /// How many buckets there are.
    pub fn buckets(&self) -> usize {
        1 << self.bits
    }

    /// The bucket that a hash is in.
    pub fn bucket(&self, hash: u64) -> u32 {
        (u64::from(self.blocks.key(hash)) >> (32 - self.bits)) as u32
    }

    /// Finds all pairs among the hashes of one bucket, in any order and with repeats. With `every`, also those
    /// that an earlier table gives unless a run was capped there.
    pub fn search(&self, mut hashes: Vec<u64>, limits: Limits, every: bool) -> Bucket {
        hashes.sort_unstable();
        hashes.dedup();
        let search = Search { every, ..Search::new(&hashes, self.radius, limits) };
        let table = Table { search: &search, blocks: self.blocks.clone() };
        let key = |(i, &hash)| u64::from(table.blocks.key(hash)) << 32 | i as u64;
        let mut keys: Vec<u64> = hashes.iter().enumerate().map(key).collect();
        keys.sort_unstable();
        let sink: Sink = Mutex::new(Ok(Pairs::new(u64::MAX)));
        table.scan(&keys, &sink);
        let found = sink.into_inner().expect("a panic would have gone on");
        let mut pairs = Vec::new();
        let each = found.and_then(|found| found.each(|a, b| pairs.push([hashes[a], hashes[b]])));
        each.expect("what is in memory is on no disk");
        let is_crowded = |i: &usize| search.crowded.has(*i);
        Bucket {
            hashes: hashes.len() as u64,
            sum: hashes.iter().fold(0, |sum, hash| sum.wrapping_add(*hash)),
            crowded: (0..hashes.len()).filter(is_crowded).map(|i| hashes[i]).collect(),
            pairs,
        }
    }

    /// What is wrong with what was found in a bucket, as far as can be told without finding it again: pairs
    /// that are missing cannot be told. `is_known` is asked about hashes, `expected` has their number and sum.
    pub fn fault(
        &self,
        number: u32,
        found: &Bucket,
        expected: (u64, u64),
        is_known: impl Fn(u64) -> bool,
    ) -> Option<&'static str> {
        let is_here = |hash: u64| self.bucket(hash) == number && is_known(hash);
        let is_true = |&[a, b]: &[u64; 2]| {
            a < b && (a ^ b).count_ones() <= self.radius && is_here(a) && is_here(b)
        };
        if (found.hashes, found.sum) != expected {
            return Some("was made of other hashes");
        }
        if !found.crowded.iter().all(|&hash| is_here(hash)) {
            return Some("has hashes that are not in it");
        }
        (!found.pairs.iter().all(is_true)).then_some("has a pair that is none")
    }
}

impl Bucket {
    /// As plain words.
    pub fn to_words(&self) -> Vec<u64> {
        let mut words = vec![self.hashes, self.sum, self.crowded.len() as u64];
        words.extend(&self.crowded);
        words.extend(self.pairs.iter().flatten());
        words
    }

    /// Out of such words, if that is what they are.
    pub fn of_words(words: &[u64]) -> Option<Self> {
        let (&[hashes, sum, crowded], rest) = words.split_first_chunk()?;
        let (crowded, pairs) = rest.split_at_checked(usize::try_from(crowded).ok()?)?;
        let (pairs, rest) = pairs.as_chunks();
        let (crowded, pairs) = (crowded.to_vec(), pairs.to_vec());
        rest.is_empty().then_some(Self { hashes, sum, crowded, pairs })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use magiclens_testing::hashes::planted;

    use super::super::tests::distinct;
    use super::*;

    /// The pairs and crowded hashes of all buckets of all tables, as whoever spreads them puts them together.
    fn united(hashes: &[u64], radius: u32, limits: Limits, bits: u32) -> [BTreeSet<[u64; 2]>; 2] {
        let (mut pairs, mut crowded) = (BTreeSet::new(), BTreeSet::new());
        for cut in Cut::all(radius, bits) {
            let every = !crowded.is_empty();
            for number in 0..cut.buckets() as u32 {
                let of = hashes.iter().copied().filter(|&hash| cut.bucket(hash) == number);
                let found = cut.search(of.clone().rev().chain(of.take(2)).collect(), limits, every);
                assert_eq!(Bucket::of_words(&found.to_words()), Some(found.clone()));
                pairs.extend(found.pairs);
                crowded.extend(found.crowded.iter().map(|&hash| [hash; 2]));
            }
        }
        [pairs, crowded]
    }

    /// The same by one process.
    fn whole(hashes: &[u64], radius: u32, limits: Limits) -> [BTreeSet<[u64; 2]>; 2] {
        let search = Search::new(hashes, radius, limits);
        let found = search.pairs(hashes.len(), u64::MAX).unwrap();
        let mut pairs = BTreeSet::new();
        found.each(|a, b| pairs.extend([[hashes[a], hashes[b]]])).unwrap();
        let crowded = (0..hashes.len()).filter(|&i| search.crowded.has(i));
        [pairs, crowded.map(|i| [hashes[i]; 2]).collect()]
    }

    proptest! {
        #[test]
        fn buckets_give_what_one_process_finds(
            seed: u64, radius in 0_u32..=4, rows in 0_usize..200, ball in 0_usize..150,
            run in 2_usize..200, window in 0_usize..20, bits in 0_u32..6, mask: u16,
        ) {
            // Whole words, or few blocks to differ in, which makes runs long.
            let mask = if mask % 2 == 0 { !0 } else { 0xFFFF_0000_003F };
            let planted = planted(rows + ball, rows / 9, ball, 3, seed);
            let hashes = distinct(planted.iter().map(|hash| hash & mask).collect());
            let limits = Limits { run, window };
            prop_assert_eq!(united(&hashes, radius, limits, bits), whole(&hashes, radius, limits));
        }
    }

    #[test]
    fn what_is_false_of_a_bucket_is_found() {
        let planted = planted(4000, 0, 100, 2, 3);
        let hashes = distinct(planted.iter().map(|hash| hash & 0xFFFF_0000_003F).collect());
        let cut = &Cut::all(3, 2).nth(4).unwrap();
        let of = |number| hashes.iter().copied().filter(move |&hash| cut.bucket(hash) == number);
        let right = cut.search(of(1).collect(), Limits { run: 2, window: 2 }, true);
        assert!(right.pairs.len() > 20 && right.crowded.len() > 20);
        let expected = (right.hashes, right.sum);
        let fault = |change: &dyn Fn(&mut Bucket)| {
            let mut found = right.clone();
            change(&mut found);
            cut.fault(1, &found, expected, |hash| hashes.binary_search(&hash).is_ok())
        };
        assert_eq!(fault(&|_| ()), None);
        assert_eq!(fault(&|found| found.hashes += 1), Some("was made of other hashes"));
        assert_eq!(fault(&|found| found.sum ^= 1 << 63), Some("was made of other hashes"));
        let [elsewhere, unknown] = [of(2).next().unwrap(), right.crowded[0] | 1 << 20];
        for hash in [elsewhere, unknown] {
            let fault = fault(&|found| found.crowded[0] = hash);
            assert_eq!(fault, Some("has hashes that are not in it"));
        }
        let none = Some("has a pair that is none");
        let [a, b] = right.pairs[3];
        let far = of(1).find(|&hash| hash > a && (hash ^ a).count_ones() > 3).unwrap();
        for pair in [[b, a], [a, a], [a, far], [a, a | 1 << 20]] {
            assert_eq!(fault(&|found| found.pairs[3] = pair), none);
        }
    }

    #[test]
    fn words_that_are_no_bucket_are_refused() {
        for words in [&[][..], &[1, 2], &[1, 2, 1], &[1, 2, u64::MAX], &[1, 2, 1, 9, 4]] {
            assert_eq!(Bucket::of_words(words), None, "{words:?}");
        }
        assert_eq!(Bucket::of_words(&[0, 0, 0]), Some(Bucket::default()));
    }
}
