//! A small network of its own: chunks, ranks and both together give what one batch gives.

mod network;

use std::collections::BTreeMap;

use network::{
    EPS, Inputs, cosine_within, gradient_within, inputs, loss_within, parameters, stepper,
    switches, values, weights,
};

use super::*;
use crate::model::tests::bounds::{F32, assert_within};
use crate::train::collective::testing::ranks;
use crate::train::collective::{Alone, Tcp};
use crate::train::gradcache::Chunk;
use crate::train::mask::Mask;

const RATES: Rates = Rates { new: 1e-2, reused: 1e-3 };

/// Gradients by name, and the report, margin and weights of two steps.
#[derive(Debug)]
struct Outcome {
    gradients: BTreeMap<String, Vec<f32>>,
    reports: Vec<Report>,
    margins: Vec<f64>,
    weights: Vec<Vec<f32>>,
}

fn train(mut stepper: Stepper, inputs: &Inputs) -> Outcome {
    let (weights, negatives) = (weights(&stepper), stepper.loss.query_negatives);
    let encode = |chunk: &Chunk| inputs.encode(&weights, negatives, chunk);
    stepper.accumulate(&inputs.rows, &encode).unwrap();
    let used = stepper.parameters().iter().filter(|p| p.tensor.grad().defined());
    let gradients = used.map(|p| (p.name.clone(), values(&p.tensor.grad()))).collect();
    stepper.drop_gradients();
    let mut step = |_| {
        let margin = inputs.margin(&weights);
        (stepper.run(&inputs.rows, RATES, &encode).unwrap(), margin)
    };
    let (reports, margins) = (0..2).map(&mut step).unzip();
    let weights = stepper.parameters().iter().map(|p| values(&p.tensor)).collect();
    Outcome { gradients, reports, margins, weights }
}

fn alone(loss: LossConfig, config: StepConfig) -> Outcome {
    train(stepper(loss, config, Box::new(Alone)), &inputs(0, 1))
}

fn assert_same(found: &Outcome, right: &Outcome, what: &str) {
    assert!(right.gradients.len() == 4 && !right.gradients.contains_key("unused"));
    assert_eq!(found.gradients.len(), 4, "{what}");
    let within = gradient_within() * largest(right.gradients.values());
    for (name, right) in &right.gradients {
        assert!(largest([right]) > 100.0 * within, "{name} is hardly moved");
        assert_within(apart(&found.gradients[name], right), within, format!("{what}: {name}"));
    }
    let clear = |margin: &f64| *margin > 10.0 * cosine_within();
    assert!(right.margins.iter().all(clear), "{:?}", right.margins);
    let numbers = right.gradients.values().map(Vec::len).sum::<usize>() as f64;
    for (found, right) in found.reports.iter().zip(&right.reports) {
        assert_within((found.loss - right.loss).abs(), loss_within(), format!("{what}: loss"));
        let norms = found.gradient_norm - right.gradient_norm;
        assert_within(norms.abs(), numbers.sqrt() * within, format!("{what}: norm"));
        assert_eq!(found.accuracy, right.accuracy, "{what}");
        assert_eq!((found.rows, found.masked, found.updated), (right.rows, right.masked, true));
    }
    // Twice, for both of Adam's means: what a step makes of an error in a gradient.
    let within = 2.0 * 2.0 * RATES.new * within / EPS;
    assert!(within < RATES.reused / 4.0, "a step that is left out is not seen: {within:e}");
    for (found, right) in found.weights.iter().zip(&right.weights) {
        assert_within(apart(found, right), within, format!("{what}: weights"));
    }
}

/// The largest absolute value.
fn largest<'a>(numbers: impl IntoIterator<Item = &'a Vec<f32>>) -> f64 {
    numbers.into_iter().flatten().fold(0.0, |most, number| f64::from(number.abs()).max(most))
}

/// The greatest difference; NaN counts as infinite.
fn apart(found: &[f32], right: &[f32]) -> f64 {
    let differences = found.iter().zip(right).map(|(found, right)| (found - right).abs());
    differences.fold(
        0.0,
        |most, apart| if apart.is_nan() { f64::INFINITY } else { most.max(apart.into()) },
    )
}

