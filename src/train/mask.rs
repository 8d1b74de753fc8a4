//! Which rows take part in the contrast, and which of their logits are false negatives.
//!
//! Two images of one cluster show the same: to call the one right and the other wrong teaches
//! nothing (compare "false negative cancellation", arXiv 2011.11765).

use std::ops::Range;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::collective::{Collective, CollectiveError};

/// Which logits are left out of the softmax.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mask {
    /// Target `t_j` of a row whose own target is of the same cluster, `j ≠ i`, and query image
    /// `n_j` of the cluster of the row's own target, `j = i` included.
    #[default]
    Cluster,
    /// None: equation 1 to the letter.
    None,
}

/// What the loss has to know of each row of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Cluster of the query image.
    pub query_cluster: Vec<i64>,
    /// Cluster of the target image.
    pub target_cluster: Vec<i64>,
    /// `false`: the row is neither row nor column. Its embeddings are computed all the same and
    /// must be finite numbers, which they are for an image of zeros.
    pub valid: Vec<bool>,
}

impl Labels {
    /// Number of rows, those that are not valid included.
    pub fn len(&self) -> usize {
        self.valid.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.valid.is_empty()
    }

    /// Labels of all ranks' rows in the order of ranks. Every rank must have as many.
    pub fn gather(&self, collective: &dyn Collective) -> Result<Self, CollectiveError> {
        let valid: Vec<i64> = self.valid.iter().map(|&valid| valid.into()).collect();
        let columns = [&self.query_cluster, &self.target_cluster, &valid];
        assert!(columns.iter().all(|column| column.len() == self.len()), "one label a row");
        let columns = columns.map(|column| Tensor::from_slice(column));
        let all = collective.all_gather(&Tensor::stack(&columns, 1))?;
        let column = |index| -> Vec<i64> {
            let column: Tensor = all.select(1, index).contiguous();
            Vec::try_from(&column).expect("clusters are i64 on the CPU")
        };
        let valid = column(2).into_iter().map(|valid| valid != 0).collect();
        Ok(Self { query_cluster: column(0), target_cluster: column(1), valid })
    }

    /// Numbers of the valid rows in this range.
    pub(super) fn valid_in(&self, rows: Range<usize>) -> Vec<i64> {
        rows.filter(|&row| self.valid[row]).map(|row| row as i64).collect()
    }

    /// Clusters (query, target) of these rows as i64 `[rows]` each.
    pub(super) fn clusters_of(&self, rows: &[i64], device: Device) -> (Tensor, Tensor) {
        let pick = |column: &[i64]| {
            let picked: Vec<i64> = rows.iter().map(|&row| column[row as usize]).collect();
            Tensor::from_slice(&picked).to_device(device)
        };
        (pick(&self.query_cluster), pick(&self.target_cluster))
    }
}

/// False negatives of `n` rows among `v` columns, as bool `[n, v]`; true is left out.
#[derive(Debug)]
pub(super) struct FalseNegatives {
    /// Among targets.
    pub(super) target: Tensor,
    /// Among query images.
    pub(super) query: Tensor,
}

impl FalseNegatives {
    /// Row `i` is column `first + i`. `row` are the rows' target clusters `[n]`, the others the
    /// columns' clusters `[v]`.
    pub(super) fn new(row: &Tensor, query: &Tensor, target: &Tensor, first: i64) -> Self {
        let row = row.unsqueeze(1);
        let same_target = row.eq_tensor(&target.unsqueeze(0));
        let _ = same_target.diagonal(first, 0, 1).fill_(0);
        Self { target: same_target, query: row.eq_tensor(&query.unsqueeze(0)) }
    }
}

/// How many logits a mask leaves out: i64 scalar.
pub(super) fn count(mask: &Tensor) -> Tensor {
    mask.sum(Kind::Int64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::collective::Alone;

    fn flags(tensor: &Tensor) -> Vec<i64> {
        Vec::try_from(&tensor.to_kind(Kind::Int64).reshape([-1])).unwrap()
    }

    #[test]
    fn a_row_keeps_its_own_target_and_loses_its_likes() {
        let target = Tensor::from_slice(&[7_i64, 8, 7]);
        let query = Tensor::from_slice(&[1_i64, 7, 8]);
        let mask = FalseNegatives::new(&target, &query, &target, 0);
        assert_eq!(flags(&mask.target), [0, 0, 1, 0, 0, 0, 1, 0, 0]);
        assert_eq!(flags(&mask.query), [0, 1, 0, 0, 0, 1, 0, 1, 0]);
    }

    #[test]
    fn rows_may_begin_at_a_later_column() {
        let target = Tensor::from_slice(&[7_i64, 7, 7]);
        let mask = FalseNegatives::new(&target.narrow(0, 1, 2), &target, &target, 1);
        assert_eq!(flags(&mask.target), [1, 0, 1, 1, 1, 0]);
    }

    #[test]
    fn labels_survive_the_way_through_a_tensor() {
        let labels = Labels {
            query_cluster: vec![i64::MIN, -1, 3],
            target_cluster: vec![i64::MAX, 0, 4],
            valid: vec![true, false, true],
        };
        assert_eq!(labels.gather(&Alone).unwrap(), labels);
        assert_eq!(labels.valid_in(1..3), [2]);
    }
}
