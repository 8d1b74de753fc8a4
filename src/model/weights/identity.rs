//! Which weights a path stands for, told by content: the same files under another path are the same.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::WeightsError;
use super::source::read_error;
use super::{configs, source};

/// Bytes that are read at a time.
const STRETCH: usize = 1 << 20;

/// The sha256, hex, of the files that loading from `path` reads: weights, and the configs beside them.
/// Nothing is loaded.
pub fn identity(path: &Path) -> Result<String, WeightsError> {
    let files = source::find(path)?;
    let mut all = Sha256::new();
    for file in files.paths()?.iter().chain(&configs::all_beside(&files.folder)) {
        all.update(digest(file)?);
    }
    Ok(hex::encode(all.finalize()))
}

fn digest(path: &Path) -> Result<[u8; 32], WeightsError> {
    let failed = |source| read_error(path, source);
    let mut file = File::open(path).map_err(failed)?;
    let (mut hash, mut stretch) = (Sha256::new(), vec![0; STRETCH]);
    loop {
        match file.read(&mut stretch).map_err(failed)? {
            0 => return Ok(hash.finalize().into()),
            bytes => hash.update(&stretch[..bytes]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_counts_and_the_path_does_not() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let put = |at: usize, name: &str, text: &str| {
            std::fs::write(folders[at].path().join(name), text).unwrap();
        };
        let of = |at: usize| identity(folders[at].path()).unwrap();
        for at in [0, 1] {
            put(at, "model.safetensors", "weights");
            put(at, "README.md", &at.to_string());
        }
        assert_eq!(of(0), of(1));
        put(1, "config.json", "{}");
        assert_ne!(of(0), of(1), "a config decides what is computed");
        put(0, "config.json", "{}");
        assert_eq!(of(0), of(1));
        put(1, "model.safetensors", "other weights");
        assert_ne!(of(0), of(1));
    }

    #[test]
    fn shards_count_too() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        put("model.safetensors.index.json", r#"{"weight_map": {"x": "a.safetensors"}}"#);
        put("a.safetensors", "weights");
        let first = identity(folder.path()).unwrap();
        put("a.safetensors", "others");
        assert_ne!(identity(folder.path()).unwrap(), first);
        put("model.safetensors.index.json", r#"{"weight_map": {"x": "../a.safetensors"}}"#);
        assert!(identity(folder.path()).unwrap_err().to_string().contains("plain file name"));
    }
}
