//! What benchmarks measure a ranking by. All of it from counts, so no ranking is sorted in full, and equal
//! scores count against the model: a positive ranks behind every negative of the same score.
//!
//! <https://arxiv.org/abs/2303.15247> (CIRCO's mAP@k), <https://arxiv.org/abs/2108.04024> (CIRR's recall).

mod list;

pub use list::{average_precision_of, hit_of, positives_of, precision_of};

/// The ranks, from 1 and rising, of the positives among scores: `positives` and `negatives` of one query.
///
/// Positives of equal score follow each other; what is not a number ranks last.
pub fn ranks(positives: &[f32], negatives: &[f32]) -> Vec<usize> {
    let mut positives: Vec<f32> = positives.iter().map(|&score| least(score)).collect();
    positives.sort_by(|a, b| b.total_cmp(a));
    let before = |score: f32| negatives.iter().filter(|&&other| least(other) >= score).count();
    positives.iter().enumerate().map(|(at, &score)| before(score) + at + 1).collect()
}

/// The same of a query's scores over a gallery, by number: what is in `ignored` is neither, all else is a
/// negative. One pass over the scores, of which nothing is copied.
pub fn ranks_among(scores: &[f32], positives: &[usize], ignored: &[usize]) -> Vec<usize> {
    let positives = distinct(positives.to_vec());
    let mut right: Vec<f32> = positives.iter().map(|&at| least(scores[at])).collect();
    right.sort_by(|a, b| b.total_cmp(a));
    // Of each score, the first positive that it stands before.
    let place = |score: f32| right.partition_point(|&positive| positive > least(score));
    let mut before = vec![0_usize; right.len() + 1];
    scores.iter().for_each(|&score| before[place(score)] += 1);
    for at in distinct([positives.as_slice(), ignored].concat()) {
        before[place(scores[at])] -= 1;
    }
    let mut negatives = 0;
    let rank = |(at, before): (usize, &usize)| {
        negatives += before;
        negatives + at + 1
    };
    before[..right.len()].iter().enumerate().map(rank).collect()
}

/// Each once, in order.
pub fn distinct(mut numbers: Vec<usize>) -> Vec<usize> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// A score to compare by: what is not a number is less than all others.
pub fn least(score: f32) -> f32 {
    if score.is_nan() { f32::NEG_INFINITY } else { score }
}

/// Whether a positive is among the first `k`.
pub fn hit(ranks: &[usize], k: usize) -> f64 {
    f64::from(u8::from(ranks.first().is_some_and(|&first| first <= k)))
}

/// The share of positives that are among the first `k`.
pub fn recall(ranks: &[usize], k: usize) -> f64 {
    let found = ranks.iter().filter(|&&rank| rank <= k).count();
    found as f64 / ranks.len().max(1) as f64
}

/// The share of the first `k` that are positives.
pub fn precision(ranks: &[usize], k: usize) -> f64 {
    ranks.iter().filter(|&&rank| rank <= k).count() as f64 / k.max(1) as f64
}

/// Average precision at `k`: the precisions at the positives among the first `k`, over as many as could be
/// there, `min(positives, k)`. With `k` the size of the gallery, the average precision of all of it.
pub fn average_precision(ranks: &[usize], k: usize) -> f64 {
    let within = ranks.iter().take_while(|&&rank| rank <= k);
    let sum: f64 = within.enumerate().map(|(at, &rank)| (at + 1) as f64 / rank as f64).sum();
    sum / ranks.len().min(k).max(1) as f64
}

