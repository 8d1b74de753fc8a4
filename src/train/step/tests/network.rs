//! A network small enough for a test and a batch with everything in it.

use tch::{Kind, Tensor};

use super::super::*;
use crate::model::tests::bounds::{F32, likely};
use crate::train::gradcache::Chunk;
use crate::train::loss::{HardNegatives, LossConfig};
use crate::train::mask::{Labels, Mask};
use crate::train::parameter::Parameter;

const WIDTH: i64 = 6;
const ROWS: usize = 12;
/// The logarithm of the logit scale.
const SCALE: f32 = 1.5;

/// Far above what rounding does to a gradient, which Adam would otherwise make a whole step of where the
/// gradient is next to nothing.
pub(super) const EPS: f64 = 1e-2;

/// Roundings of a cosine: sums over five inputs, eight hidden numbers, the square and the product of
/// embeddings.
const COSINE: usize = 5 + 8 + 6 + 6;
/// Columns of the loss: targets, query images and hard negatives.
const COLUMNS: usize = 2 * ROWS + 7;

/// The bound of cosines.
pub(super) fn cosine_within() -> f64 {
    likely(F32, COSINE)
}

/// The bound of losses: logits are as large as their scale.
pub(super) fn loss_within() -> f64 {
    f64::from(SCALE.exp()) * likely(F32, COSINE + COLUMNS)
}

/// The bound of gradients, relative to the largest: there, back, and the sum over all roles' rows. An
/// error of a logit is an equal share of the gradient.
pub(super) fn gradient_within() -> f64 {
    f64::from(SCALE.exp()) * likely(F32, 2 * (COSINE + COLUMNS) + COLUMNS + ROWS)
}

/// Numbers that look random and are the same everywhere.
fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| (((i + 1) * (seed * 7 + 13)) as f32 * 0.618).sin()).collect()
}

fn matrix(seed: usize, rows: usize, columns: i64) -> Tensor {
    Tensor::from_slice(&numbers(seed, rows * columns as usize)).reshape([-1, columns])
}

/// Two layers with a bias and a weight that only some inputs reach, and the temperature.
pub(super) fn parameters() -> Vec<Parameter> {
    let parameter = |name: &str, tensor: Tensor, new, decay| Parameter {
        name: name.to_owned(),
        tensor: tensor.set_requires_grad(true),
        new,
        decay,
    };
    vec![
        parameter("first", matrix(1, 5, 8), false, true),
        parameter("bias", Tensor::from_slice(&numbers(2, 8)), false, false),
        parameter("second", matrix(3, 8, WIDTH), true, true),
        parameter("logit_scale", Tensor::from(SCALE), false, false),
        parameter("unused", matrix(4, 2, 2), true, true),
    ]
}

/// Inputs of a part of the batch: queries, targets, query images and hard negatives, five numbers
/// each.
pub(super) struct Inputs {
    pub(super) rows: Rows,
    roles: [Tensor; 4],
}

impl Inputs {
    pub(super) fn encode(&self, weights: &[Tensor; 3], negatives: bool, chunk: &Chunk) -> Tensor {
        let part = |role: usize, range: &std::ops::Range<usize>| {
            self.roles[role].narrow(0, range.start as i64, range.len() as i64)
        };
        let roles = if negatives { 3 } else { 2 };
        let rows = (0..roles).map(|role| part(role, &chunk.rows));
        let input = Tensor::cat(&rows.chain([part(3, &chunk.hard)]).collect::<Vec<_>>(), 0);
        let [first, bias, second] = weights;
        let output = (input.matmul(first) + bias).tanh().matmul(second);
        let squares = (&output * &output).sum_dim_intlist([1_i64].as_slice(), true, Kind::Float);
        output / squares.sqrt()
    }

    /// The least difference between the cosine of a query's target and that of anything else: while it is
    /// far above rounding, whose target comes first does not depend on rounding.
    pub(super) fn margin(&self, weights: &[Tensor; 3]) -> f64 {
        let rows = self.rows.labels.len();
        let chunk = Chunk { index: 0, rows: 0..rows, hard: 0..self.rows.hard_rows.len() };
        let all = no_grad(|| self.encode(weights, true, &chunk));
        let cosines =
            all.narrow(0, 0, rows as i64).matmul(&all.tr()).slice(1, rows as i64, None, 1);
        let own = cosines.diagonal(0, 0, 1).copy();
        let mut apart = (cosines - own.unsqueeze(1)).abs();
        let _ = apart.fill_diagonal_(1.0, false);
        apart.min().double_value(&[])
    }
}

/// The part of rank `rank` of `world` of a batch of twelve rows with likes, invalid rows and
/// unequally many hard negatives.
pub(super) fn inputs(rank: usize, world: usize) -> Inputs {
    let (length, whole) = (ROWS / world, labels());
    let own = rank * length..(rank + 1) * length;
    let hard_of = [0, 0, 1, 3, 5, 5, 9];
    let hard = hard_of.iter().enumerate().filter(|(_, row)| own.contains(row));
    let (places, hard_rows): (Vec<i64>, Vec<usize>) =
        hard.map(|(place, row)| (place as i64, row - own.start)).unzip();
    let cut = |seed| matrix(seed, ROWS, 5).narrow(0, own.start as i64, length as i64);
    let hard = matrix(14, hard_of.len(), 5).index_select(0, &Tensor::from_slice(&places));
    let labels = Labels {
        query_cluster: whole.query_cluster[own.clone()].to_vec(),
        target_cluster: whole.target_cluster[own.clone()].to_vec(),
        valid: whole.valid[own.clone()].to_vec(),
    };
    Inputs { rows: Rows { labels, hard_rows }, roles: [cut(11), cut(12), cut(13), hard] }
}

fn labels() -> Labels {
    Labels {
        query_cluster: vec![1, 2, 3, 4, 5, 6, 7, 20, 9, 10, 11, 12],
        target_cluster: vec![20, 21, 20, 23, 24, 3, 26, 27, 28, 24, 29, 30],
        valid: [[true, true, true, false], [true; 4], [true, true, false, true]].concat(),
    }
}

pub(super) fn switches() -> Vec<LossConfig> {
    let plain = LossConfig::default();
    let hard = |hard_negatives| LossConfig { hard_negatives, ..plain };
    vec![
        plain,
        LossConfig { mask: Mask::None, ..plain },
        LossConfig { query_negatives: false, ..plain },
        hard(HardNegatives::Own),
        hard(HardNegatives::All),
        LossConfig { symmetric: true, ..hard(HardNegatives::All) },
        LossConfig { symmetric: true, query_negatives: false, mask: Mask::None, ..plain },
    ]
}

pub(super) fn stepper(
    loss: LossConfig,
    config: StepConfig,
    collective: Box<dyn Collective>,
) -> Stepper {
    let parameters = parameters();
    let scale = parameters[3].tensor.shallow_clone();
    let adamw = AdamWConfig { eps: EPS, ..AdamWConfig::default() };
    Stepper::new(parameters, scale, adamw, loss, config, collective)
}

pub(super) fn weights(stepper: &Stepper) -> [Tensor; 3] {
    [0, 1, 2].map(|index| stepper.parameters()[index].tensor.shallow_clone())
}

pub(super) fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(&tensor.detach().reshape([-1])).unwrap()
}
