//! How well held-out instructions retrieve: what checkpoints are compared by. Not a benchmark: those
//! and the test split belong to `evaluate`.
//!
//! The gallery is every target and every query image of the triplets looked at. An image of the
//! target's own near-duplicate cluster counts neither for nor against a query. A tie is a miss.

use tch::{Kind, Tensor, no_grad};

use super::data::{DataError, Loader};
use super::encode::encode;
use super::feed::Feed;
use super::gradcache::Chunk;
use crate::model::MagicLens;

/// Queries that are ranked at a time, so that scores stay small.
const RANKED_AT_ONCE: i64 = 512;

/// What came of a validation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recall {
    /// Share of queries whose target ranks first.
    pub at_1: f64,
    /// Share of queries whose target is among the first five.
    pub at_5: f64,
    /// Share of queries whose target is among the first ten.
    pub at_10: f64,
    /// How many queries there were.
    pub queries: usize,
    /// How many images the gallery has.
    pub gallery: usize,
}

impl Recall {
    /// One number to compare checkpoints by: the mean of the three.
    pub fn score(&self) -> f64 {
        (self.at_1 + self.at_5 + self.at_10) / 3.0
    }
}

/// Embeds what the loader gives and ranks it.
pub fn validate(model: &MagicLens, loader: Loader) -> Result<Recall, DataError> {
    let mut all = Embedded::default();
    for fed in Feed::start(loader, model) {
        let fed = fed?;
        let rows = fed.ids.size()[0] as usize;
        let chunk = Chunk { index: 0, rows: 0..rows, hard: 0..0 };
        let vectors = no_grad(|| encode(model, &fed, &chunk, true)).output;
        let keep: Vec<i64> =
            (0..rows).filter(|&row| fed.rows.labels.valid[row]).map(|row| row as i64).collect();
        let keep_here = Tensor::from_slice(&keep).to_device(model.device());
        let role = |number: usize| {
            vectors.narrow(0, (number * rows) as i64, rows as i64).index_select(0, &keep_here)
        };
        all.queries.push(role(0));
        all.targets.push(role(1));
        all.bare.push(role(2));
        let labels = &fed.rows.labels;
        for row in keep {
            all.query_cluster.push(labels.query_cluster[row as usize]);
            all.target_cluster.push(labels.target_cluster[row as usize]);
        }
    }
    Ok(all.recall())
}

#[derive(Default)]
struct Embedded {
    queries: Vec<Tensor>,
    targets: Vec<Tensor>,
    bare: Vec<Tensor>,
    query_cluster: Vec<i64>,
    target_cluster: Vec<i64>,
}

impl Embedded {
    fn recall(&self) -> Recall {
        let count = self.query_cluster.len();
        if count == 0 {
            return Recall::default();
        }
        let queries = Tensor::cat(&self.queries, 0);
        let gallery = Tensor::cat(&self.targets.iter().chain(&self.bare).collect::<Vec<_>>(), 0);
        let clusters = [self.target_cluster.as_slice(), &self.query_cluster].concat();
        let clusters = Tensor::from_slice(&clusters).to_device(queries.device());
        let ranks = ranks(&queries, &gallery, &clusters);
        let within = |k: i64| ranks.lt(k).sum(Kind::Int64).int64_value(&[]) as f64 / count as f64;
        Recall {
            at_1: within(1),
            at_5: within(5),
            at_10: within(10),
            queries: count,
            gallery: clusters.numel(),
        }
    }
}

/// How many images of the gallery come before each query's target, which is at the query's own place
/// in it: i64 `[queries]`. `clusters` are those of the gallery.
fn ranks(queries: &Tensor, gallery: &Tensor, clusters: &Tensor) -> Tensor {
    let count = queries.size()[0];
    let mut ranks = Vec::new();
    for first in (0..count).step_by(RANKED_AT_ONCE as usize) {
        let length = RANKED_AT_ONCE.min(count - first);
        let scores = queries.narrow(0, first, length).matmul(&gallery.tr());
        let own = scores.diagonal(first, 0, 1).unsqueeze(1);
        let cluster = clusters.narrow(0, first, length).unsqueeze(1);
        let rivals = scores.ge_tensor(&own).logical_and(&clusters.unsqueeze(0).ne_tensor(&cluster));
        ranks.push(rivals.sum_dim_intlist([1_i64].as_slice(), false, Kind::Int64));
    }
    Tensor::cat(&ranks, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rivals_are_counted_and_ties_are_misses() {
        let queries = Tensor::from_slice2(&[[1.0_f32, 0.0], [0.0, 1.0]]);
        // Targets, then query images: the first query's target is beaten by its own query image.
        let gallery = Tensor::from_slice2(&[[0.9_f32, 0.1], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]);
        let clusters = Tensor::from_slice(&[1_i64, 2, 3, 4]);
        assert_eq!(Vec::<i64>::try_from(&ranks(&queries, &gallery, &clusters)).unwrap(), [1, 1]);
        // Of the target's own cluster, the tie does not count.
        let clusters = Tensor::from_slice(&[1_i64, 2, 3, 2]);
        assert_eq!(Vec::<i64>::try_from(&ranks(&queries, &gallery, &clusters)).unwrap(), [1, 0]);
    }
}
