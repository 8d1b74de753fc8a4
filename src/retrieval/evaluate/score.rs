//! A part of a benchmark through a model: every query against every image of the gallery.

use std::cmp::Ordering;
use std::sync::Arc;

use magiclens_torch::products::products;
use rayon::prelude::*;

use super::{Ask, EvaluateError};
use crate::retrieval::benchmarks::{Entry, Query, Task};
use crate::retrieval::encoder::Encoder;
use crate::retrieval::metrics::{distinct, least, ranks_among};
use crate::retrieval::pump::{Done, Picture, Work, embed_all_as};

/// Queries whose scores a core holds.
const BLOCK: usize = 16;

/// What came of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Ranks of all that is right, from 1; ties count against the model.
    pub ranks: Vec<usize>,
    /// The rank of the target, everything else that is right counted as wrong; none where it is hidden.
    pub target: Vec<usize>,
    /// The same among the query's subset.
    pub subset: Vec<usize>,
    /// The first of the gallery with their scores, as many as are kept. Of equal ones what is wrong stands
    /// first and the target last, so that a place in this list is a rank.
    pub top: Vec<(usize, f32)>,
    /// The subset in the same way.
    pub top_of_subset: Vec<(usize, f32)>,
}

/// Puts parts of a benchmark through a model. Parts that share a gallery have it embedded once.
pub struct Scorer<'a> {
    encoder: &'a Encoder,
    ask: Ask,
    batch: usize,
    depth: usize,
    gallery: Option<(Arc<Vec<Entry>>, Vec<f32>)>,
}

impl<'a> Scorer<'a> {
    /// With a model, what queries are asked with, and how many images of a ranking are kept.
    pub fn new(encoder: &'a Encoder, ask: Ask, batch: usize, depth: usize) -> Self {
        Self { encoder, ask, batch, depth, gallery: None }
    }

    /// Embeds gallery and queries and ranks. `tell` hears of the images done so far.
    pub fn score(
        &mut self,
        task: &Task,
        mut tell: impl FnMut(usize),
    ) -> Result<Vec<Outcome>, EvaluateError> {
        let asked = task.queries.iter().map(|query| Work {
            picture: if self.ask == Ask::Text { Picture::None } else { query.picture.clone() },
            text: if self.ask == Ask::Image { String::new() } else { query.text.clone() },
            tag: query.id.as_str(),
        });
        let queries = vectors(self.encoder, task, asked, self.batch, &mut tell)?;
        let is_other =
            !matches!(&self.gallery, Some((known, _)) if Arc::ptr_eq(known, &task.gallery));
        if is_other {
            let images = task.gallery.iter().map(|entry| Work {
                picture: entry.picture.clone(),
                text: String::new(),
                tag: entry.id.as_str(),
            });
            let vectors = vectors(self.encoder, task, images, self.batch, &mut tell)?;
            self.gallery = Some((Arc::clone(&task.gallery), vectors));
        } else {
            tell(task.gallery.len());
        }
        let gallery = self.gallery.as_ref().map_or(&[][..], |(_, vectors)| vectors);
        Ok(rank(task, &queries, gallery, self.encoder.width(), self.depth))
    }
}

fn vectors<'a>(
    encoder: &Encoder,
    task: &Task,
    work: impl Iterator<Item = Work<&'a str>> + Send,
    batch: usize,
    tell: &mut impl FnMut(usize),
) -> Result<Vec<f32>, EvaluateError> {
    let mut all = Vec::new();
    embed_all_as(encoder, task.way, work, batch, |Done { tags, vectors, failed }| {
        if let Some((id, problem)) = failed.into_iter().next() {
            return Err(EvaluateError::Image {
                task: task.name.clone(),
                id: id.to_owned(),
                problem,
            });
        }
        all.extend(vectors.rows);
        tell(tags.len());
        Ok(())
    })?;
    Ok(all)
}

/// Ranks the gallery `[_, width]` for each of the task's queries `[_, width]`, and keeps the first `depth`.
pub fn rank(
    task: &Task,
    queries: &[f32],
    gallery: &[f32],
    width: usize,
    depth: usize,
) -> Vec<Outcome> {
    let blocks = queries.par_chunks(BLOCK * width).zip(task.queries.par_chunks(BLOCK));
    let of_block = |(vectors, queries): (&[f32], &[Query])| {
        let mut scores = vec![0.0; queries.len() * task.gallery.len()];
        products(vectors, gallery, width, &mut scores);
        let scores = scores.chunks(task.gallery.len().max(1));
        let queries = queries.iter().zip(scores);
        queries.map(|(query, scores)| outcome(query, scores, depth)).collect::<Vec<_>>()
    };
    blocks.flat_map_iter(of_block).collect()
}

