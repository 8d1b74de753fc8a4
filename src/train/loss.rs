//! Equation 1 of the paper: each query against all targets and all query images.
//!
//! Works on embeddings alone and knows neither model nor ranks. Everything is computed in f32, in f64
//! where the embeddings are f64; bf16 never gets this far. See section 3.2 of arXiv 2403.19651.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::mask::{FalseNegatives, Labels, Mask, count};
use crate::model::wide;

/// The largest logit scale `exp(s)`, as CLIP has it (section 2.5 of arXiv 2103.00020).
pub const MAX_SCALE: f64 = 100.0;

/// The scale to begin with where no model brings its own, as CLIP has it.
pub const INITIAL_SCALE: f64 = 1.0 / 0.07;

/// Use of the shards' mined hard negatives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HardNegatives {
    /// None is a column.
    #[default]
    Off,
    /// Each is a column of the row it was mined for. Another row may well be about what it shows.
    #[serde(rename = "own-row")]
    Own,
    /// Each is a column of every row, across ranks too.
    All,
}

/// What stands in the softmax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Query images are negatives, as in equation 1. Without them a model learns to return the query
    /// image: CIRCO mAP@5 falls from 29.7 to 10.1 (MegaPairs, table 4). Off is in-batch targets only.
    pub query_negatives: bool,
    /// Mined negatives.
    pub hard_negatives: HardNegatives,
    /// Adds the softmax of each target over all queries and halves the sum. That direction has neither
    /// query images nor hard negatives: they answer nobody's instruction.
    pub symmetric: bool,
    /// Logits left out as false negatives. Hard negatives have no cluster and are never left out.
    pub mask: Mask,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            query_negatives: true,
            hard_negatives: HardNegatives::Off,
            symmetric: false,
            mask: Mask::Cluster,
        }
    }
}

/// Mined negatives and whose they are.
#[derive(Debug)]
pub struct Hard {
    /// `[H, E]`.
    pub embeddings: Tensor,
    /// The row of the whole batch that each was mined for; `None` is padding.
    pub rows: Vec<Option<usize>>,
}

/// The embeddings of a batch of `N` rows, as one rank sees them that has `B` of the rows.
///
/// All are `[.., E]` with unit rows. The gradient goes to whichever of them requires one.
#[derive(Debug)]
pub struct Embeddings {
    /// Own queries `[B, E]`.
    pub query: Tensor,
    /// Targets `[N, E]`.
    pub target: Tensor,
    /// Query images without instruction `[N, E]`; `None` where the configuration has no use for them.
    pub negative: Option<Tensor>,
    /// All queries `[N, E]`, for the symmetric loss only.
    pub all_queries: Option<Tensor>,
    /// Mined negatives.
    pub hard: Option<Hard>,
}

/// One rank's share of the loss.
#[derive(Debug)]
pub struct Loss {
    /// Own valid rows' losses, divided by the number of valid rows of the whole batch: the shares of
    /// all ranks add up to the mean. Scalar with a graph; 0 without any valid row.
    pub share: Tensor,
    /// Losses of own valid rows `[n]`.
    pub per_row: Tensor,
    /// How many own rows rank their target above every other column: i64 scalar. A tie is a miss.
    pub first: Tensor,
    /// How many logits of own rows were left out as false negatives: i64 scalar.
    pub masked: Tensor,
    /// Valid rows of the whole batch.
    pub rows: usize,
}

/// Computes the loss of the rows `own` of a batch whose labels are `labels`; `scale` is `s`, a scalar,
/// and logits are multiplied by `exp(s)`.
pub fn contrast(
    embeddings: &Embeddings,
    labels: &Labels,
    own: Range<usize>,
    scale: &Tensor,
    config: &LossConfig,
) -> Loss {
    let view = View::new(labels, own, embeddings.target.device(), config.mask);
    let kind = wide(embeddings.query.kind());
    let query = view.own_rows(&embeddings.query).to_kind(kind) * scale.to_kind(kind).exp();
    let mut columns = view.columns(embeddings, config);
    columns.embeddings = columns.embeddings.to_kind(kind);
    let logits = columns.logits(&query);
    let positive = logits.diagonal(view.first, 0, 1);
    let mut per_row = logits.logsumexp([1], false) - &positive;
    if config.symmetric {
        per_row = (per_row + view.backwards(embeddings, scale, kind)) / 2.0;
    }
    Loss {
        share: per_row.sum(kind) / view.valid.len().max(1) as f64,
        first: ranked_first(&logits, &positive),
        per_row,
        masked: columns.masked,
        rows: view.valid.len(),
    }
}

/// Rows whose only logit as large as the positive one is the positive one.
fn ranked_first(logits: &Tensor, positive: &Tensor) -> Tensor {
    let rivals = logits.detach().ge_tensor(&positive.detach().unsqueeze(1));
    rivals.sum_dim_intlist([1_i64].as_slice(), false, Kind::Int64).eq(1).sum(Kind::Int64)
}

/// The valid part of a batch as one rank sees it.
struct View<'a> {
    labels: &'a Labels,
    own: Range<usize>,
    /// Valid rows of the batch: the columns, in this order.
    valid: Vec<i64>,
    /// Valid own rows, as numbers of the whole batch.
    rows: Vec<i64>,
    /// Own row `i` is column `first + i`.
    first: i64,
    mask: Option<FalseNegatives>,
}

