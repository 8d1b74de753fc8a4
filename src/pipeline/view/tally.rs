//! Counting what may be of many kinds, in bounded memory.

use std::collections::HashMap;

use serde::Serialize;

/// Most kinds that are counted separately at a time.
const KINDS: usize = 50_000;

/// Number of items of each kind. If there are too many kinds, the rarest are counted as others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    counts: HashMap<String, u64>,
    others: u64,
}

/// The commonest kinds, as a page shows them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Ranking {
    /// With how many there are of each.
    pub(crate) kinds: Vec<(String, u64)>,
    /// All that are not among them.
    pub(crate) others: u64,
    /// Kinds that are not among them.
    pub(crate) more: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, kind: &str) {
        match self.counts.get_mut(kind) {
            Some(count) => *count += 1,
            None => {
                if self.counts.len() >= KINDS {
                    self.drop_rarest();
                }
                self.counts.insert(kind.to_owned(), 1);
            }
        }
    }

    fn drop_rarest(&mut self) {
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let (_, median, _) = counts.select_nth_unstable(KINDS / 2);
        let median = *median;
        let others = &mut self.others;
        self.counts.retain(|_, count| {
            let is_kept = *count > median;
            *others += if is_kept { 0 } else { *count };
            is_kept
        });
    }

    pub(crate) fn ranking(&self, most: usize) -> Ranking {
        let mut kinds: Vec<_> = self.counts.iter().map(|(kind, n)| (kind.clone(), *n)).collect();
        kinds.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let more = kinds.len().saturating_sub(most);
        let cut: u64 = kinds.drain(most.min(kinds.len())..).map(|(_, n)| n).sum();
        Ranking { kinds, others: self.others + cut, more }
    }
}

/// Steps of a similarity on [-1, 1].
const STEPS: usize = 100;

/// Histogram of similarities.
#[derive(Clone, Debug)]
pub(crate) struct Similarities {
    steps: [u64; STEPS],
}

impl Default for Similarities {
    fn default() -> Self {
        Self { steps: [0; STEPS] }
    }
}

impl Similarities {
    pub(crate) fn add(&mut self, similarity: f64) {
        let at = ((similarity + 1.0) / 2.0 * STEPS as f64).floor();
        self.steps[at.clamp(0.0, (STEPS - 1) as f64) as usize] += 1;
    }

    /// From -1 to 1.
    pub(crate) fn steps(&self) -> &[u64] {
        &self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commonest_outlive_a_flood_of_rare_kinds() {
        let mut tally = Tally::default();
        for n in 0..KINDS * 3 {
            tally.add(&n.to_string());
            tally.add(["common", "usual"][usize::from(n % 3 == 0)]);
        }
        assert!(tally.counts.len() <= KINDS);
        let ranking = tally.ranking(2);
        let usual = (KINDS * 3).div_ceil(3) as u64;
        let common = KINDS as u64 * 3 - usual;
        assert_eq!(ranking.kinds, [("common".into(), common), ("usual".into(), usual)]);
        assert_eq!(ranking.others, KINDS as u64 * 3);
        assert_eq!(Tally::default().ranking(5), Ranking::default());
    }

    #[test]
    fn similarities_fall_into_steps() {
        let mut found = Similarities::default();
        for similarity in [-1.0, -2.0, 0.0, 0.019, 0.02, 1.0, f64::NAN] {
            found.add(similarity);
        }
        let steps = found.steps();
        assert_eq!((steps[0], steps[50], steps[51], steps[99]), (3, 2, 1, 1));
    }
}
