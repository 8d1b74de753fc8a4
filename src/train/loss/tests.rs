//! Equation 1 against the golden numbers, and everything else against the loss written down on
//! plain numbers, whose finite differences are the gradients.

use magiclens_testing::{conformance, shared};
use proptest::prelude::*;
use tch::Device;

use super::*;
use crate::model::tests::bounds::{F32, F64, assert_within, likely};
use crate::train::optimizer::read_tensors;

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(&tensor.detach().to_kind(Kind::Double).reshape([-1])).unwrap()
}

fn assert_close(found: &[f64], right: &[f64], within: f64, what: &str) {
    assert_eq!(found.len(), right.len(), "{what}");
    for (found, right) in found.iter().zip(right) {
        assert_within((found - right).abs(), within, what);
    }
}

/// The bound of losses and gradients in an arithmetic of this unit roundoff: dot products of `width`
/// numbers and sums over `columns`, there and back, a sum over the rows, and ten operations between them.
/// Numbers are as large as the largest logit, by whose share an error also changes a gradient.
fn within(unit: f64, width: usize, columns: usize, largest_logit: f64) -> f64 {
    largest_logit.max(1.0) * likely(unit, 2 * (width + columns) + columns + 10)
}

#[test]
fn the_golden_loss_and_its_gradients() {
    let Some(path) = shared("golden/loss/loss_n5_d8.safetensors") else { return };
    let golden = read_tensors(&path).unwrap();
    let mut compared = 0;
    for case in ["case0", "case1"] {
        for (kind, unit) in [(Kind::Float, F32), (Kind::Double, F64)] {
            let get = |name: &str| golden[&format!("{case}/{name}")].to_kind(kind);
            let leaf = |name: &str| get(name).set_requires_grad(true);
            let (query, target, negative) = (leaf("q"), leaf("t"), leaf("n"));
            let log_tau = leaf("log_tau");
            // Rows of length 1; gradients by them have another factor of the scale.
            let scale = (-log_tau.double_value(&[])).exp();
            let within = scale * within(unit, 8, 2 * 5, scale);
            let labels = labels_of_distinct(5);
            let embeddings = Embeddings {
                query: query.shallow_clone(),
                target: target.shallow_clone(),
                negative: Some(negative.shallow_clone()),
                all_queries: None,
                hard: None,
            };
            let config = LossConfig { mask: Mask::None, ..LossConfig::default() };
            let loss = contrast(&embeddings, &labels, 0..5, &-&log_tau, &config);
            loss.share.backward();
            let mut check = |found: &Tensor, name: &str| {
                compared += 1;
                assert_close(
                    &values(found),
                    &values(&golden[&format!("{case}/{name}")]),
                    within,
                    name,
                );
            };
            check(&loss.share, "loss");
            check(&loss.per_row, "loss_per_row");
            check(&query.grad(), "grad_q");
            check(&target.grad(), "grad_t");
            check(&negative.grad(), "grad_n");
            check(&log_tau.grad(), "grad_log_tau");
        }
    }
    conformance("loss", compared);
}

fn labels_of_distinct(rows: i64) -> Labels {
    Labels {
        query_cluster: (0..rows).collect(),
        target_cluster: (rows..2 * rows).collect(),
        valid: vec![true; rows as usize],
    }
}

/// Step of the finite differences.
const STEP: f64 = 1e-5;

/// A batch on plain numbers.
#[derive(Clone, Debug)]
struct Case {
    width: usize,
    labels: Labels,
    hard_rows: Vec<usize>,
    config: LossConfig,
    scale: f64,
    /// Queries, targets, query images, hard negatives: rows of `width`.
    numbers: [Vec<f64>; 4],
}

/// What the loss should be.
struct Expected {
    per_row: Vec<f64>,
    mean: f64,
    first: i64,
    masked: i64,
}

impl Case {
    fn dot(&self, (a, i): (usize, usize), (b, j): (usize, usize)) -> f64 {
        let row = |role: usize, row: usize| &self.numbers[role][row * self.width..][..self.width];
        row(a, i).iter().zip(row(b, j)).map(|(a, b)| a * b).sum::<f64>() * self.scale.exp()
    }

