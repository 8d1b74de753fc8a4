//! The attention pooler: one learned query asks the two fused tokens. arXiv 2403.19651, section
//! 3.2; no norm before it and no residual around it.

use tch::Tensor;

use super::config::HeadConfig;
use super::nn::{CappedAttention, LayerNorm, joined, wide};
use super::parameters::Parameters;

/// 1 / softplus(0): a scale of 0 leaves a query as it is. The original's 1.442695041 differs from it
/// by less than float32 can tell.
const UNIT: f64 = std::f64::consts::LOG2_E;

/// The query, its attention and the norm after it.
#[derive(Debug)]
pub(crate) struct Pooler {
    pub(crate) query: Tensor,
    pub(crate) attention: PoolAttention,
    pub(crate) norm: LayerNorm,
}

impl Pooler {
    pub fn new(parameters: &Parameters, head: &HeadConfig) -> Self {
        let scope = parameters.scope("pooler");
        let attention = scope.scope("attention");
        Self {
            query: scope.tensor("query"),
            attention: PoolAttention {
                inner: CappedAttention::new(&attention, head.num_heads),
                scale: attention.tensor("per_dim_scale"),
            },
            norm: LayerNorm::offset(&scope.scope("norm")),
        }
    }

    /// `[B, T, E]` to `[B, E]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        // One query for all rows: computed once, whatever the batch.
        let query = self.query.to_kind(x.kind()).unsqueeze(0);
        self.norm.forward(&self.attention.forward(&query, x).squeeze_dim(1))
    }
}

/// Attention whose queries are scaled dimension by dimension.
#[derive(Debug)]
pub(crate) struct PoolAttention {
    pub(crate) inner: CappedAttention,
    pub(crate) scale: Tensor,
}

impl PoolAttention {
    /// Queries `[1 or B, T, E]` of `[B, S, E]`: `[B, T, E]`.
    pub(crate) fn forward(&self, query: &Tensor, x: &Tensor) -> Tensor {
        let both = joined(&[&self.inner.k, &self.inner.v], x).chunk(2, -1);
        let [key, value] = [0, 1].map(|part| self.inner.split(&both[part]));
        let weights = self.inner.weights(&self.scaled_query(query), &key, 1.0);
        self.inner.mix(&weights, &value)
    }

    /// `[B, T, E]` to `[B, heads, T, d]`, times softplus(scale) / √d in float32.
    pub(crate) fn scaled_query(&self, query: &Tensor) -> Tensor {
        let query = self.inner.split(&self.inner.q.forward(query));
        let unit = UNIT / (self.scale.size()[0] as f64).sqrt();
        (&query * (self.scale.softplus() * unit)).to_kind(query.kind())
    }
}

/// `x / √(Σ x² + 1e-12)` along the last dimension, in float32 at least: a row of zeros stays zero.
pub(crate) fn normalize(x: &Tensor) -> Tensor {
    let kind = wide(x.kind());
    let x = x.to_kind(kind);
    let squares = x.square().sum_dim_intlist(-1, true, kind);
    &x * (squares + 1e-12).rsqrt()
}
