//! What the optimizer has to know of a weight. Not how weights are named or made.

use tch::Tensor;

use super::collective::{Collective, CollectiveError};

/// One trained weight.
#[derive(Debug)]
pub struct Parameter {
    /// As in checkpoints; unique.
    pub name: String,
    /// An f32 leaf, contiguous, that requires a gradient. The model's own, not a copy.
    pub tensor: Tensor,
    /// Belongs to the layers that CLIP does not bring: the fusion and the pooler.
    pub new: bool,
    /// Takes part in weight decay. Not so: biases, LN scales, embeddings, the learned query,
    /// `per_dim_scale` and the temperature.
    pub decay: bool,
}

/// Gives every rank the weights of rank 0.
pub fn broadcast(
    parameters: &[Parameter],
    collective: &dyn Collective,
) -> Result<(), CollectiveError> {
    parameters
        .iter()
        .try_for_each(|parameter| collective.broadcast(&mut parameter.tensor.shallow_clone(), 0))
}