fn chunked(chunk_rows: usize, held_chunks: usize) -> StepConfig {
    // Messages of a few numbers, so that there are several, and one weight is larger than that.
    StepConfig { chunk_rows, held_chunks, bucket_bytes: 64, ..StepConfig::default() }
}

#[test]
fn chunks_give_the_gradients_of_the_whole() {
    for loss in switches() {
        let whole = alone(loss, chunked(0, 1));
        assert_eq!(whole.reports[0].rows, 10);
        for (rows, held) in [(12, 0), (5, 0), (5, 2), (3, usize::MAX), (1, 1)] {
            let parts = alone(loss, chunked(rows, held));
            assert_same(&parts, &whole, &format!("{rows} rows, {held} held, {loss:?}"));
        }
    }
}

#[test]
fn ranks_give_the_gradients_of_one() {
    for loss in switches() {
        let whole = alone(loss, chunked(0, 1));
        for (world, config) in [(2, chunked(0, 1)), (2, chunked(4, 1)), (3, chunked(3, 0))] {
            let parts = ranks_train(world, loss, config);
            for (rank, part) in parts.iter().enumerate() {
                assert_same(part, &whole, &format!("rank {rank} of {world}, {config:?}, {loss:?}"));
                assert_eq!(part.weights, parts[0].weights, "ranks stay the same bits");
            }
        }
    }
}

fn ranks_train(world: usize, loss: LossConfig, config: StepConfig) -> Vec<Outcome> {
    ranks(world, |tcp: Tcp| {
        let inputs = inputs(tcp.rank(), world);
        train(stepper(loss, config, Box::new(tcp)), &inputs)
    })
}

#[test]
fn masks_count_what_they_leave_out() {
    let masked = |mask| {
        let loss = LossConfig { mask, ..LossConfig::default() };
        alone(loss, chunked(0, 1)).reports[0].masked
    };
    // Rows 0 and 2, 4 and 9 have targets alike. Query image 7 shows what rows 0 and 2 ask for,
    // query image 2 what row 5 asks for. Row 3 and 10 are not valid.
    assert_eq!(masked(Mask::Cluster), 4 + 3);
    assert_eq!(masked(Mask::None), 0);
}

#[test]
fn a_rank_without_a_valid_row_changes_nothing_for_the_others() {
    let only = |mut inputs: Inputs, valid: std::ops::Range<usize>| {
        for (row, flag) in inputs.rows.labels.valid.iter_mut().enumerate() {
            *flag &= valid.contains(&row);
        }
        inputs
    };
    let loss = LossConfig::default();
    let whole = train(stepper(loss, chunked(0, 1), Box::new(Alone)), &only(inputs(0, 1), 6..12));
    let parts = ranks(2, |tcp| {
        let valid = if tcp.rank() == 0 { 0..0 } else { 0..6 };
        let inputs = only(inputs(tcp.rank(), 2), valid);
        train(stepper(loss, chunked(2, 0), Box::new(tcp)), &inputs)
    });
    parts.iter().for_each(|part| assert_same(part, &whole, "half of the rows"));
}

#[test]
fn a_batch_without_a_valid_row_changes_no_weight() {
    let mut inputs = inputs(0, 1);
    inputs.rows.labels.valid.fill(false);
    let mut stepper = stepper(LossConfig::default(), chunked(5, 1), Box::new(Alone));
    let weights = weights(&stepper);
    let before = weights.each_ref().map(values);
    let encode = |chunk: &Chunk| inputs.encode(&weights, true, chunk);
    let report = stepper.run(&inputs.rows, RATES, &encode).unwrap();
    assert_eq!((report.loss, report.rows, report.updated), (0.0, 0, false));
    assert_eq!(weights.each_ref().map(values), before);
    assert_eq!((stepper.skipped(), stepper.optimizer().updates()), (0, 0));
}

