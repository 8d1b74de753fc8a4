//! A part of a benchmark through a model: every query against every image of the gallery.

use std::collections::HashSet;
use std::sync::Arc;

use magiclens_torch::products::products;
use rayon::prelude::*;

use super::{Ask, EvaluateError};
use crate::retrieval::benchmarks::{Entry, Query, Task};
use crate::retrieval::encoder::Encoder;
use crate::retrieval::metrics::ranks;
use crate::retrieval::pump::{Done, Picture, Work, embed_all_as};

/// Queries whose scores a core holds.
const BLOCK: usize = 16;

/// Images that are kept of a ranking.
pub const KEPT: usize = 50;

/// What came of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Ranks of all that is right, from 1; ties count against the model.
    pub ranks: Vec<usize>,
    /// The rank of the target, everything else that is right counted as wrong; none where it is hidden.
    pub target: Vec<usize>,
    /// The same among the query's subset.
    pub subset: Vec<usize>,
    /// The first of the gallery with their scores, equal ones in its order.
    pub top: Vec<(usize, f32)>,
    /// The subset in the same way.
    pub top_of_subset: Vec<(usize, f32)>,
}

/// Puts parts of a benchmark through a model. Parts that share a gallery have it embedded once.
pub struct Scorer<'a> {
    encoder: &'a Encoder,
    ask: Ask,
    batch: usize,
    gallery: Option<(Arc<Vec<Entry>>, Vec<f32>)>,
}

impl<'a> Scorer<'a> {
    /// With a model, and what queries are asked with.
    pub fn new(encoder: &'a Encoder, ask: Ask, batch: usize) -> Self {
        Self { encoder, ask, batch, gallery: None }
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
        Ok(rank(task, &queries, gallery, self.encoder.width()))
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

/// Ranks the gallery `[_, width]` for each of the task's queries `[_, width]`.
pub fn rank(task: &Task, queries: &[f32], gallery: &[f32], width: usize) -> Vec<Outcome> {
    let blocks = queries.par_chunks(BLOCK * width).zip(task.queries.par_chunks(BLOCK));
    let of_block = |(vectors, queries): (&[f32], &[Query])| {
        let mut scores = vec![0.0; queries.len() * task.gallery.len()];
        products(vectors, gallery, width, &mut scores);
        let scores = scores.chunks(task.gallery.len().max(1));
        queries.iter().zip(scores).map(|(query, scores)| outcome(query, scores)).collect::<Vec<_>>()
    };
    blocks.flat_map_iter(of_block).collect()
}

fn outcome(query: &Query, scores: &[f32]) -> Outcome {
    let all = without(scores.len(), &query.ignored);
    let target = &query.positives[..query.positives.len().min(1)];
    let of = |right: &[usize], among: &[usize]| {
        let right: HashSet<usize> = right.iter().copied().collect();
        let (right, wrong): (Vec<usize>, Vec<usize>) =
            among.iter().partition(|at| right.contains(at));
        let scores_of =
            |some: Vec<usize>| some.into_iter().map(|at| scores[at]).collect::<Vec<_>>();
        ranks(&scores_of(right), &scores_of(wrong))
    };
    Outcome {
        ranks: of(&query.positives, &all),
        target: of(target, &all),
        subset: of(target, &query.subset),
        top: first(all, scores),
        top_of_subset: first(query.subset.clone(), scores),
    }
}

fn without(count: usize, ignored: &[usize]) -> Vec<usize> {
    (0..count).filter(|at| !ignored.contains(at)).collect()
}

/// The first of some images by score, then by their order.
fn first(mut images: Vec<usize>, scores: &[f32]) -> Vec<(usize, f32)> {
    let better = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    if images.len() > KEPT {
        images.select_nth_unstable_by(KEPT, better);
        images.truncate(KEPT);
    }
    images.sort_unstable_by(better);
    images.into_iter().map(|at| (at, scores[at])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieval::pump::Way;

    fn task(positives: Vec<usize>, ignored: Vec<usize>, subset: Vec<usize>) -> Task {
        let entry = |at: usize| Entry { id: at.to_string(), picture: Picture::None };
        let query = Query {
            id: "q".into(),
            picture: Picture::None,
            text: String::new(),
            positives,
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
        let outcome = rank(&task(vec![3, 1], vec![0], vec![3, 4]), &[1.0], &gallery, 1).remove(0);
        // 2 ties with 1 and comes first; the target, 3, has both before it.
        assert_eq!((outcome.ranks, outcome.target), (vec![2, 3], vec![3]));
        assert_eq!(outcome.subset, [1]);
        assert_eq!(outcome.top.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(outcome.top_of_subset.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_hidden_truth_has_no_rank() {
        let outcome = rank(&task(vec![], vec![], vec![]), &[1.0], &[0.1; 5], 1).remove(0);
        assert!(outcome.ranks.is_empty() && outcome.target.is_empty() && outcome.subset.is_empty());
        assert_eq!(outcome.top.len(), 5);
    }
}