    fn expected(&self) -> Expected {
        let (valid, labels) = (&self.labels.valid, &self.labels);
        let rows: Vec<usize> = (0..valid.len()).filter(|&row| valid[row]).collect();
        let clustered = self.config.mask == Mask::Cluster;
        let mut expected = Expected { per_row: vec![], mean: 0.0, first: 0, masked: 0 };
        for &i in &rows {
            let alike = |j: usize| {
                clustered && i != j && labels.target_cluster[i] == labels.target_cluster[j]
            };
            let mut rivals = vec![];
            for &j in rows.iter().filter(|&&j| j != i) {
                if alike(j) { expected.masked += 1 } else { rivals.push(self.dot((0, i), (1, j))) }
            }
            for &j in rows.iter().filter(|_| self.config.query_negatives) {
                let shown = clustered && labels.query_cluster[j] == labels.target_cluster[i];
                if shown { expected.masked += 1 } else { rivals.push(self.dot((0, i), (2, j))) }
            }
            for (h, &row) in self.hard_rows.iter().enumerate() {
                let meant = match self.config.hard_negatives {
                    HardNegatives::Off => false,
                    HardNegatives::Own => row == i,
                    HardNegatives::All => true,
                };
                if meant && valid[row] {
                    rivals.push(self.dot((0, i), (3, h)));
                }
            }
            let positive = self.dot((0, i), (1, i));
            expected.first += i64::from(rivals.iter().all(|&rival| rival < positive));
            let mut loss = minus_log_share(positive, &rivals);
            if self.config.symmetric {
                let others = rows.iter().filter(|&&j| j != i && !alike(j));
                let others: Vec<f64> = others.map(|&j| self.dot((1, i), (0, j))).collect();
                loss = (loss + minus_log_share(positive, &others)) / 2.0;
            }
            expected.per_row.push(loss);
        }
        expected.mean = expected.per_row.iter().sum::<f64>() / rows.len().max(1) as f64;
        expected
    }

    /// Returns the largest possible logit, given that no number exceeds 1.
    fn largest_logit(&self) -> f64 {
        self.width as f64 * self.scale.exp()
    }

    fn within(&self) -> f64 {
        within(F64, self.width, 2 * self.labels.len() + self.hard_rows.len(), self.largest_logit())
    }

    /// Bound of a central difference: the error of the losses over the step, plus a sixth of the third
    /// derivative times the square of the step. The loss is the logarithm of a mean of exponentials less one
    /// of the exponents, so its derivatives are cumulants of the exponents. For exponents within a range r
    /// the third one is at most r³ / (6√3). The derivative by the logarithm of the scale adds 3 · r² / 4 and r.
    fn slope_within(&self) -> f64 {
        let range = 2.0 * self.largest_logit();
        let third = range.powi(3) / (6.0 * 3_f64.sqrt()) + 0.75 * range.powi(2) + range;
        self.within() / STEP + third * STEP * STEP / 6.0
    }

    fn leaves(&self) -> [Tensor; 4] {
        let width = self.width as i64;
        self.numbers
            .each_ref()
            .map(|numbers| Tensor::from_slice(numbers).reshape([-1, width]).set_requires_grad(true))
    }

    /// The loss of the rows `own`, given leaves of all rows.
    fn loss(&self, leaves: &[Tensor; 4], scale: &Tensor, own: Range<usize>) -> Loss {
        let [query, target, negative, hard] = leaves;
        let embeddings = Embeddings {
            query: query.narrow(0, own.start as i64, own.len() as i64),
            target: target.shallow_clone(),
            negative: Some(negative.shallow_clone()),
            all_queries: self.config.symmetric.then(|| query.shallow_clone()),
            hard: Some(Hard {
                embeddings: hard.shallow_clone(),
                rows: self.hard_rows.iter().copied().map(Some).collect(),
            }),
        };
        contrast(&embeddings, &self.labels, own, scale, &self.config)
    }
}

fn minus_log_share(positive: f64, rivals: &[f64]) -> f64 {
    let all = rivals.iter().chain([&positive]);
    all.map(|rival| (rival - positive).exp()).sum::<f64>().ln()
}

