//! AdamW with decoupled weight decay over f32 master weights, and two learning rates.
//!
//! tch's own optimizers cannot save their state. See arXiv 1711.05101, algorithm 2; the numbers are
//! those of PyTorch's `torch.optim.AdamW`.

mod guard;
mod state;

#[cfg(test)]
mod tests;

use magiclens_torch::shim::{self, AdamWStep, Slot};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

use super::parameter::Parameter;

pub use guard::{Guard, NotFinite};
pub use state::{StateError, read_tensors, write_tensors};

/// Numbers that stay the same over a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Keeps the quotient finite.
    pub eps: f64,
    /// Share by which weights shrink at a learning rate of 1.
    pub weight_decay: f64,
    /// One kernel for all weights of a group; else one operator after the other, which gives the
    /// same to rounding and is for devices without that kernel.
    pub fused: bool,
}

impl Default for AdamWConfig {
    /// Those of CLIP's ViTs (appendix F of arXiv 2103.00020). The paper's own are not known.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.98, eps: 1e-6, weight_decay: 0.2, fused: true }
    }
}

/// Learning rates of one update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Of the fusion and the pooler.
    pub new: f64,
    /// Of CLIP's weights.
    pub reused: f64,
}

/// The optimizer and its state: two means a weight.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    groups: Vec<Group>,
    updates: u64,
}

/// Weights that share a learning rate and decay.
#[derive(Debug)]
struct Group {
    new: bool,
    decay: bool,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    name: String,
    weight: Tensor,
    first: Tensor,
    second: Tensor,
}

impl AdamW {
    /// Starts with empty means. Each weight must be an f32 leaf without gaps in its memory.
    pub fn new(parameters: &[Parameter], config: AdamWConfig) -> Self {
        let kinds = [(true, true), (true, false), (false, true), (false, false)];
        let groups = kinds.map(|(new, decay)| {
            let own = parameters.iter().filter(|p| (p.new, p.decay) == (new, decay));
            Group { new, decay, members: own.map(Member::new).collect() }
        });
        Self { config, groups: groups.into(), updates: 0 }
    }

    /// Updates so far, which is not the number of steps: skipped ones are not counted.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Updates all weights that have a gradient, after dividing it by `divisor`, and overwrites
    /// gradients as it likes.
    pub fn update(&mut self, rates: Rates, divisor: f64) {
        self.updates += 1;
        for group in &self.groups {
            let options = AdamWStep {
                rate: if group.new { rates.new } else { rates.reused },
                beta1: self.config.beta1,
                beta2: self.config.beta2,
                weight_decay: if group.decay { self.config.weight_decay } else { 0.0 },
                eps: self.config.eps,
            };
            no_grad(|| match self.config.fused {
                true => group.update_fused(options, self.updates, divisor),
                false => group.update_plain(options, self.updates, divisor),
            });
        }
    }
}

impl Member {
    fn new(parameter: &Parameter) -> Self {
        let weight = parameter.tensor.shallow_clone();
        let fit = weight.kind() == Kind::Float && weight.is_contiguous() && weight.requires_grad();
        assert!(fit, "{} is no f32 leaf without gaps that requires a gradient", parameter.name);
        let name = parameter.name.clone();
        let (first, second) = (weight.detach().zeros_like(), weight.detach().zeros_like());
        Self { name, weight, first, second }
    }
}

impl Group {
    /// Members that have a gradient, with it.
    fn moving(&self) -> Vec<(&Member, Tensor)> {
        let gradients = self.members.iter().map(|member| (member, member.weight.grad()));
        let defined = gradients.filter(|(_, gradient)| gradient.defined());
        defined.map(|(member, gradient)| (member, gradient.contiguous())).collect()
    }

    fn update_fused(&self, options: AdamWStep, updates: u64, divisor: f64) {
        let moving = self.moving();
        let device = moving.first().map_or(Device::Cpu, |(member, _)| member.weight.device());
        let scalar = |value: f64| Tensor::from(value as f32).to_device(device);
        let slots: Vec<Slot> = moving
            .iter()
            .map(|(member, gradient)| Slot {
                weight: &member.weight,
                gradient,
                first: &member.first,
                second: &member.second,
            })
            .collect();
        let divisor = (divisor != 1.0).then(|| scalar(divisor));
        shim::adamw(&slots, &scalar(updates as f64), divisor.as_ref(), options)
            .expect("slots are f32, of one shape, without gaps and on one device");
    }

    fn update_plain(&self, options: AdamWStep, updates: u64, divisor: f64) {
        let AdamWStep { rate, beta1, beta2, weight_decay, eps } = options;
        let correction = |beta: f64| 1.0 - beta.powf(updates as f64);
        for (member, gradient) in self.moving() {
            let gradient = if divisor == 1.0 { gradient } else { gradient / divisor };
            let (mut weight, mut first, mut second) = (
                member.weight.shallow_clone(),
                member.first.shallow_clone(),
                member.second.shallow_clone(),
            );
            let _ = weight.g_mul_scalar_(1.0 - rate * weight_decay);
            let _ = first.lerp_(&gradient, 1.0 - beta1);
            let _ = second.g_mul_scalar_(beta2).addcmul_(&gradient, &(&gradient * (1.0 - beta2)));
            let root = second.sqrt() / correction(beta2).sqrt() + eps;
            let _ = weight.g_sub_(&(&first / root * (rate / correction(beta1))));
        }
    }
}
