//! Images of benchmarks, and which images of a run are near-duplicates of one.
//!
//! A model that was trained on the images it is measured on is measured on its memory. So a triplet goes
//! when its query, its target or a hard negative is a near-duplicate of an image of a benchmark that
//! `decontaminate.benchmarks` names. [`folder`] hashes a benchmark's images, [`list`] is what is kept and
//! passed on of them, [`screen`] finds near-duplicates without comparing all with all, `shown` says what a
//! triplet shows.

mod folder;
mod list;
mod screen;
pub(super) mod shown;

use std::collections::BTreeMap;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::config::Decontaminate;
use crate::store::Fingerprint;
pub use folder::{Folder, Hashed};
pub use list::{Listed, View, keep, read, read_kept, write};
pub use screen::Screen;

/// The images of one benchmark.
#[derive(Clone, Debug, Default)]
pub struct Benchmark {
    /// The name of its folder or list.
    pub name: String,
    /// Hashes, and vectors where there are any.
    pub images: Vec<Listed>,
    /// Files that are no images that can be read.
    pub undecodable: Vec<String>,
    /// What the vectors were made by.
    pub vectors: Vectors,
}

/// Whether a benchmark's images have vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vectors {
    /// Made by what the run's own were made by, as a fingerprint has it.
    By(String),
    /// None, and why.
    None(String),
}

impl Default for Vectors {
    fn default() -> Self {
        Self::None(String::new())
    }
}

impl Benchmark {
    /// What the benchmark's images are, whatever folder or list they came from.
    fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for image in &self.images {
            hasher.update(image.image_id.as_str());
            for view in &image.views {
                hasher.update(view.phash.to_le_bytes());
                hasher.update(&view.phash256);
                hasher.update(&view.colour_layout);
            }
        }
        hex::encode(&hasher.finalize()[..16])
    }
}

/// Adds what keeps benchmarks out to what a table depends on; nothing where there are none.
pub fn with_benchmarks(
    all: Fingerprint,
    config: &Decontaminate,
    benchmarks: &[Benchmark],
) -> Fingerprint {
    if benchmarks.is_empty() {
        return all;
    }
    let digests: BTreeMap<&str, String> =
        benchmarks.iter().map(|b| (b.name.as_str(), b.digest())).collect();
    let vectors: BTreeMap<&str, &str> = benchmarks
        .iter()
        .map(|benchmark| match &benchmark.vectors {
            Vectors::By(made_by) => (benchmark.name.as_str(), made_by.as_str()),
            Vectors::None(_) => (benchmark.name.as_str(), "none"),
        })
        .collect();
    all.with("decontaminate.benchmarks", json!(digests))
        .with("vectors of decontaminate.benchmarks", json!(vectors))
        .with_section("decontaminate", config, &["benchmarks"])
}

/// An image of a run beside one of a benchmark.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// Which benchmark.
    pub benchmark: String,
    /// Its file there.
    pub file: String,
    /// By what.
    pub by: MatchedBy,
}

/// What gave a near-duplicate away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MatchedBy {
    /// The same file, by sha256.
    Bytes,
    /// Hashes, colours and aspect ratio.
    Hash,
    /// The cosine of their vectors.
    Cosine(f32),
}

impl std::fmt::Display for Match {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}, ", self.file, self.benchmark)?;
        match self.by {
            MatchedBy::Bytes => f.write_str("the same file"),
            MatchedBy::Hash => f.write_str("by hash"),
            MatchedBy::Cosine(cosine) => write!(f, "cosine {cosine:.3}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Settings};

    #[test]
    fn triplets_depend_on_benchmarks_as_in_25d6a2e() {
        let config: Config = toml::from_str(Config::HISTORY.first).unwrap();
        let benchmark = Benchmark { name: "cirr".into(), ..Benchmark::default() };
        let all = with_benchmarks(Fingerprint::new(), &config.decontaminate, &[benchmark]);
        assert_eq!(all.name(), "48752e1fc90e3541cc989ea15fcdfe22");
    }
}