/// What stands in the softmax beside the positive, with the positive.
struct Columns {
    /// `[M, E]`.
    embeddings: Tensor,
    /// True is left out: bool `[n, M]`.
    left_out: Option<Tensor>,
    /// Of these, the false negatives.
    masked: Tensor,
}

impl<'a> View<'a> {
    fn new(labels: &'a Labels, own: Range<usize>, device: tch::Device, mask: Mask) -> Self {
        let valid = labels.valid_in(0..labels.len());
        let rows = labels.valid_in(own.clone());
        let first = labels.valid_in(0..own.start).len() as i64;
        let mask = (mask == Mask::Cluster).then(|| {
            let (query, target) = labels.clusters_of(&valid, device);
            let row = target.narrow(0, first, rows.len() as i64);
            FalseNegatives::new(&row, &query, &target, first)
        });
        Self { labels, own, valid, rows, first, mask }
    }

    /// The valid ones of the rank's own `[B, E]`.
    fn own_rows(&self, tensor: &Tensor) -> Tensor {
        assert_eq!(tensor.size()[0], self.own.len() as i64, "one embedding an own row");
        let offset = self.own.start as i64;
        pick(tensor, &self.rows.iter().map(|row| row - offset).collect::<Vec<_>>())
    }

    /// The valid ones of all rows' `[N, E]`.
    fn all_rows(&self, tensor: &Tensor) -> Tensor {
        assert_eq!(tensor.size()[0], self.labels.len() as i64, "one embedding a row of the batch");
        pick(tensor, &self.valid)
    }

    fn columns(&self, embeddings: &Embeddings, config: &LossConfig) -> Columns {
        let mut parts = vec![self.all_rows(&embeddings.target)];
        let mut masks: Vec<Tensor> =
            self.mask.iter().map(|mask| mask.target.shallow_clone()).collect();
        if let Some(negative) = embeddings.negative.as_ref().filter(|_| config.query_negatives) {
            parts.push(self.all_rows(negative));
            masks.extend(self.mask.iter().map(|mask| mask.query.shallow_clone()));
        }
        let device = embeddings.target.device();
        let masked =
            masks.iter().map(count).fold(Tensor::from(0_i64).to_device(device), |a, b| a + b);
        match &embeddings.hard {
            Some(hard) if config.hard_negatives != HardNegatives::Off => {
                self.add_hard(hard, config.hard_negatives, &mut parts, &mut masks);
            }
            _ => {}
        }
        let left_out = (!masks.is_empty()).then(|| Tensor::cat(&masks, 1));
        Columns { embeddings: Tensor::cat(&parts, 0), left_out, masked }
    }

    /// Adds mined negatives of valid rows as columns, each left out of rows it is not meant for.
    fn add_hard(
        &self,
        hard: &Hard,
        whose: HardNegatives,
        parts: &mut Vec<Tensor>,
        masks: &mut Vec<Tensor>,
    ) {
        assert_eq!(hard.embeddings.size()[0], hard.rows.len() as i64, "one row a hard negative");
        let device = hard.embeddings.device();
        let owners = hard.rows.iter().enumerate();
        let (kept, owners): (Vec<i64>, Vec<i64>) = owners
            .filter_map(|(index, row)| row.map(|row| (index, row)))
            .filter(|&(_, row)| self.labels.valid[row])
            .map(|(index, row)| (index as i64, row as i64))
            .unzip();
        let rows = Tensor::from_slice(&self.rows).to_device(device).unsqueeze(1);
        let foreign = rows.ne_tensor(&Tensor::from_slice(&owners).to_device(device).unsqueeze(0));
        let foreign = if whose == HardNegatives::All { foreign.zeros_like() } else { foreign };
        if masks.is_empty() {
            let columns: i64 = parts.iter().map(|part| part.size()[0]).sum();
            masks.push(Tensor::zeros([self.rows.len() as i64, columns], (Kind::Bool, device)));
        }
        parts.push(pick(&hard.embeddings, &kept));
        masks.push(foreign);
    }

    /// Losses of own targets against all queries `[n]`.
    fn backwards(&self, embeddings: &Embeddings, scale: &Tensor, kind: Kind) -> Tensor {
        let queries = embeddings.all_queries.as_ref().expect("a symmetric loss has all queries");
        let columns = Columns {
            embeddings: self.all_rows(queries).to_kind(kind),
            left_out: self.mask.as_ref().map(|mask| mask.target.shallow_clone()),
            masked: Tensor::new(),
        };
        let target = self.own_rows(&embeddings.target.narrow(
            0,
            self.own.start as i64,
            self.own.len() as i64,
        ));
        let logits = columns.logits(&(target.to_kind(kind) * scale.to_kind(kind).exp()));
        logits.logsumexp([1], false) - logits.diagonal(self.first, 0, 1)
    }
}

impl Columns {
    /// `[n, M]` for scaled rows `[n, E]`.
    fn logits(&self, rows: &Tensor) -> Tensor {
        let logits = rows.matmul(&self.embeddings.transpose(0, 1));
        match &self.left_out {
            Some(left_out) => logits.masked_fill(left_out, f64::NEG_INFINITY),
            None => logits,
        }
    }
}

/// These rows of a tensor; all of them cost nothing.
fn pick(tensor: &Tensor, rows: &[i64]) -> Tensor {
    if rows.len() as i64 == tensor.size()[0] {
        return tensor.shallow_clone();
    }
    tensor.index_select(0, &Tensor::from_slice(rows).to_device(tensor.device()))
}

#[cfg(test)]
mod tests;
