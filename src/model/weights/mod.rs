//! Weights in and out. Read: Hugging Face CLIP and OpenCLIP safetensors (sharded too), the released
//! `.pkl`, the same as safetensors, and our own. Written: our own. Which it is shows in the
//! content.
//!
//! [`source`] finds files and reads bytes into named tensors ([`safetensors`], [`pickle`] around
//! [`msgpack`]); [`naming`] turns their names and shapes into ours; [`configs`] finds the sizes;
//! [`fit`] compares with what the model needs. <https://huggingface.co/docs/safetensors>

mod configs;
mod error;
mod fit;
mod hub;
mod identity;
mod msgpack;
mod naming;
mod pickle;
mod safetensors;
mod save;
mod source;

#[cfg(test)]
mod tests;

use std::path::Path;

use tch::Device;

pub use error::{Mismatch, WeightsError, WrongShape};
pub use hub::HubName;
pub use identity::identity;
pub use safetensors::{read_tensors, write_tensors};
pub use save::save;

use super::config::ModelConfig;
use super::magiclens::MagicLens;
use super::parameters::Parameters;

impl MagicLens {
    /// Reads a whole model from a folder or file of any known format, float16 and bfloat16
    /// included.
    ///
    /// Sizes come from `config`, else from a config file beside the weights, else from the tensors;
    /// they are compared with the tensors in any case. The error names every tensor that is
    /// missing, unknown or of another shape. Weights of CLIP alone are refused: see
    /// [`initialise_from`](Self::initialise_from).
    pub fn load(
        source: &Path,
        config: Option<&ModelConfig>,
        device: Device,
    ) -> Result<Self, WeightsError> {
        build(source, config, device, None)
    }

    /// Reads what to start training from: the same, but weights of CLIP alone will do. Fusion
    /// layers and pooler are then drawn from the seed, as [`new`](Self::new) would draw them.
    pub fn initialise_from(
        source: &Path,
        config: Option<&ModelConfig>,
        device: Device,
        seed: i64,
    ) -> Result<Self, WeightsError> {
        build(source, config, device, Some(seed))
    }

    /// Writes `model.safetensors` and `config.json` into a folder, which is made where it is
    /// missing.
    pub fn save(&self, folder: &Path) -> Result<(), WeightsError> {
        let named = self.parameters().iter().map(|p| (p.name.as_str(), &p.tensor));
        save(folder, self.config(), named)
    }
}

fn build(
    source: &Path,
    config: Option<&ModelConfig>,
    device: Device,
    seed: Option<i64>,
) -> Result<MagicLens, WeightsError> {
    let files = source::find(source)?;
    let found = naming::to_ours(files.read()?);
    let config = match config {
        Some(config) => config.clone(),
        None => configs::beside(&files.folder, found.layout)?
            .map_or_else(|| configs::infer(source, &found), Ok)?,
    };
    let tensors = fit::fit(source, found, &config, seed.is_some())?;
    let parameters = Parameters::complete(&config, tensors, device, seed.unwrap_or(0));
    Ok(MagicLens::with_parameters(&config, parameters, device))
}
