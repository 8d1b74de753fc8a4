//! `y = x Wᵀ + b`, as PyTorch stores it:
//! <https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html>.

use tch::Tensor;

use crate::model::casts::{Casts, Change};
use crate::model::parameters::Scope;

/// A linear map from the last dimension, with a bias or without.
#[derive(Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Tensor,
    pub(crate) bias: Option<Tensor>,
    pub(crate) casts: Casts,
}

impl Linear {
    pub fn new(scope: &Scope) -> Self {
        Self { bias: Some(scope.tensor("bias")), ..Self::without_bias(scope) }
    }

    pub fn without_bias(scope: &Scope) -> Self {
        Self { weight: scope.tensor("weight"), bias: None, casts: scope.casts() }
    }

    /// `[…, in]` to `[…, out]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.forward_scaled(x, 1.0, 1.0)
    }

    /// The same with the weight times `gain` and the bias times `bias_gain`: a factor on
    /// activations that costs one pass over the weights instead.
    pub fn forward_scaled(&self, x: &Tensor, gain: f64, bias_gain: f64) -> Tensor {
        let cast = |tensor: &Tensor, gain: f64| {
            self.casts.get(&[tensor], Change { gain, offset: 0.0 }, x.kind())
        };
        let bias = self.bias.as_ref().map(|bias| cast(bias, bias_gain));
        x.linear(&cast(&self.weight, gain), bias)
    }
}

/// Several maps of one input as one product: `[…, in]` to `[…, sum of outs]`.
///
/// The parameters stay apart under their own names, and are put side by side here.
pub(crate) fn joined(maps: &[&Linear], x: &Tensor) -> Tensor {
    let weights: Vec<&Tensor> = maps.iter().map(|map| &map.weight).collect();
    let biases: Vec<&Tensor> = maps.iter().filter_map(|map| map.bias.as_ref()).collect();
    let cast = |parts: &[&Tensor]| maps[0].casts.get(parts, Change::NONE, x.kind());
    x.linear(&cast(&weights), Some(cast(&biases)))
}
