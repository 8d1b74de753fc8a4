//! Tests of whole files: what loads, what does not, and what is said about it.

mod flax;
mod foreign;
mod own;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::WeightsError;
use crate::model::config::ModelConfig;
use crate::model::{MagicLens, Parameters};

/// Copies of a model's tensors by name.
pub(super) fn named(parameters: &Parameters) -> BTreeMap<String, Tensor> {
    parameters.iter().map(|p| (p.name.clone(), p.tensor.detach().copy())).collect()
}

/// Writes tensors in this kind, by tch's own writer.
pub(super) fn write(path: &Path, tensors: &BTreeMap<String, Tensor>, kind: Kind) {
    let list: Vec<_> = tensors.iter().map(|(name, tensor)| (name, tensor.to_kind(kind))).collect();
    Tensor::write_safetensors(&list, path).unwrap();
}

pub(super) fn assert_same(one: &MagicLens, other: &MagicLens) {
    assert_eq!(one.parameters().len(), other.parameters().len());
    for (one, other) in one.parameters().iter().zip(other.parameters()) {
        assert_eq!(one.name, other.name);
        assert_eq!(one.tensor, other.tensor, "{}", one.name);
    }
}

pub(super) fn load(path: &Path) -> Result<MagicLens, WeightsError> {
    MagicLens::load(path, None, Device::Cpu)
}

/// What is said when this path is loaded.
pub(super) fn refusal(path: &Path, config: Option<&ModelConfig>) -> String {
    MagicLens::load(path, config, Device::Cpu).unwrap_err().to_string()
}

/// The metadata that no test looks at.
pub(super) fn no_metadata() -> HashMap<String, String> {
    HashMap::new()
}
