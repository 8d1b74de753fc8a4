//! Which checkpoints go once a new one is in place: a rule on step numbers, without a disk.
//!
//! Of the history that the new one ends, the last few stay, and the best one wherever it is. Steps
//! past the new one are of a history that was given up when the run went back: they go.

/// The steps to remove. `steps` are all that are there, `newest` the one just written.
pub(super) fn expired(steps: &[u64], newest: u64, best: Option<u64>, keep: usize) -> Vec<u64> {
    let mut history: Vec<u64> = steps.iter().copied().filter(|&step| step <= newest).collect();
    history.sort_unstable();
    let last = history.len().saturating_sub(keep.max(1));
    let stays = &history[last..];
    let goes = steps.iter().copied().filter(|step| !stays.contains(step) && Some(*step) != best);
    goes.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_few_and_the_best_stay() {
        assert_eq!(expired(&[100, 200, 300, 400], 400, None, 2), [100, 200]);
        assert_eq!(expired(&[100, 200, 300, 400], 400, Some(100), 2), [200]);
        assert_eq!(expired(&[100, 200, 300, 400], 400, Some(400), 1), [100, 200, 300]);
        assert_eq!(expired(&[100], 100, None, 3), Vec::<u64>::new());
    }

    #[test]
    fn a_run_that_went_back_gives_up_what_came_after() {
        assert_eq!(expired(&[800, 1000, 1200, 1600], 1000, None, 3), [1200, 1600]);
        assert_eq!(expired(&[800, 1000, 1200, 1600], 1000, Some(1200), 3), [1600]);
    }

    proptest! {
        #[test]
        fn never_too_few_and_never_too_many(
            steps in prop::collection::btree_set(0u64..50, 1..20),
            newest in any::<prop::sample::Index>(),
            best in prop::option::of(0u64..50),
            keep in 0usize..6,
        ) {
            let all: Vec<u64> = steps.iter().copied().collect();
            let newest = *newest.get(&all);
            let gone: BTreeSet<u64> = expired(&all, newest, best, keep).into_iter().collect();
            let left: BTreeSet<u64> = steps.difference(&gone).copied().collect();
            prop_assert!(gone.is_subset(&steps));
            prop_assert!(left.contains(&newest));
            prop_assert!(best.is_none_or(|best| !gone.contains(&best)));
            let history = steps.iter().filter(|&&step| step <= newest).count();
            let others = left.iter().filter(|&&step| Some(step) != best).count();
            prop_assert!(left.len() >= history.min(keep.max(1)));
            prop_assert!(others <= keep.max(1));
            // What stays is newer than what goes, but for the best and the history given up.
            let oldest = left.iter().filter(|&&step| Some(step) != best).min();
            let went = gone.iter().filter(|&&step| step <= newest).max();
            prop_assert!(oldest.is_none() || went.is_none() || oldest > went);
            // Once more removes nothing more.
            let left: Vec<u64> = left.into_iter().collect();
            prop_assert_eq!(expired(&left, newest, best, keep), Vec::<u64>::new());
        }
    }
}
