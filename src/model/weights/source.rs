//! Finds the file or files of weights below a path and reads them by their content.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tch::Tensor;

use super::error::WeightsError;
use super::{msgpack, pickle, safetensors};

/// Tensors as their file names them, float32 on the CPU.
pub(super) type Named = BTreeMap<String, Tensor>;

const INDEX: &str = "model.safetensors.index.json";

/// What is to be read: one file, or the shards of an index.
#[derive(Debug)]
pub(super) struct Files {
    /// Where a config would be.
    pub folder: PathBuf,
    weights: PathBuf,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Decides what a path stands for. Nothing is read yet but the folder.
pub(super) fn find(path: &Path) -> Result<Files, WeightsError> {
    let about = std::fs::metadata(path).map_err(|source| read_error(path, source))?;
    if about.is_dir() {
        return Ok(Files { folder: path.to_owned(), weights: in_folder(path)? });
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    Ok(Files { folder, weights: path.to_owned() })
}

fn in_folder(folder: &Path) -> Result<PathBuf, WeightsError> {
    for name in ["model.safetensors", INDEX, "open_clip_model.safetensors"] {
        let file = folder.join(name);
        if file.is_file() {
            return Ok(file);
        }
    }
    let names = list(folder)?;
    let mut weights = names.iter().filter(|name| {
        let kind = Path::new(name).extension().and_then(|kind| kind.to_str());
        matches!(kind, Some("safetensors" | "pkl"))
    });
    match (weights.next(), weights.next()) {
        (Some(name), None) => Ok(folder.join(name)),
        _ => Err(WeightsError::NoWeights { path: folder.to_owned(), found: names.join(", ") }),
    }
}

fn list(folder: &Path) -> Result<Vec<String>, WeightsError> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|source| read_error(folder, source))?;
    let names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    Ok(names)
}

impl Files {
    /// Every file that [`Self::read`] reads.
    pub fn paths(&self) -> Result<Vec<PathBuf>, WeightsError> {
        if !self.is_index() {
            return Ok(vec![self.weights.clone()]);
        }
        let shards = read_index(&self.weights)?;
        let names: BTreeSet<_> = shards.weight_map.into_values().collect();
        let shards = names.into_iter().map(|name| self.folder.join(name));
        Ok(std::iter::once(self.weights.clone()).chain(shards).collect())
    }

    fn is_index(&self) -> bool {
        self.weights.extension().is_some_and(|kind| kind == "json")
    }

    /// Reads all tensors.
    pub fn read(&self) -> Result<Named, WeightsError> {
        if self.is_index() { read_shards(&self.weights) } else { read_file(&self.weights) }
    }
}

/// Reads what an index lists: each tensor from the shard that should have it, and no other tensors.
fn read_shards(index: &Path) -> Result<Named, WeightsError> {
    let parsed = read_index(index)?;
    let folder = index.parent().unwrap_or(Path::new(""));
    let mut all = Named::new();
    for shard in parsed.weight_map.values().collect::<BTreeSet<_>>() {
        for (name, tensor) in read_file(&folder.join(shard))? {
            if parsed.weight_map.get(&name) != Some(shard) {
                let problem = format!("does not place {name:?} into {shard}, which has it");
                return Err(format_error(index, problem));
            }
            all.insert(name, tensor);
        }
    }
    let mut lost = parsed
        .weight_map
        .iter()
        .filter(|(name, _)| !all.contains_key(*name) && !safetensors::is_no_weight(name));
    match lost.next() {
        Some((name, shard)) => {
            Err(format_error(index, format!("places {name:?} into {shard}, which has it not")))
        }
        None => Ok(all),
    }
}

fn read_index(index: &Path) -> Result<Index, WeightsError> {
    let text = std::fs::read(index).map_err(|source| read_error(index, source))?;
    let parsed: Index = serde_json::from_slice(&text)
        .map_err(|error| format_error(index, format!("not an index of shards: {error}")))?;
    // A name out of a file must not lead out of the folder.
    let is_plain =
        |shard: &&String| Path::new(shard).file_name().is_some_and(|n| n == shard.as_str());
    match parsed.weight_map.values().find(|shard| !is_plain(shard)) {
        Some(shard) => {
            Err(format_error(index, format!("names a shard {shard:?}, not a plain file name")))
        }
        None => Ok(parsed),
    }
}

/// Reads one file, whatever its name says.
fn read_file(path: &Path) -> Result<Named, WeightsError> {
    let bytes = std::fs::read(path).map_err(|source| read_error(path, source))?;
    let read = match bytes.as_slice() {
        [pickle::PROTOCOL, ..] => pickle::only_bytes(&bytes)
            .map_err(|error| error.to_string())
            .and_then(|inner| msgpack::tensors(inner).map_err(|error| error.to_string())),
        // A map, as a pickle of MagicLens has inside.
        [0x81..=0x8f | 0xde | 0xdf, ..] if bytes.get(8) != Some(&b'{') => {
            msgpack::tensors(&bytes).map_err(|error| error.to_string())
        }
        [_, _, _, _, _, _, _, _, b'{', ..] => safetensors::tensors(&bytes),
        _ => Err(unknown(&bytes)),
    };
    read.map_err(|problem| format_error(path, problem))
}

fn unknown(bytes: &[u8]) -> String {
    let start: Vec<_> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let guess = match bytes {
        [] => "empty",
        [b'P', b'K', ..] => "a zip: a PyTorch checkpoint? save it as safetensors",
        [b'{' | b'[', ..] => "JSON",
        [b'v', b'e', b'r', b's', ..] => "a Git LFS pointer: the file itself was not fetched",
        _ => "unknown",
    };
    format!("neither safetensors nor a pickle of bytes; starts with [{}], {guess}", start.join(" "))
}

pub(super) fn read_error(path: &Path, source: std::io::Error) -> WeightsError {
    WeightsError::Read { path: path.to_owned(), source }
}

fn format_error(path: &Path, problem: String) -> WeightsError {
    WeightsError::Format { path: path.to_owned(), problem }
}
