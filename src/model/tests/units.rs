//! Single modules of the original with inputs that show its constants: `units.safetensors`.

use magiclens_testing::{conformance, shared};
use tch::{Tensor, no_grad_guard};

use super::bounds::{F32, likely};
use super::{Golden, assert_close};
use crate::model::nn::{CappedAttention, GeluMlp, LayerNorm, Linear};
use crate::model::pooler::{PoolAttention, normalize};

/// The cap of logits, which those of the goldens come close to.
const LARGEST_LOGIT: f64 = 50.0;

fn units() -> Option<Golden> {
    Some(Golden::read(&shared("golden/tiny-base")?.join("units.safetensors")))
}

#[test]
fn layer_norms() {
    let Some(units) = units() else { return };
    let of = |name: &str, part: &str| units.get(&format!("{name}/{part}")).shallow_clone();
    let norms = [
        ("clip_layernorm", LayerNorm::clip_of as fn(Tensor, Tensor) -> LayerNorm),
        ("ml_layernorm", LayerNorm::offset_of),
    ];
    for (name, norm) in norms {
        let norm = norm(of(name, "scale"), of(name, "bias"));
        let (x, y) = (of(name, "x"), of(name, "y"));
        // A mean and a variance; five operations more.
        let roundings = 2 * x.size()[x.dim() - 1] as usize + 5;
        assert_close(name, &norm.forward(&x), &y, likely(F32, roundings));
    }
    conformance("model-layer-norms", norms.len());
}

#[test]
fn normalisation_keeps_zero_and_what_is_near_it() {
    let Some(units) = units() else { return };
    let (x, y) = (units.get("normalize/x"), units.get("normalize/y"));
    // The squares' sum, an addition, a root and a product.
    let roundings = x.size()[x.dim() - 1] as usize + 3;
    assert_close("normalize", &normalize(x), y, likely(F32, roundings));
    conformance("model-normalize", 1);
}

#[test]
fn quick_gelu_through_an_mlp_of_identities() {
    let Some(units) = units() else { return };
    let x = units.get("quick_gelu/x");
    let same = || {
        let eye = Tensor::eye(64, (tch::Kind::Float, tch::Device::Cpu));
        let bias = Some(Tensor::zeros([64], (tch::Kind::Float, tch::Device::Cpu)));
        Linear { weight: eye, bias, casts: Default::default() }
    };
    let mlp = GeluMlp { fc1: same(), fc2: same() };
    let y = mlp.forward(&x.view([1, 64])).view([64]);
    // Sums with one term that is not zero are exact: what is left are two products, and the exponential,
    // sum, quotient and product of the function.
    assert_close("quick_gelu", &y, units.get("quick_gelu/y"), likely(F32, 6));
    conformance("model-quick-gelu", 1);
}

/// Bounds of the weights and of the output of an attention, from the width and the number of keys.
///
/// Logits result from a projection and a dot product, each at most as long as the width. An absolute error
/// of a logit is a relative error of its weight, which is the exponential of the logit; therefore the bound
/// is multiplied by the largest logit. The weighted sum and the output projection follow.
fn attention_bounds(q: &Tensor, kv: &Tensor) -> [f64; 2] {
    let (width, keys) = (q.size()[2] as usize, kv.size()[1] as usize);
    let probs = LARGEST_LOGIT * likely(F32, 2 * width + keys);
    [probs, probs + likely(F32, 2 * width + keys)]
}

fn attention(units: &Golden, name: &str) -> CappedAttention {
    let get = |part: &str| units.get(&format!("{name}/params/{part}"));
    let to_heads = |part: &str| {
        let (weight, bias) = (get(&format!("{part}/w")), get(&format!("{part}/b")));
        Linear {
            weight: weight.flatten(1, 2).tr(),
            bias: Some(bias.flatten(0, 1)),
            casts: Default::default(),
        }
    };
    let bias = Some(get("post/b").shallow_clone());
    let out = Linear { weight: get("post/w").flatten(1, 2), bias, casts: Default::default() };
    let (q, k, v) = (to_heads("query"), to_heads("key"), to_heads("value"));
    CappedAttention { q, k, v, out, heads: 4 }
}

#[test]
fn fusion_attention_with_capped_logits() {
    let Some(units) = units() else { return };
    let _no_grad = no_grad_guard();
    let (q, kv) = (units.get("fusion_attention/q"), units.get("fusion_attention/kv"));
    let attention = attention(&units, "fusion_attention");
    let [query, key] = [attention.q.forward(q), attention.k.forward(kv)];
    let weights = attention.weights(&attention.split(&query), &attention.split(&key), 0.5);
    let [probs, mixed] = attention_bounds(q, kv);
    assert_close("probs", &weights, units.get("fusion_attention/probs"), probs);
    let y = attention.mix(&weights, &attention.split(&attention.v.forward(kv)));
    assert_close("y", &y, units.get("fusion_attention/y"), mixed);
    conformance("model-fusion-attention", 2);
}

#[test]
fn pool_attention_with_capped_logits() {
    let Some(units) = units() else { return };
    let _no_grad = no_grad_guard();
    let (q, kv) = (units.get("pool_attention/q"), units.get("pool_attention/kv"));
    let scale = units.get("pool_attention/params/per_dim_scale/per_dim_scale").shallow_clone();
    let attention = PoolAttention { inner: attention(&units, "pool_attention"), scale };
    let key = attention.inner.split(&attention.inner.k.forward(kv));
    let weights = attention.inner.weights(&attention.scaled_query(q), &key, 1.0);
    let [probs, mixed] = attention_bounds(q, kv);
    assert_close("probs", &weights, units.get("pool_attention/probs"), probs);
    let y = attention.forward(q, kv);
    assert_close("y", &y, units.get("pool_attention/y"), mixed);
    conformance("model-pool-attention", 2);
}
