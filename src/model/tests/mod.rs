//! Tests of the whole model, and what the tests of its parts share.

mod behaviour;
pub(crate) mod bounds;
mod golden;
mod hf_clip;
mod towers;
mod units;

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Kind, Tensor};

use super::MagicLens;
use super::config::{HeadConfig, ModelConfig};
use bounds::assert_within;

/// Sizes that a test affords, different wherever they can be.
pub(crate) fn tiny() -> ModelConfig {
    let mut config = ModelConfig::base();
    config.image_size = 24;
    config.context_length = 12;
    config.clip.embed_dim = 40;
    config.clip.vocab_size = 50;
    config.clip.vision_num_layers = 2;
    config.clip.vision_features = 48;
    config.clip.vision_patch_size = 8;
    config.clip.vision_num_heads = 3;
    config.clip.vision_head_dim = 16;
    config.clip.text_num_layers = 3;
    config.clip.text_features = 32;
    config.clip.text_num_heads = 2;
    config.magiclens = HeadConfig::for_embed_dim(40, "tiny");
    config.magiclens.num_layers = 2;
    config
}

/// Named arrays of a golden, whatever their types.
pub(crate) struct Golden(BTreeMap<String, Tensor>);

impl Golden {
    pub fn read(path: &Path) -> Self {
        // Not the code under test: the goldens hold integers and float64, too.
        Self(Tensor::read_safetensors(path).unwrap().into_iter().collect())
    }

    pub fn get(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("the golden has no {name}"))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Asserts the same shape and no value further off than `relative` times the largest expected one.
#[track_caller]
pub(crate) fn assert_close(name: &str, ours: &Tensor, expected: &Tensor, relative: f64) {
    assert_eq!(ours.size(), expected.size(), "{name}");
    assert_within(distance(ours, expected), relative * largest(expected), name);
}

/// The largest absolute value.
pub(crate) fn largest(tensor: &Tensor) -> f64 {
    tensor.detach().to_kind(Kind::Double).abs().max().double_value(&[])
}

/// The greatest difference; NaN counts as infinite.
pub(crate) fn distance(ours: &Tensor, expected: &Tensor) -> f64 {
    let off = largest(&(ours.to_kind(Kind::Double) - expected.to_kind(Kind::Double)));
    if off.is_nan() { f64::INFINITY } else { off }
}

/// Has a model's weights, what it computes and its gradients be float64, in which rounding is far below
/// the smallest fault: for tests of what is computed, and not of how exactly.
pub(crate) fn in_double(mut model: MagicLens) -> MagicLens {
    for parameter in model.parameters() {
        let mut tensor = parameter.tensor.shallow_clone();
        tensor.set_data(&parameter.tensor.to_kind(Kind::Double));
    }
    model.set_compute(Kind::Double);
    model
}
