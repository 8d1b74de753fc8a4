//! Layer normalisation (arXiv 1607.06450) in the two forms of the original: CLIP's, and the one of
//! the added layers, which multiplies by 1 + scale and so starts with scales of 0.

use tch::Tensor;

use crate::model::parameters::Scope;

/// Normalises the last dimension. Statistics are float32 in any kind.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    gain: Tensor,
    bias: Tensor,
    epsilon: f64,
    /// Whether the gain is 1 + the stored numbers.
    offset: bool,
}

impl LayerNorm {
    /// CLIP's form: `weight` and an epsilon of 1e-5.
    pub fn clip(scope: &Scope) -> Self {
        Self::clip_of(scope.tensor("weight"), scope.tensor("bias"))
    }

    /// The added layers' form: 1 + `scale` and an epsilon of 1e-6.
    pub fn offset(scope: &Scope) -> Self {
        Self::offset_of(scope.tensor("scale"), scope.tensor("bias"))
    }

    pub(crate) fn clip_of(gain: Tensor, bias: Tensor) -> Self {
        Self { gain, bias, epsilon: 1e-5, offset: false }
    }

    pub(crate) fn offset_of(gain: Tensor, bias: Tensor) -> Self {
        Self { gain, bias, epsilon: 1e-6, offset: true }
    }

    /// `[…, width]` in and out.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let width = self.gain.size();
        let bias = self.bias.to_kind(x.kind());
        let gain = if self.offset { &self.gain + 1.0 } else { self.gain.shallow_clone() };
        x.layer_norm(width, Some(gain.to_kind(x.kind())), Some(bias), self.epsilon, false)
    }
}
