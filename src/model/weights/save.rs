//! Our own format: `model.safetensors` in our names and `config.json` beside it. The CLIP part can
//! be read as Hugging Face's, whose names it has.

use std::collections::HashMap;
use std::path::Path;

use tch::Tensor;

use super::error::WeightsError;
use super::safetensors::{replace, write_tensors};
use crate::model::config::ModelConfig;

/// Writes tensors that make up a model of this config into a folder: a model's own, or averages of
/// them.
///
/// Each of the two files is the old or the new one, whole, whatever happens. The config goes first,
/// so that new weights never lie beside none.
pub fn save<'a>(
    folder: &Path,
    config: &ModelConfig,
    named: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
) -> Result<(), WeightsError> {
    std::fs::create_dir_all(folder).map_err(|error| WeightsError::Write {
        path: folder.to_owned(),
        problem: error.to_string(),
    })?;
    replace(&folder.join("config.json"), |temporary| {
        let text = serde_json::to_string_pretty(config).map_err(|error| error.to_string())?;
        std::fs::write(temporary, text + "\n").map_err(|error| error.to_string())
    })?;
    // What transformers asks for before it takes a file for PyTorch's.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    write_tensors(&folder.join("model.safetensors"), named, metadata)
}