fn case() -> impl Strategy<Value = Case> {
    let switches = (any::<bool>(), 0..3_usize, any::<bool>(), any::<bool>());
    (1..6_usize, 0..4_usize, 1..4_usize, switches).prop_flat_map(|(rows, hard, width, switches)| {
        let (query_negatives, whose, symmetric, masked) = switches;
        let config = LossConfig {
            query_negatives,
            hard_negatives: [HardNegatives::Off, HardNegatives::Own, HardNegatives::All][whose],
            symmetric,
            mask: if masked { Mask::Cluster } else { Mask::None },
        };
        // Few clusters, so that many are alike.
        let clusters = || proptest::collection::vec(0..4_i64, rows);
        let numbers = |count| proptest::collection::vec(-1.0..1.0_f64, count * width);
        (
            (
                clusters(),
                clusters(),
                proptest::collection::vec(proptest::bool::weighted(0.8), rows),
            ),
            proptest::collection::vec(0..rows, hard),
            -1.0..2.0_f64,
            [numbers(rows), numbers(rows), numbers(rows), numbers(hard)],
        )
            .prop_map(
                move |((query_cluster, target_cluster, valid), hard_rows, scale, numbers)| {
                    let labels = Labels { query_cluster, target_cluster, valid };
                    Case { width, labels, hard_rows, config, scale, numbers }
                },
            )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn is_what_it_says_with_the_gradients_of_that(case in case()) {
        let (leaves, scale) = (case.leaves(), Tensor::from(case.scale).set_requires_grad(true));
        let loss = case.loss(&leaves, &scale, 0..case.labels.len());
        loss.share.backward();
        let (expected, within) = (case.expected(), case.within());
        assert_close(&values(&loss.per_row), &expected.per_row, within, "losses");
        assert_close(&values(&loss.share), &[expected.mean], within, "mean");
        prop_assert_eq!(loss.first.int64_value(&[]), expected.first);
        prop_assert_eq!(loss.masked.int64_value(&[]), expected.masked);
        prop_assert_eq!(loss.rows, expected.per_row.len());

        let slope = |change: &dyn Fn(&mut Case, f64)| {
            let at = |by: f64| {
                let mut moved = case.clone();
                change(&mut moved, by);
                moved.expected().mean
            };
            (at(STEP) - at(-STEP)) / (2.0 * STEP)
        };
        let within = case.slope_within();
        for (role, leaf) in leaves.iter().enumerate() {
            let count = case.numbers[role].len();
            let slopes: Vec<f64> =
                (0..count).map(|k| slope(&|case, by| case.numbers[role][k] += by)).collect();
            let gradient = leaf.grad();
            // A role that the configuration does not use has no gradient.
            let found = if gradient.defined() { values(&gradient) } else { vec![0.0; count] };
            assert_close(&found, &slopes, within, "gradients");
        }
        assert_close(&values(&scale.grad()), &[slope(&|case, by| case.scale += by)], within, "scale");
    }

    #[test]
    fn shares_of_parts_add_up_to_the_whole(case in case(), cut in 0..6_usize) {
        let rows = case.labels.len();
        let cut = cut.min(rows);
        let (leaves, scale) = (case.leaves(), Tensor::from(case.scale));
        let [whole, first, second] =
            [0..rows, 0..cut, cut..rows].map(|own| case.loss(&leaves, &scale, own));
        let sum = |pick: fn(&Loss) -> &Tensor| values(&(pick(&first) + pick(&second)));
        assert_close(&sum(|loss| &loss.share), &values(&whole.share), case.within(), "share");
        prop_assert_eq!(sum(|loss| &loss.first), values(&whole.first));
        prop_assert_eq!(sum(|loss| &loss.masked), values(&whole.masked));
    }
}

#[test]
fn a_tie_is_a_miss() {
    let same = || Tensor::ones([3, 2], (Kind::Float, Device::Cpu));
    let embeddings =
        Embeddings { query: same(), target: same(), negative: None, all_queries: None, hard: None };
    let loss = contrast(
        &embeddings,
        &labels_of_distinct(3),
        0..3,
        &Tensor::from(0_f32),
        &LossConfig::default(),
    );
    assert_eq!(loss.first.int64_value(&[]), 0);
}

#[test]
fn half_precision_embeddings_are_contrasted_in_f32() {
    let rows = || Tensor::from_slice(&[0.5_f32, 0.25, -0.5, 1.0]).reshape([2, 2]);
    let loss = |kind| {
        let embeddings = Embeddings {
            query: rows().to_kind(kind),
            target: rows().flip([1]).to_kind(kind),
            negative: Some(rows().to_kind(kind)),
            all_queries: None,
            hard: None,
        };
        let scale = Tensor::from(INITIAL_SCALE.ln() as f32);
        contrast(&embeddings, &labels_of_distinct(2), 0..2, &scale, &LossConfig::default()).share
    };
    assert_eq!(loss(Kind::BFloat16).kind(), Kind::Float);
    assert_eq!(values(&loss(Kind::BFloat16)), values(&loss(Kind::Float)));
}