#[test]
fn steps_that_are_not_finite_are_skipped_until_it_is_enough() {
    let inputs = inputs(0, 1);
    let config = StepConfig { patience: 1, ..chunked(0, 1) };
    let mut stepper = stepper(LossConfig::default(), config, Box::new(Alone));
    let weights = weights(&stepper);
    let before = weights.each_ref().map(values);
    let broken = |chunk: &Chunk| inputs.encode(&weights, true, chunk) * f64::NAN;
    let report = stepper.run(&inputs.rows, RATES, &broken).unwrap();
    assert!(report.loss.is_nan() && !report.updated);
    assert_eq!((stepper.skipped(), stepper.optimizer().updates()), (1, 0));
    assert!(matches!(stepper.run(&inputs.rows, RATES, &broken), Err(StepError::NotFinite(_))));
    assert_eq!(weights.each_ref().map(values), before);
}

#[test]
fn steps_lower_the_loss_and_the_scale_stays_below_its_bound() {
    let inputs = inputs(0, 1);
    let mut stepper = stepper(LossConfig::default(), chunked(4, 1), Box::new(Alone));
    let weights = weights(&stepper);
    let encode = |chunk: &Chunk| inputs.encode(&weights, true, chunk);
    let rates = Rates { new: 0.05, reused: 0.1 };
    let mut run = || stepper.run(&inputs.rows, rates, &encode).unwrap();
    let first = run();
    let last = (0..60).map(|_| run()).last().unwrap();
    assert!(last.loss < first.loss / 2.0, "{first:?} {last:?}");
    assert!(last.accuracy > first.accuracy && last.scale > first.scale);
    assert!(last.scale <= MAX_SCALE + scale_within(), "{}", last.scale);
}

#[test]
fn a_fixed_scale_is_no_weight_and_is_clamped_at_once() {
    let inputs = inputs(0, 1);
    let parameters: Vec<_> = parameters().into_iter().filter(|p| p.name != "logit_scale").collect();
    let scale = Tensor::from(9_f32);
    let mut stepper = Stepper::new(
        parameters,
        scale,
        AdamWConfig::default(),
        LossConfig::default(),
        chunked(0, 1),
        Box::new(Alone),
    );
    let weights = weights(&stepper);
    let encode = |chunk: &Chunk| inputs.encode(&weights, true, chunk);
    let scales = [0; 2].map(|_| stepper.run(&inputs.rows, RATES, &encode).unwrap().scale);
    for scale in scales {
        assert_within((scale - MAX_SCALE).abs(), scale_within(), "the largest scale");
    }
}

/// Error of the largest scale that results from rounding its logarithm to float32.
fn scale_within() -> f64 {
    MAX_SCALE * MAX_SCALE.ln() * F32
}

#[test]
fn gradients_are_clipped_to_their_norm() {
    let step = |clip_norm| {
        let config = StepConfig { clip_norm, ..chunked(0, 1) };
        let outcome = alone(LossConfig::default(), config);
        (outcome.reports[0].gradient_norm, outcome.weights)
    };
    let ((norm, free), (same, clipped)) = (step(0.0), step(1e-9));
    assert!(norm > 0.1 && norm == same, "{norm} {same}");
    // So small that eps outweighs it: Adam itself would undo any factor.
    let moved = |weights: &[Vec<f32>]| {
        let start: Vec<Vec<f32>> = parameters().iter().map(|p| values(&p.tensor)).collect();
        apart(&weights[1], &start[1])
    };
    assert!(moved(&clipped) < moved(&free) / 100.0, "{} {}", moved(&clipped), moved(&free));
}

#[test]
fn rank_0_gives_the_others_its_weights() {
    let sums = ranks(2, |tcp| {
        let parameters = parameters();
        let shift = tcp.rank() as f64;
        for parameter in &parameters {
            let _ = no_grad(|| parameter.tensor.shallow_clone().g_add_scalar_(shift));
        }
        crate::train::parameter::broadcast(&parameters, &tcp).unwrap();
        parameters.iter().map(|p| values(&p.tensor)).collect::<Vec<_>>()
    });
    let start: Vec<Vec<f32>> = parameters().iter().map(|p| values(&p.tensor)).collect();
    assert_eq!(sums, [start.clone(), start]);
}
