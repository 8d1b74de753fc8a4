//! Against AdamW written down in f64, and across a restart.

use super::*;
use crate::model::tests::bounds::{F32, assert_within, guaranteed};
use crate::train::parameter::Parameter;

/// Weights of all four groups, of several shapes.
fn parameters() -> Vec<Parameter> {
    let shapes: [(&str, &[i64], bool, bool); 5] = [
        ("fusion.w", &[3, 4], true, true),
        ("fusion.b", &[4], true, false),
        ("vision.w", &[2, 3, 2], false, true),
        ("text.w", &[5, 2], false, true),
        ("logit_scale", &[], false, false),
    ];
    let parameter = |(index, (name, shape, new, decay)): (usize, (&str, &[i64], bool, bool))| {
        let count: i64 = shape.iter().product();
        let values: Vec<f32> =
            (0..count).map(|i| ((i * 7 + index as i64 * 3) % 11) as f32 * 0.1 - 0.5).collect();
        let tensor = Tensor::from_slice(&values).reshape(shape).set_requires_grad(true);
        Parameter { name: name.to_owned(), tensor, new, decay }
    };
    shapes.into_iter().enumerate().map(parameter).collect()
}

/// Gradients that change with the step and the weight, with signs of both kinds.
fn backward(parameters: &[Parameter], step: u64) {
    for (index, parameter) in parameters.iter().enumerate() {
        let phase = step as f64 * 0.7 + index as f64;
        ((&parameter.tensor * 3.0 + phase).sin() * 2.0).sum(Kind::Float).backward();
    }
}

fn drop_gradients(parameters: &[Parameter]) {
    let tensors: Vec<&Tensor> = parameters.iter().map(|p| &p.tensor).collect();
    shim::drop_gradients(&tensors).unwrap();
}

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(&tensor.detach().to_kind(Kind::Double).reshape([-1])).unwrap()
}

const RATES: Rates = Rates { new: 3e-2, reused: 1e-2 };

/// Updates of a test.
const UPDATES: u64 = 20;

/// The bound of weights after all updates, relative to the largest weight. Each update rounds a weight
/// twice, for the decay and for the move; the move's own twenty roundings count as one, for the rate makes
/// it less than a twentieth of a weight.
fn within() -> f64 {
    guaranteed(F32, 3 * UPDATES as usize)
}

fn config(fused: bool) -> AdamWConfig {
    AdamWConfig { fused, ..AdamWConfig::default() }
}

/// Algorithm 2 of arXiv 1711.05101 on plain numbers.
struct Reference {
    weight: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
    rate: f64,
    decay: f64,
}

impl Reference {
    fn new(parameter: &Parameter) -> Self {
        let weight = values(&parameter.tensor);
        let zeros = vec![0.0; weight.len()];
        let rate = if parameter.new { RATES.new } else { RATES.reused };
        let decay = if parameter.decay { 0.2 } else { 0.0 };
        Self { weight, first: zeros.clone(), second: zeros, rate, decay }
    }

    fn update(&mut self, gradient: &[f64], step: i32) {
        for (i, g) in gradient.iter().enumerate() {
            self.first[i] = 0.9 * self.first[i] + 0.1 * g;
            self.second[i] = 0.98 * self.second[i] + 0.02 * g * g;
            let first = self.first[i] / (1.0 - 0.9_f64.powi(step));
            let second = self.second[i] / (1.0 - 0.98_f64.powi(step));
            let move_ = first / (second.sqrt() + 1e-6) + self.decay * self.weight[i];
            self.weight[i] -= self.rate * move_;
        }
    }
}

#[test]
fn twenty_updates_are_those_of_the_algorithm() {
    for fused in [true, false] {
        for divisor in [1.0, 2.5] {
            let parameters = parameters();
            let mut optimizer = AdamW::new(&parameters, config(fused));
            let mut references: Vec<_> = parameters.iter().map(Reference::new).collect();
            for step in 1..=UPDATES {
                backward(&parameters, step);
                for (reference, parameter) in references.iter_mut().zip(&parameters) {
                    let gradient = values(&parameter.tensor.grad());
                    let gradient: Vec<f64> = gradient.iter().map(|g| g / divisor).collect();
                    reference.update(&gradient, step as i32);
                }
                optimizer.update(RATES, divisor);
                drop_gradients(&parameters);
            }
            for (reference, parameter) in references.iter().zip(&parameters) {
                let found = values(&parameter.tensor);
                assert_near(&found, &reference.weight, &parameter.name);
            }
        }
    }
}