fn outcome(query: &Query, scores: &[f32], depth: usize) -> Outcome {
    let target = &query.positives[..query.positives.len().min(1)];
    let ranks = ranks_among(scores, &query.positives, &query.ignored);
    let alone = query.positives.len() < 2;
    let subset = distinct(query.subset.clone());
    let in_subset: Vec<f32> = subset.iter().map(|&at| scores[at]).collect();
    let place = target.first().and_then(|target| subset.iter().position(|at| at == target));
    let order = Order::new(query, scores);
    let counts = |at: &usize| !query.ignored.contains(at);
    Outcome {
        target: if alone { ranks.clone() } else { ranks_among(scores, target, &query.ignored) },
        ranks,
        subset: ranks_among(&in_subset, place.as_slice(), &[]),
        top: order.first((0..scores.len()).filter(counts), depth),
        top_of_subset: order.first(subset.into_iter(), depth),
    }
}

/// The order of a ranking: by score, then against the model, then as the gallery has them.
struct Order<'a> {
    scores: &'a [f32],
    target: Option<usize>,
    right: Vec<usize>,
}

impl<'a> Order<'a> {
    fn new(query: &Query, scores: &'a [f32]) -> Self {
        let right = distinct(query.positives.to_vec());
        Self { scores, target: query.positives.first().copied(), right }
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        let score = |at: usize| least(self.scores[at]);
        let right = |at: usize| (self.target == Some(at), self.right.binary_search(&at).is_ok());
        score(b).total_cmp(&score(a)).then_with(|| right(a).cmp(&right(b))).then(a.cmp(&b))
    }

    /// The first `depth` of some images. Never more than twice as many are held.
    fn first(&self, images: impl Iterator<Item = usize>, depth: usize) -> Vec<(usize, f32)> {
        let (mut best, mut bar) = (Vec::with_capacity(2 * depth), f32::NEG_INFINITY);
        for at in images {
            if least(self.scores[at]) < bar {
                continue;
            }
            best.push(at);
            if best.len() == 2 * depth {
                best.select_nth_unstable_by(depth - 1, |a, b| self.compare(*a, *b));
                best.truncate(depth);
                bar = least(self.scores[best[depth - 1]]);
            }
        }
        best.sort_unstable_by(|a, b| self.compare(*a, *b));
        best.truncate(depth);
        best.into_iter().map(|at| (at, self.scores[at])).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::retrieval::pump::Way;

    fn task(positives: Vec<usize>, ignored: Vec<usize>, subset: Vec<usize>) -> Task {
        let entry = |at: usize| Entry { id: at.to_string(), picture: Picture::None };
        let query = Query {
            id: "q".into(),
            picture: Picture::None,
            text: String::new(),
            positives: positives.into(),
            ignored,
            subset,
        };
        Task {
            name: "t".into(),
            gallery: Arc::new((0..5).map(entry).collect()),
            way: Way::Fused,
            queries: vec![query],
        }
    }

    #[test]
    fn what_is_ignored_is_nowhere_and_other_truths_stand_before_the_target() {
        let gallery = [0.9, 0.8, 0.8, 0.5, 0.1];
        let outcome =
            rank(&task(vec![3, 1], vec![0], vec![3, 4]), &[1.0], &gallery, 1, 50).remove(0);
        // 2 ties with 1 and comes first; the target, 3, has both before it.
        assert_eq!((outcome.ranks, outcome.target), (vec![2, 3], vec![3]));
        assert_eq!(outcome.subset, [1]);
        assert_eq!(outcome.top.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [2, 1, 3, 4]);
        assert_eq!(outcome.top_of_subset.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_hidden_truth_has_no_rank() {
        let outcome = rank(&task(vec![], vec![], vec![]), &[1.0], &[0.1; 5], 1, 50).remove(0);
        assert!(outcome.ranks.is_empty() && outcome.target.is_empty() && outcome.subset.is_empty());
        assert_eq!(outcome.top.len(), 5);
    }

    #[test]
    fn equal_scores_stand_against_the_model_in_lists_as_in_ranks() {
        let gallery = [0.5, 0.5, 0.5, 0.5, f32::NAN];
        let task = task(vec![0, 1], vec![], vec![0, 1, 4]);
        let outcome = rank(&task, &[1.0], &gallery, 1, 3).remove(0);
        assert_eq!((outcome.ranks, outcome.target, outcome.subset), (vec![3, 4], vec![4], vec![2]));
        let places = |top: &[(usize, f32)]| top.iter().map(|(at, _)| *at).collect::<Vec<_>>();
        assert_eq!(places(&outcome.top), [2, 3, 1]);
        assert_eq!(places(&outcome.top_of_subset), [1, 0, 4], "what is no number comes last");
    }

    proptest! {
        /// The first of many are the first of all of them sorted.
        #[test]
        fn what_is_kept_is_the_head_of_the_whole_ranking(
            scores in prop::collection::vec(-3_i8..4, 1..80), depth in 1_usize..9,
            right in prop::collection::vec(0_usize..80, 0..4),
        ) {
            let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
            let right: Vec<usize> = right.into_iter().map(|at| at % scores.len()).collect();
            let task = task(right, vec![], vec![]);
            let order = Order::new(&task.queries[0], &scores);
            let mut all: Vec<usize> = (0..scores.len()).collect();
            all.sort_by(|a, b| order.compare(*a, *b));
            let first = order.first(0..scores.len(), depth);
            let first: Vec<usize> = first.into_iter().map(|(at, _)| at).collect();
            prop_assert_eq!(&first[..], &all[..depth.min(all.len())]);
        }
    }
}
