//! Layer normalisation (arXiv 1607.06450) in the two forms of the original: CLIP's, and the one of
//! the added layers, which multiplies by 1 + scale and so starts with scales of 0.

use tch::Tensor;

use crate::model::casts::{Casts, Change};
use crate::model::parameters::Scope;

/// Normalises the last dimension. Statistics are float32 in any kind.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    gain: Tensor,
    bias: Tensor,
    epsilon: f64,
    /// What is added to the stored gain.
    offset: f64,
    casts: Casts,
}

impl LayerNorm {
    /// CLIP's form: `weight` and an epsilon of 1e-5.
    pub fn clip(scope: &Scope) -> Self {
        let norm = Self::clip_of(scope.tensor("weight"), scope.tensor("bias"));
        Self { casts: scope.casts(), ..norm }
    }

    /// The added layers' form: 1 + `scale` and an epsilon of 1e-6.
    pub fn offset(scope: &Scope) -> Self {
        let norm = Self::offset_of(scope.tensor("scale"), scope.tensor("bias"));
        Self { casts: scope.casts(), ..norm }
    }

    pub(crate) fn clip_of(gain: Tensor, bias: Tensor) -> Self {
        Self { gain, bias, epsilon: 1e-5, offset: 0.0, casts: Casts::default() }
    }

    pub(crate) fn offset_of(gain: Tensor, bias: Tensor) -> Self {
        Self { gain, bias, epsilon: 1e-6, offset: 1.0, casts: Casts::default() }
    }

    /// `[…, width]` in and out.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let width = self.gain.size();
        let change = Change { gain: 1.0, offset: self.offset };
        let gain = self.casts.get(&[&self.gain], change, x.kind());
        let bias = self.casts.get(&[&self.bias], Change::NONE, x.kind());
        x.layer_norm(width, Some(gain), Some(bias), self.epsilon, false)
    }
}
