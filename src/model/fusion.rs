//! The layers that let an image embedding and a text embedding see each other: arXiv 2403.19651,
//! section 3.2. Two tokens without positions or mask, so that their order means nothing.

use tch::Tensor;

use super::config::HeadConfig;
use super::nn::{CappedAttention, LayerNorm, ReluMlp, joined};
use super::parameters::{Parameters, Scope};

/// `y = x + attention(norm(x))`, then `y + mlp(norm(y))`.
#[derive(Debug)]
pub(crate) struct FusionLayer {
    pub(crate) attention_norm: LayerNorm,
    pub(crate) attention: CappedAttention,
    pub(crate) mlp_norm: LayerNorm,
    pub(crate) mlp: ReluMlp,
}

impl FusionLayer {
    fn new(scope: &Scope, heads: i64) -> Self {
        Self {
            attention_norm: LayerNorm::offset(&scope.scope("attention_norm")),
            attention: CappedAttention::new(&scope.scope("attention"), heads),
            mlp_norm: LayerNorm::offset(&scope.scope("mlp_norm")),
            mlp: ReluMlp::new(&scope.scope("mlp")),
        }
    }

    /// `[B, 2, E]` in and out.
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        let y = x + attend(&self.attention, &self.attention_norm.forward(x));
        &y + self.mlp.forward(&self.mlp_norm.forward(&y))
    }
}

/// Self-attention with the logits over √(width of a head): `[B, T, E]` in and out.
pub(crate) fn attend(attention: &CappedAttention, x: &Tensor) -> Tensor {
    let parts = joined(&[&attention.q, &attention.k, &attention.v], x).chunk(3, -1);
    let [query, key, value] = [0, 1, 2].map(|part| attention.split(&parts[part]));
    let scale = (query.size()[3] as f64).sqrt().recip();
    attention.mix(&attention.weights(&query, &key, scale), &value)
}

/// The fusion layers one after the other.
#[derive(Debug)]
pub(crate) struct Fusion {
    pub(crate) layers: Vec<FusionLayer>,
}

impl Fusion {
    pub fn new(parameters: &Parameters, head: &HeadConfig) -> Self {
        let scope = parameters.scope("fusion.layers");
        let layer = |index: i64| FusionLayer::new(&scope.scope(&index.to_string()), head.num_heads);
        Self { layers: (0..head.num_layers).map(layer).collect() }
    }

    /// `[B, 2, E]` in and out.
    pub fn forward(&self, x: Tensor) -> Tensor {
        self.layers.iter().fold(x, |x, layer| layer.forward(&x))
    }
}