/// The mean of a measure over queries; 0 of none.
pub fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) =
        values.into_iter().fold((0.0, 0_usize), |(sum, count), v| (sum + v, count + 1));
    sum / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The ranking in full: by score, negatives first among equals.
    fn sorted(positives: &[f32], negatives: &[f32]) -> Vec<bool> {
        let all = positives.iter().map(|&score| (score, true));
        let mut all: Vec<(f32, bool)> =
            all.chain(negatives.iter().map(|&score| (score, false))).collect();
        all.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap().then(a.1.cmp(&b.1)));
        all.into_iter().map(|(_, is_positive)| is_positive).collect()
    }

    fn brute_average_precision(ranking: &[bool], positives: usize, k: usize) -> f64 {
        let mut sum = 0.0;
        for r in 1..=k.min(ranking.len()) {
            let relevant = ranking[..r].iter().filter(|&&is| is).count();
            if ranking[r - 1] {
                sum += relevant as f64 / r as f64;
            }
        }
        if positives.min(k) == 0 { 0.0 } else { sum / positives.min(k) as f64 }
    }

    proptest! {
        #[test]
        fn counts_agree_with_the_sorted_ranking(
            positives in prop::collection::vec(-3_i8..4, 0..9),
            negatives in prop::collection::vec(-3_i8..4, 0..40),
            k in 0_usize..50,
        ) {
            let floats = |scores: &[i8]| scores.iter().map(|&s| f32::from(s) / 2.0).collect::<Vec<_>>();
            let (positives, negatives) = (floats(&positives), floats(&negatives));
            let ranking = sorted(&positives, &negatives);
            let ranks = ranks(&positives, &negatives);
            let places: Vec<usize> = (1..=ranking.len()).filter(|&r| ranking[r - 1]).collect();
            prop_assert_eq!(&ranks, &places);
            let first = &ranking[..k.min(ranking.len())];
            let found = first.iter().filter(|&&is| is).count();
            prop_assert_eq!(hit(&ranks, k) > 0.0, found > 0);
            prop_assert!((recall(&ranks, k) * positives.len() as f64 - found as f64).abs() < 1e-9);
            prop_assert!((precision(&ranks, k) * k as f64 - found as f64).abs() < 1e-9);
            let expected = brute_average_precision(&ranking, positives.len(), k);
            prop_assert!((average_precision(&ranks, k) - expected).abs() < 1e-12);
        }

        /// One pass over all scores counts what two lists of them do.
        #[test]
        fn ranks_of_numbers_are_those_of_their_scores(
            scores in prop::collection::vec(prop_oneof![9 => (-3_i8..4).prop_map(f32::from), 1 => Just(f32::NAN)], 1..40),
            picks in prop::collection::vec((0_usize..40, any::<bool>()), 0..9),
        ) {
            let picks: Vec<_> = picks.into_iter().map(|(at, is)| (at % scores.len(), is)).collect();
            let of = |wanted: bool| picks.iter().filter(move |(_, is)| *is == wanted).map(|(at, _)| *at);
            let right: Vec<usize> = of(true).collect();
            let ignored: Vec<usize> = of(false).filter(|at| !right.contains(at)).collect();
            let wrong = (0..scores.len()).filter(|at| !right.contains(at) && !ignored.contains(at));
            let scores_of = |some: Vec<usize>| some.into_iter().map(|at| scores[at]).collect::<Vec<_>>();
            let expected = ranks(&scores_of(distinct(right.clone())), &scores_of(wrong.collect()));
            prop_assert_eq!(ranks_among(&scores, &right, &ignored), expected);
        }

        /// What is measured of a list is what is measured of scores that give this list.
        #[test]
        fn a_list_is_measured_as_the_scores_it_came_from(
            wanted in prop::collection::btree_set(0_usize..30, 1..6),
            list in Just((0_usize..30).collect::<Vec<_>>()).prop_shuffle(),
            k in 1_usize..40,
        ) {
            let score = |item: &usize| -(list.iter().position(|other| other == item).unwrap() as f32);
            let (yes, no): (Vec<_>, Vec<_>) = list.iter().partition(|item| wanted.contains(item));
            let of = |items: Vec<&usize>| items.into_iter().map(score).collect::<Vec<_>>();
            let ranks = ranks(&of(yes), &of(no));
            let truth: Vec<&usize> = wanted.iter().collect();
            let list: Vec<&usize> = list.iter().collect();
            prop_assert_eq!(hit_of(&list, &truth, k), hit(&ranks, k));
            prop_assert!((positives_of(&list, &truth, k) - recall(&ranks, k)).abs() < 1e-12);
            prop_assert_eq!(precision_of(&list, &truth, k), precision(&ranks, k));
            let expected = average_precision(&ranks, k);
            prop_assert!((average_precision_of(&list, &truth, k) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn equal_scores_count_against_the_model() {
        assert_eq!(ranks(&[0.5], &[0.5, 0.5, 0.1]), [3]);
        assert_eq!(ranks(&[0.5, 0.5], &[0.5]), [2, 3]);
        assert_eq!(ranks(&[f32::NAN], &[0.0, f32::NAN]), [3]);
    }

    #[test]
    fn nothing_is_no_success() {
        assert_eq!([hit(&[], 5), recall(&[], 5), average_precision(&[], 5), mean([])], [0.0; 4]);
    }
}
