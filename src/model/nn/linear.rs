//! `y = x Wᵀ + b`, as PyTorch stores it:
//! <https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html>.

use tch::Tensor;

use crate::model::parameters::Scope;

/// A linear map from the last dimension, with a bias or without.
#[derive(Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Tensor,
    pub(crate) bias: Option<Tensor>,
}

impl Linear {
    pub fn new(scope: &Scope) -> Self {
        Self { weight: scope.tensor("weight"), bias: Some(scope.tensor("bias")) }
    }

    pub fn without_bias(scope: &Scope) -> Self {
        Self { weight: scope.tensor("weight"), bias: None }
    }

    /// `[…, in]` to `[…, out]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let bias = self.bias.as_ref().map(|bias| bias.to_kind(x.kind()));
        x.linear(&self.weight.to_kind(x.kind()), bias)
    }

    /// The same with the weight times `gain` and the bias times `bias_gain`: a factor on
    /// activations that costs one pass over the weights instead.
    pub fn forward_scaled(&self, x: &Tensor, gain: f64, bias_gain: f64) -> Tensor {
        let bias = self.bias.as_ref().map(|bias| (bias * bias_gain).to_kind(x.kind()));
        x.linear(&(&self.weight * gain).to_kind(x.kind()), bias)
    }
}

/// Several maps of one input as one product: `[…, in]` to `[…, sum of outs]`.
///
/// The parameters stay apart under their own names, and are put side by side here.
pub(crate) fn joined(maps: &[&Linear], x: &Tensor) -> Tensor {
    let weights: Vec<&Tensor> = maps.iter().map(|map| &map.weight).collect();
    let biases: Vec<&Tensor> = maps.iter().filter_map(|map| map.bias.as_ref()).collect();
    let weight = Tensor::cat(&weights, 0).to_kind(x.kind());
    x.linear(&weight, Some(Tensor::cat(&biases, 0).to_kind(x.kind())))
}
