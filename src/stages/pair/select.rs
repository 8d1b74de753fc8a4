//! Which candidates of one group are kept: those between the bounds, the most similar first, no
//! target twice.

use crate::config::{Bounds, Direction, Pair};
use crate::record::Reason;

/// What 32-bit similarities and 64-bit bounds of the same decimal may differ by.
const ROUNDING: f64 = 1e-6;

/// How alike two images are: each from 0 to 1, or a cosine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Similarity {
    /// By looks.
    pub visual: f32,
    /// By what is said about them.
    pub text: f32,
}

/// Two images of a group, by index, and what speaks against them as a pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The image to start from.
    pub query: usize,
    /// The image to get to.
    pub target: usize,
    /// How alike they are.
    pub similarity: Similarity,
    /// Why this is no pair, if it is none.
    pub objection: Option<Reason>,
}

/// Judges all candidates among `images` images in page order.
pub fn select(
    images: usize,
    similarity: impl Fn(usize, usize) -> Similarity,
    config: &Pair,
    bounds: &Bounds,
) -> Vec<Candidate> {
    let mut candidates = candidates(images, similarity, config, bounds);
    candidates.sort_by(|a, b| {
        let key = |c: &Candidate| c.similarity.visual + c.similarity.text;
        key(b).total_cmp(&key(a)).then((a.query, a.target).cmp(&(b.query, b.target)))
    });
    let (mut kept, mut targets) = (Vec::new(), vec![false; images]);
    for candidate in candidates.iter_mut().filter(|candidate| candidate.objection.is_none()) {
        let there_and_back = kept.contains(&(candidate.target, candidate.query));
        let is_used = targets[candidate.target] && !there_and_back;
        if kept.len() == config.max_pairs || is_used {
            candidate.objection = Some(Reason::PairLimit);
        } else {
            targets[candidate.target] = true;
            kept.push((candidate.query, candidate.target));
        }
    }
    candidates.sort_by_key(|candidate| (candidate.query, candidate.target));
    candidates
}

fn candidates(
    images: usize,
    similarity: impl Fn(usize, usize) -> Similarity,
    config: &Pair,
    bounds: &Bounds,
) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for first in 0..images {
        for second in first + 1..images.min(first + 1 + config.window) {
            let similarity = similarity(first, second);
            let objection = out_of_bounds(similarity, bounds);
            let forward = Candidate { query: first, target: second, similarity, objection };
            if config.direction == Direction::Both {
                candidates.push(Candidate { query: second, target: first, ..forward.clone() });
            }
            candidates.push(forward);
        }
    }
    candidates
}

fn out_of_bounds(Similarity { visual, text }: Similarity, bounds: &Bounds) -> Option<Reason> {
    let reaches = |value: f32, bound: f64| f64::from(value) + ROUNDING >= bound;
    let exceeds = |value: f32, bound: f64| f64::from(value) - ROUNDING > bound;
    if exceeds(visual, bounds.max_visual) || exceeds(text, bounds.max_text) {
        return Some(Reason::TooSimilar);
    }
    let related = reaches(visual, bounds.min_visual) || reaches(text, bounds.min_text);
    (!related).then_some(Reason::Unrelated)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn kept(candidates: &[Candidate]) -> Vec<(usize, usize)> {
        let kept = candidates.iter().filter(|candidate| candidate.objection.is_none());
        kept.map(|candidate| (candidate.query, candidate.target)).collect()
    }

    fn same(visual: f32, text: f32) -> impl Fn(usize, usize) -> Similarity {
        move |_, _| Similarity { visual, text }
    }

    #[test]
    fn bounds_are_inclusive_and_either_kind_of_likeness_relates() {
        let config = Pair::default();
        let count =
            |visual, text| kept(&select(2, same(visual, text), &config, &Bounds::LEXICAL)).len();
        assert_eq!([count(0.4, 0.0), count(0.0, 0.1), count(0.39, 0.09)], [1, 1, 0]);
        assert_eq!([count(0.98, 0.5), count(0.99, 0.5), count(0.5, 0.99)], [1, 0, 0]);
    }

    #[test]
    fn three_pairs_of_a_group_have_three_targets() {
        let config = Pair::default();
        assert_eq!(
            kept(&select(6, same(0.5, 0.5), &config, &Bounds::LEXICAL)),
            [(0, 1), (0, 2), (0, 3)]
        );
        assert_eq!(kept(&select(3, same(0.5, 0.5), &config, &Bounds::LEXICAL)), [(0, 1), (0, 2)]);
    }

    #[test]
    fn both_directions_of_a_pair_count_twice() {
        let config = Pair { direction: Direction::Both, max_pairs: 4, ..Pair::default() };
        assert_eq!(kept(&select(2, same(0.5, 0.5), &config, &Bounds::LEXICAL)), [(0, 1), (1, 0)]);
    }

    proptest! {
        #[test]
        fn limits_hold_and_every_candidate_is_accounted_for(
            images in 0usize..30, values in prop::collection::vec(0f32..1.0, 60),
            window in 1usize..9, max_pairs in 1usize..5,
        ) {
            let config = Pair { window, max_pairs, ..Pair::default() };
            let similarity = |a: usize, b: usize| {
                let at = |i: usize| values[(a * 31 + b * 17 + i) % values.len()];
                Similarity { visual: at(0), text: at(7) }
            };
            let candidates = select(images, similarity, &config, &Bounds::LEXICAL);
            let expected: usize = (0..images).map(|i| (images - i - 1).min(window)).sum();
            prop_assert_eq!(candidates.len(), expected);
            let kept = kept(&candidates);
            prop_assert!(kept.len() <= max_pairs);
            let targets: BTreeSet<usize> = kept.iter().map(|(_, target)| *target).collect();
            prop_assert_eq!(targets.len(), kept.len());
        }
    }
}
