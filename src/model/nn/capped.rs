//! Attention whose logits are capped at ±50 by a tanh, in fusion layers and pooler. Libtorch's
//! fused attention knows no cap; with two tokens nothing is lost by writing it out.

use tch::Tensor;

use super::{Linear, wide};
use crate::model::parameters::Scope;

const CAP: f64 = 50.0;

/// The four projections and how many heads they are cut into.
#[derive(Debug)]
pub(crate) struct CappedAttention {
    pub(crate) q: Linear,
    pub(crate) k: Linear,
    pub(crate) v: Linear,
    pub(crate) out: Linear,
    pub(crate) heads: i64,
}

impl CappedAttention {
    pub fn new(scope: &Scope, heads: i64) -> Self {
        let linear = |name| Linear::new(&scope.scope(name));
        let (q, k, v, out) =
            (linear("q_proj"), linear("k_proj"), linear("v_proj"), linear("out_proj"));
        Self { q, k, v, out, heads }
    }

    /// `[B, T, hidden]` to `[B, heads, T, hidden / heads]`, without a copy.
    pub fn split(&self, x: &Tensor) -> Tensor {
        let (batch, tokens, hidden) = x.size3().expect("tokens come as [B, T, hidden]");
        x.view([batch, tokens, self.heads, hidden / self.heads]).transpose(1, 2)
    }

    /// Returns the attention weights `[B, heads, T, S]`; each row adds up to 1.
    ///
    /// Logits, cap and softmax are at least float32: a bfloat16 near 50 has steps of a quarter.
    pub fn weights(&self, query: &Tensor, key: &Tensor, scale: f64) -> Tensor {
        let kind = wide(query.kind());
        let logits = query.matmul(&key.transpose(-2, -1)).to_kind(kind);
        ((logits * (scale / CAP)).tanh() * CAP).softmax(-1, kind)
    }

    /// The values `[B, heads, S, d]` mixed by these weights and projected: `[B, T, width]`.
    pub fn mix(&self, weights: &Tensor, value: &Tensor) -> Tensor {
        let mixed = weights.to_kind(value.kind()).matmul(value).transpose(1, 2);
        self.out.forward(&mixed.flatten(-2, -1))
    }
}
