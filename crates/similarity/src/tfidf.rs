//! TF-IDF over hashed words: how alike two texts are when rare words weigh more than common ones.
//!
//! Words are hashed into a fixed number of buckets, so counts of any number of parts can be added up
//! and no vocabulary is kept; words that share a bucket are not told apart.
//! <https://scikit-learn.org/stable/modules/feature_extraction.html#tfidf-term-weighting>

use std::cmp::Ordering;

/// How many buckets words are hashed into; a power of two.
const BUCKETS: usize = 1 << 20;

/// In how many documents each bucket of words was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentFrequencies {
    /// Documents per bucket.
    counts: Vec<u32>,
    /// Documents in all.
    documents: u64,
}

/// The weighted buckets of one text, of length one unless the text has no words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vector {
    /// Buckets in rising order, each with its weight.
    entries: Vec<(u32, f32)>,
}

impl Default for DocumentFrequencies {
    fn default() -> Self {
        Self::new()
    }
}

impl DocumentFrequencies {
    /// Starts with no documents.
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS], documents: 0 }
    }

    /// How many documents were added.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// Counts the words of one document, each bucket once.
    pub fn add(&mut self, words: &[String]) {
        for (bucket, _) in tally(words) {
            let count = &mut self.counts[bucket as usize];
            *count = count.saturating_add(1);
        }
        self.documents += 1;
    }

    /// Adds the counts of other documents.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.documents += other.documents;
    }

    /// Weighs the words of one text.
    pub fn vector(&self, words: &[String]) -> Vector {
        let mut entries: Vec<_> = tally(words)
            .into_iter()
            .map(|(bucket, count)| (bucket, self.idf(bucket) * (1.0 + (count as f32).ln())))
            .collect();
        let norm = entries.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
        entries.iter_mut().for_each(|(_, weight)| *weight /= norm);
        Vector { entries }
    }

    /// The smoothed inverse document frequency of a bucket, never below one.
    fn idf(&self, bucket: u32) -> f32 {
        let seen = f64::from(self.counts[bucket as usize]);
        (((1.0 + self.documents as f64) / (1.0 + seen)).ln() + 1.0) as f32
    }
}

/// How alike two texts are: 0 with no word in common, 1 when equal.
pub fn cosine(a: &Vector, b: &Vector) -> f32 {
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    while let (Some((left, x)), Some((right, y))) = (a.entries.get(i), b.entries.get(j)) {
        match left.cmp(right) {
            Ordering::Less => i += 1,
            Ordering::Greater => j += 1,
            Ordering::Equal => {
                sum += x * y;
                i += 1;
                j += 1;
            }
        }
    }
    sum.clamp(0.0, 1.0)
}

/// Counts words per bucket, buckets in rising order.
fn tally(words: &[String]) -> Vec<(u32, u32)> {
    let mut buckets: Vec<_> = words.iter().map(|word| bucket(word)).collect();
    buckets.sort_unstable();
    buckets.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect()
}

/// The bucket of a word by FNV-1a, which gives the same on each machine and in each version.
///
/// Its low bits are its best when the high ones are folded in: <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn bucket(word: &str) -> u32 {
    let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    ((hash ^ (hash >> 20) ^ (hash >> 40)) % BUCKETS as u64) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bound of weights and cosines, which are at most 1: two logarithms, a product, the squares of four
    /// words, a root and a quotient round by half an epsilon each, here and there.
    const ROUNDING: f32 = 16.0 * f32::EPSILON;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(String::from).collect()
    }

    /// Ten documents that all have `photo`; one has `heron`.
    fn frequencies() -> DocumentFrequencies {
        let mut all = DocumentFrequencies::new();
        for at in 0..9 {
            all.add(&words(&format!("photo page{at}")));
        }
        all.add(&words("photo heron"));
        all
    }

    #[test]
    fn equal_is_one_and_disjoint_is_zero() {
        let all = frequencies();
        let vector = |text| all.vector(&words(text));
        let same = cosine(&vector("a heron at dusk"), &vector("dusk at a heron"));
        assert!((same - 1.0).abs() <= ROUNDING, "{same}");
        assert_eq!(cosine(&vector("heron"), &vector("car")), 0.0);
        assert_eq!(cosine(&vector(""), &vector("car")), 0.0);
        assert_eq!(cosine(&vector(""), &vector("")), 0.0);
    }

    #[test]
    fn a_rare_shared_word_weighs_more_than_a_common_one() {
        let all = frequencies();
        let vector = |text| all.vector(&words(text));
        let query = vector("photo heron");
        assert!(
            cosine(&query, &vector("heron dusk")) > cosine(&query, &vector("photo dusk")) + 0.2
        );
    }

    #[test]
    fn weights_follow_the_formula() {
        let vector = frequencies().vector(&words("photo photo heron"));
        let photo = 1.0 + 2.0_f32.ln();
        let heron = (11.0_f32 / 2.0).ln() + 1.0;
        let norm = photo.hypot(heron);
        let weight = |word| vector.entries.iter().find(|(at, _)| *at == bucket(word)).unwrap().1;
        assert!((weight("photo") - photo / norm).abs() <= ROUNDING);
        assert!((weight("heron") - heron / norm).abs() <= ROUNDING);
    }

    #[test]
    fn merged_parts_equal_one_pass() {
        let (mut left, mut right) = (DocumentFrequencies::new(), DocumentFrequencies::new());
        let mut whole = DocumentFrequencies::default();
        for (part, text) in [(&mut left, "red red car"), (&mut right, "red house")] {
            part.add(&words(text));
            whole.add(&words(text));
        }
        left.merge(&right);
        assert!(left == whole);
        assert_eq!(left.documents(), 2);
        assert_eq!(left.counts[bucket("red") as usize], 2);
    }

    #[test]
    fn buckets_stay_what_they_are() {
        assert_eq!(["", "a", "heron", "冬"].map(bucket), [498_171, 673_584, 616_102, 132_097]);
    }

    proptest! {
        #[test]
        fn cosine_is_symmetric_and_within_bounds(
            a in proptest::collection::vec("[a-d]{1,2}", 0..20),
            b in proptest::collection::vec("[a-d]{1,2}", 0..20),
        ) {
            let all = frequencies();
            let (a, b) = (all.vector(&a), all.vector(&b));
            let there = cosine(&a, &b);
            prop_assert!((0.0..=1.0).contains(&there));
            prop_assert_eq!(there, cosine(&b, &a));
            prop_assert!(a.entries.is_sorted_by(|x, y| x.0 < y.0));
        }
    }
}