#[test]
fn fused_and_plain_agree_to_rounding() {
    let run = |fused| {
        let parameters = parameters();
        let mut optimizer = AdamW::new(&parameters, config(fused));
        for step in 1..=UPDATES {
            backward(&parameters, step);
            optimizer.update(RATES, 1.5);
            drop_gradients(&parameters);
        }
        parameters.iter().flat_map(|p| values(&p.tensor)).collect::<Vec<_>>()
    };
    assert_near(&run(true), &run(false), "fused");
}

/// Fails unless weights are those that are right, to rounding.
fn assert_near(found: &[f64], right: &[f64], what: &str) {
    let largest = right.iter().map(|weight| weight.abs()).fold(0.0, f64::max);
    for (found, right) in found.iter().zip(right) {
        assert_within((found - right).abs(), within() * largest, what);
    }
}

#[test]
fn a_weight_without_a_gradient_stays_as_it_is() {
    for fused in [true, false] {
        let parameters = parameters();
        let before = values(&parameters[0].tensor);
        let mut optimizer = AdamW::new(&parameters, config(fused));
        backward(&parameters[1..], 1);
        optimizer.update(RATES, 1.0);
        assert_eq!(values(&parameters[0].tensor), before);
    }
}

#[test]
fn a_saved_state_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimizer.safetensors");
    let parameters = parameters();
    let mut optimizer = AdamW::new(&parameters, config(true));
    let advance = |optimizer: &mut AdamW, parameters: &[Parameter], steps: std::ops::Range<u64>| {
        for step in steps {
            backward(parameters, step);
            optimizer.update(RATES, 1.0);
            drop_gradients(parameters);
        }
    };
    advance(&mut optimizer, &parameters, 1..8);
    write_tensors(&path, &optimizer.state()).unwrap();
    let copies: Vec<_> = parameters
        .iter()
        .map(|p| Parameter {
            name: p.name.clone(),
            tensor: p.tensor.detach().copy().set_requires_grad(true),
            ..*p
        })
        .collect();
    let mut resumed = AdamW::new(&copies, config(true));
    resumed.restore(read_tensors(&path).unwrap()).unwrap();
    assert_eq!(resumed.updates(), 7);
    for ((name, saved), (_, restored)) in optimizer.state().iter().zip(resumed.state()) {
        assert_eq!(values(saved), values(&restored), "{name}");
    }
    advance(&mut optimizer, &parameters, 8..12);
    advance(&mut resumed, &copies, 8..12);
    for (parameter, copy) in parameters.iter().zip(&copies) {
        assert_eq!(values(&parameter.tensor), values(&copy.tensor), "{}", parameter.name);
    }
}

#[test]
fn a_state_of_other_weights_is_refused_by_name() {
    let parameters = parameters();
    let mut optimizer = AdamW::new(&parameters, config(true));
    let state = || optimizer.state().into_iter().collect::<std::collections::BTreeMap<_, _>>();
    let (mut missing, mut more, mut other) = (state(), state(), state());
    missing.remove("exp_avg.text.w");
    more.insert("exp_avg.else".to_owned(), Tensor::from(1_f32));
    other.insert("exp_avg_sq.fusion.b".to_owned(), Tensor::from(1_f32));
    let mut refuse = |state| optimizer.restore(state).unwrap_err().to_string();
    assert!(refuse(missing).contains("no exp_avg.text.w"));
    assert!(refuse(more).contains("exp_avg.else"));
    assert!(refuse(other).contains("exp_avg_sq.fusion.b is Float [], where Float [4]"));
}

#[test]
fn a_damaged_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    write_tensors(&path, &[("a".to_owned(), Tensor::from_slice(&[1_f32, 2.0]))]).unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(read_tensors(&path), Err(StateError::Read { .. })));
    assert!(matches!(read_tensors(&folder.path().join("none")), Err(StateError::Read { .. })));
    let nowhere = folder.path().join("no/such/folder");
    assert!(matches!(write_tensors(&nowhere, &[]), Err(StateError::Write { .. })));
}
