//! Two linear maps with a non-linearity between: CLIP's with quick-GELU `x σ(1.702 x)`, the fusion
//! layers' with ReLU.

use tch::Tensor;

use super::Linear;
use crate::model::parameters::Scope;

/// The constant of quick-GELU, <https://github.com/hendrycks/GELUs>.
const STEEPNESS: f64 = 1.702;

/// `fc2(quick_gelu(fc1(x)))`.
///
/// Since `x σ(1.702 x) = silu(1.702 x) / 1.702`, the factors go into the weights, and what is left
/// between the products is one kernel that keeps one tensor for the way back instead of three.
#[derive(Debug)]
pub(crate) struct GeluMlp {
    pub(crate) fc1: Linear,
    pub(crate) fc2: Linear,
}

impl GeluMlp {
    pub fn new(scope: &Scope) -> Self {
        Self { fc1: Linear::new(&scope.scope("fc1")), fc2: Linear::new(&scope.scope("fc2")) }
    }

    /// `[…, width]` in and out.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.contract(&self.expand(x))
    }

    /// 1.702 times what `fc1` gives.
    pub(crate) fn expand(&self, x: &Tensor) -> Tensor {
        self.fc1.forward_scaled(x, STEEPNESS, STEEPNESS)
    }

    fn contract(&self, steep: &Tensor) -> Tensor {
        self.fc2.forward_scaled(&steep.silu(), STEEPNESS.recip(), 1.0)
    }
}

/// `fc2(relu(fc1(x)))`.
#[derive(Debug)]
pub(crate) struct ReluMlp {
    pub(crate) fc1: Linear,
    fc2: Linear,
}

impl ReluMlp {
    pub fn new(scope: &Scope) -> Self {
        Self { fc1: Linear::new(&scope.scope("fc1")), fc2: Linear::new(&scope.scope("fc2")) }
    }

    /// `[…, width]` in and out.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.fc2.forward(&self.fc1.forward(x).relu())
    }
}
