//! A sample of texts in bounded memory that depends on the texts alone, never on their order.
//!
//! Texts are held whose hash is below a limit, and the limit is halved when there are too many: equal
//! texts are held all or not at all. The smallest hashes of two samples of different size are samples
//! of equal size.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// Some of the texts that were added.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Texts by hash, each with how often it came.
    held: BTreeMap<u64, (String, u64)>,
    /// The largest hash that is held.
    limit: u64,
    /// Different texts, at most.
    capacity: usize,
}

impl Sample {
    /// An empty sample that is to hold so many different texts.
    pub fn new(capacity: usize) -> Self {
        Self { held: BTreeMap::new(), limit: u64::MAX, capacity }
    }

    /// Adds a text, if it belongs there.
    pub fn add(&mut self, text: &str) {
        self.hold(key(text), text, 1);
    }

    /// Takes over what another holds.
    pub fn merge(&mut self, other: Self) {
        self.shrink(other.limit);
        for (key, (text, times)) in other.held {
            self.hold(key, &text, times);
        }
    }

    /// How many texts are held, repeated ones counted as often as they came.
    pub fn size(&self) -> u64 {
        self.held.values().map(|(_, times)| times).sum()
    }

    /// The texts with the smallest hashes, `most` of them, each with how often it came.
    pub fn first(&self, most: u64) -> impl Iterator<Item = (&str, u64)> {
        let mut left = most;
        self.held.values().map_while(move |(text, times)| {
            let taken = left.min(*times);
            left -= taken;
            (taken > 0).then_some((text.as_str(), taken))
        })
    }

    fn hold(&mut self, key: u64, text: &str, times: u64) {
        if key > self.limit {
            return;
        }
        self.held.entry(key).or_insert_with(|| (text.to_owned(), 0)).1 += times;
        // The limits are the same halvings whatever came first, so order does not matter.
        while self.held.len() > self.capacity && self.limit > 0 {
            self.shrink(self.limit / 2);
        }
    }

    /// Lowers the limit and drops what lies above it.
    fn shrink(&mut self, limit: u64) {
        if limit < self.limit {
            self.limit = limit;
            self.held.split_off(&limit.saturating_add(1));
        }
    }
}

/// A hash that is the same on every machine and in every version.
pub fn key(text: &str) -> u64 {
    let digest = Sha256::digest(text);
    u64::from_be_bytes(digest[..8].try_into().expect("eight bytes of 32"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_sample_keeps_a_share_of_the_texts() {
        let mut sample = Sample::new(100);
        let texts: Vec<_> = (0..5000).map(|n| format!("text {n}")).collect();
        texts.iter().chain(&texts).for_each(|text| sample.add(text));
        let held: Vec<_> = sample.first(u64::MAX).collect();
        assert!((40..=100).contains(&held.len()), "{}", held.len());
        assert!(held.iter().all(|(_, times)| *times == 2));
        assert_eq!(sample.size(), held.len() as u64 * 2);
        assert_eq!(sample.first(3).collect::<Vec<_>>(), [held[0], (held[1].0, 1)]);
        assert_eq!(sample.first(0).count(), 0);
    }

    #[test]
    fn nothing_fits_into_nothing() {
        let mut sample = Sample::new(0);
        ["a", "b"].into_iter().for_each(|text| sample.add(text));
        assert_eq!(sample.size(), 0);
    }
}
