//! The model's learned tensors by name. Which there are is [`layout`]'s to say; how they are drawn
//! is [`init`]'s; reading and writing files is the business of `weights`.

mod init;
mod layout;

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

pub(crate) use layout::{Spec, element_count, layout};

use crate::model::casts::Casts;
use crate::model::config::ModelConfig;

/// Tells apart what CLIP brings along and what MagicLens adds, for the paper's two learning rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Part of CLIP: starts from its weights.
    Reused,
    /// Fusion layers and pooler: start from random numbers.
    New,
}

/// Is one learned tensor with what the optimizer has to know of it.
#[derive(Debug)]
pub struct Parameter {
    /// Hugging Face's name for CLIP's parts, ours below `fusion.` and `pooler.`.
    pub name: String,
    /// A float32 leaf that requires gradients. The model computes with this very tensor, so an
    /// optimizer changes it in place.
    pub tensor: Tensor,
    /// Origin of the parameter: CLIP or the added layers.
    pub origin: Origin,
    /// True if weight decay applies. It does not apply to biases, layer norms, embeddings (class token and
    /// positions included), the learned query, `per_dim_scale` and `logit_scale`.
    pub decays: bool,
}

/// Holds all parameters of a model, ordered by name.
///
/// The order is the same in every process, so that ranks may reduce gradients by position.
#[derive(Debug)]
pub struct Parameters {
    list: Vec<Parameter>,
    casts: Casts,
}

impl Parameters {
    /// Goes through them in the order of their names.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.list.iter()
    }

    /// Finds one by its whole name.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        let position = self.list.binary_search_by(|parameter| parameter.name.as_str().cmp(name));
        Some(&self.list[position.ok()?])
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Never, for a model that can be.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Draws all of them for a model that starts from nothing.
    pub(crate) fn random(config: &ModelConfig, device: Device, seed: i64) -> Self {
        Self::complete(config, BTreeMap::new(), device, seed)
    }

    /// Takes the tensors given, whose shapes were compared with the layout, and draws the others.
    ///
    /// What is drawn depends on seed and name alone, whatever was given.
    pub(crate) fn complete(
        config: &ModelConfig,
        mut given: BTreeMap<String, Tensor>,
        device: Device,
        seed: i64,
    ) -> Self {
        let parameter = |spec: Spec| {
            let tensor = given.remove(&spec.name).unwrap_or_else(|| init::draw(&spec, seed));
            let tensor = tensor.to_kind(Kind::Float).to_device(device).contiguous().detach();
            Parameter {
                tensor: tensor.set_requires_grad(true),
                name: spec.name,
                origin: spec.origin,
                decays: spec.decays,
            }
        };
        let list = layout(config).into_iter().map(parameter).collect();
        Self { list, casts: Casts::default() }
    }

    /// What layers get their weights from.
    pub(crate) fn casts(&self) -> &Casts {
        &self.casts
    }

    /// The parameters below `prefix`.
    pub(crate) fn scope(&self, prefix: &str) -> Scope<'_> {
        Scope { parameters: self, prefix: prefix.to_owned() }
    }
}

impl<'a> IntoIterator for &'a Parameters {
    type Item = &'a Parameter;
    type IntoIter = std::slice::Iter<'a, Parameter>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A view of the parameters whose names begin alike: what a layer is built from.
pub(crate) struct Scope<'a> {
    parameters: &'a Parameters,
    prefix: String,
}

impl Scope<'_> {
    /// The parameters one level down.
    pub fn scope(&self, name: &str) -> Self {
        Scope { parameters: self.parameters, prefix: self.join(name) }
    }

    /// The same tensor as the parameter's, gradient included. Layers ask for what the layout lists.
    pub fn tensor(&self, name: &str) -> Tensor {
        let name = self.join(name);
        let found = self.parameters.get(&name);
        found.unwrap_or_else(|| panic!("the layout has no {name}")).tensor.shallow_clone()
    }

    /// What a layer gets its weights from.
    pub fn casts(&self) -> Casts {
        self.parameters.casts.clone()
    }

    fn join(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::tiny;

    #[test]
    fn names_are_ordered_and_found() {
        let parameters = Parameters::random(&tiny(), Device::Cpu, 0);
        let names: Vec<_> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        assert!(names.is_sorted());
        for parameter in &parameters {
            assert!(std::ptr::eq(parameters.get(&parameter.name).unwrap(), parameter));
        }
        assert!(parameters.get("logit").is_none());
    }

    #[test]
    fn all_are_float_leaves_that_learn() {
        for parameter in &Parameters::random(&tiny(), Device::Cpu, 0) {
            let tensor = &parameter.tensor;
            assert!(tensor.requires_grad() && tensor.is_leaf(), "{}", parameter.name);
            assert_eq!(tensor.kind(), Kind::Float, "{}", parameter.name);
        }
    }

    #[test]
    fn a_seed_gives_the_same_numbers_whatever_was_given_already() {
        let config = tiny();
        let first = Parameters::random(&config, Device::Cpu, 7);
        let clip = first.iter().filter(|parameter| parameter.origin == Origin::Reused);
        let given = clip.map(|p| (p.name.clone(), p.tensor.zeros_like())).collect();
        let second = Parameters::complete(&config, given, Device::Cpu, 7);
        for (one, other) in first.iter().zip(&second) {
            let zero = other.tensor.abs().sum(Kind::Double).double_value(&[]) == 0.0;
            let expected =
                if one.origin == Origin::New { one.tensor == other.tensor } else { zero };
            assert!(expected, "{}", one.name);
        }
        let other = Parameters::random(&config, Device::Cpu, 8);
        let name = "fusion.layers.0.mlp.fc1.weight";
        assert_ne!(first.get(name).unwrap().tensor, other.get(name).unwrap().tensor);
    }
}
