//! What the vectors of `embeddings` were made by: part of the table's fingerprint, and what whoever reads
//! the table holds its own configuration against.
//!
//! Weights count by their content. That is hashed when something is to be computed; beside the table lies a
//! note of it, so that a run that is finished needs no weights.

use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::context::StageError;
use crate::config::{Config, Similarity};
use crate::store::{Fingerprint, Store, StoreError};
use crate::table::EMBEDDINGS;

/// The stage that makes them.
const STAGE: &str = "embed";

/// The note, beside the table's parts.
const NOTE: &str = "weights.json";

/// What decides over vectors, the tables aside. `weights` is the identity of CLIP's.
pub fn made_by(config: &Config, weights: &str) -> Fingerprint {
    let all = Fingerprint::new().with("pair.similarity", config.pair.similarity.as_str());
    match config.pair.similarity {
        Similarity::Lexical => all,
        Similarity::Clip => all.with("embed.weights", weights).with("preprocess", "clip"),
        Similarity::Endpoint => all
            .with("embed.endpoint.model", config.embed.endpoint.model.as_str())
            .with("embed.images", config.embed.images.as_str()),
    }
}

/// Fails where a run's vectors are of another kind than is configured: what else differs then says less.
pub async fn check_kind(config: &Config, store: &Store) -> Result<(), StageError> {
    let kind = Fingerprint::new().with("pair.similarity", config.pair.similarity.as_str());
    match Fingerprint::of_table(store, EMBEDDINGS).await? {
        Some(committed) => same(&kind, &committed),
        None => Ok(()),
    }
}

/// Fails where a run's vectors were made by something else than is configured.
pub async fn check(config: &Config, store: &Store) -> Result<(), StageError> {
    check_kind(config, store).await?;
    let Some(committed) = Fingerprint::of_table(store, EMBEDDINGS).await? else { return Ok(()) };
    same(&made_by_run(config, store).await?, &committed)
}

/// A short name for what a run's vectors are made by, as far as is known without weights.
pub async fn name_of_run(config: &Config, store: &Store) -> Result<String, StageError> {
    Ok(made_by_run(config, store).await?.name())
}

async fn made_by_run(config: &Config, store: &Store) -> Result<Fingerprint, StageError> {
    let known = Known::read(store).await?.filter(|known| known.holds(&config.embed.weights));
    let weights = known.map_or_else(|| config.embed.weights.clone(), |known| known.identity);
    Ok(made_by(config, &weights))
}

/// Fails where `wanted` is not what a run's vectors were made by.
pub fn same(wanted: &Fingerprint, committed: &Fingerprint) -> Result<(), StageError> {
    match wanted.differs_within(committed) {
        None => Ok(()),
        Some(mismatch) => Err(StageError::Mismatch { table: EMBEDDINGS, stage: STAGE, mismatch }),
    }
}

/// By what a run compares images and descriptions, in words, for the dataset card: no path of this machine.
pub async fn told(config: &Config, store: &Store) -> Result<String, StoreError> {
    let model = match config.pair.similarity {
        Similarity::Lexical => {
            return Ok(
                "perceptual hashes and colours of images, and words of descriptions (TF-IDF)"
                    .into(),
            );
        }
        Similarity::Clip => {
            let known = Known::read(store).await?.map(|known| known.identity).unwrap_or_default();
            let named = config.embed.weights.as_str();
            let local = || named.rsplit('/').next().unwrap_or(named);
            let named = if named.contains("://") { named } else { local() };
            format!("CLIP (`{named}`, sha256 `{known}`)")
        }
        Similarity::Endpoint => format!("`{}`", config.embed.endpoint.model),
    };
    Ok(match config.embed.has_images(&config.pair) {
        true => format!("cosines of embeddings of images and descriptions by {model}"),
        false => format!(
            "perceptual hashes and colours of images, and cosines of embeddings of descriptions by {model}"
        ),
    })
}

/// Weights whose content was hashed once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    named: String,
    files: Vec<File>,
    /// The sha256 of their content.
    pub identity: String,
}

/// A file that would have another length or time, were it another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct File {
    name: String,
    bytes: u64,
    modified_ns: u64,
}

impl Known {
    /// Weights as they are now.
    pub fn new(named: &str, identity: &str) -> Self {
        let (named, identity) = (named.to_owned(), identity.to_owned());
        Self { files: files(Path::new(&named)), named, identity }
    }

    /// The note of a run.
    pub async fn read(store: &Store) -> Result<Option<Self>, StoreError> {
        let text = store.read(&format!("{EMBEDDINGS}/{NOTE}")).await?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// Writes the note.
    pub async fn keep(&self, store: &Store) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(self).expect("a note is plain data");
        store.replace(&format!("{EMBEDDINGS}/{NOTE}"), text).await
    }

    /// Whether weights of this name are still those. What is gone is taken at its name.
    pub fn holds(&self, named: &str) -> bool {
        let now = files(Path::new(named));
        self.named == named && (now.is_empty() || now == self.files)
    }
}

/// The files that a path of weights stands for, and what may lie beside them; none where there is nothing.
fn files(path: &Path) -> Vec<File> {
    let is_config = |path: &Path| path.extension().is_some_and(|name| name == "json");
    let (folder, only) = match (path.is_dir(), path.parent()) {
        (true, _) => (path, None),
        (false, Some(folder)) if path.is_file() => (folder, Some(path)),
        _ => return Vec::new(),
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let counts = entries
        .filter(|entry| only.is_none_or(|only| entry.path() == only || is_config(&entry.path())));
    let mut files: Vec<File> = counts.filter_map(|entry| file(&entry.path())).collect();
    files.sort();
    files
}

fn file(path: &Path) -> Option<File> {
    let about = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let modified = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(File {
        name: path.file_name()?.to_string_lossy().into_owned(),
        bytes: about.len(),
        modified_ns: u64::try_from(modified.as_nanos()).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_known_until_they_change_also_once_they_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("clip");
        std::fs::create_dir(&weights).unwrap();
        std::fs::write(weights.join("model.safetensors"), "weights").unwrap();
        let named = weights.to_str().unwrap();
        let known = Known::new(named, "abc");
        assert!(known.holds(named) && !known.holds("elsewhere"));
        std::fs::write(weights.join("config.json"), "{}").unwrap();
        assert!(!known.holds(named), "a config decides what is computed");
        let known = Known::new(named, "abc");
        std::fs::remove_dir_all(&weights).unwrap();
        assert!(known.holds(named));
        assert!(Known::new("hf://a/b", "abc").holds("hf://a/b"));
    }

    #[test]
    fn a_file_counts_with_the_configs_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.safetensors");
        std::fs::write(&file, "weights").unwrap();
        let known = Known::new(file.to_str().unwrap(), "abc");
        std::fs::write(folder.path().join("other.safetensors"), "others").unwrap();
        assert!(known.holds(file.to_str().unwrap()));
        std::fs::write(folder.path().join("config.json"), "{}").unwrap();
        assert!(!known.holds(file.to_str().unwrap()));
    }

    #[tokio::test]
    async fn vectors_of_something_else_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str().unwrap()).unwrap();
        let mut config = Config::default();
        config.pair.similarity = Similarity::Clip;
        config.embed.weights = "clip".into();
        check(&config, &store).await.unwrap();
        let fingerprint = made_by(&config, "abc").with("input tables", "x");
        let text = serde_json::to_vec(&fingerprint).unwrap();
        store.create(&format!("{EMBEDDINGS}/stage.json"), text).await.unwrap();
        Known::new("clip", "abc").keep(&store).await.unwrap();
        check(&config, &store).await.unwrap();
        let refused = async |change: fn(&mut Config)| {
            let mut config = config.clone();
            change(&mut config);
            check(&config, &store).await.unwrap_err().to_string()
        };
        let told = told(&config, &store).await.unwrap();
        assert_eq!(
            told,
            "cosines of embeddings of images and descriptions by CLIP (`clip`, sha256 `abc`)"
        );
        let error = refused(|config| config.pair.similarity = Similarity::Endpoint).await;
        assert!(
            error.contains("pair.similarity = \"clip\"") && error.contains("--redo embed"),
            "{error}"
        );
        let error = refused(|config| config.embed.weights = "other".into()).await;
        assert!(error.contains("embed.weights") && error.contains("other"), "{error}");
    }

    /// The name is part of what `export` depends on where benchmarks have vectors.
    #[test]
    fn vectors_are_made_by_what_they_were_in_25d6a2e() {
        let mut config = Config::default();
        config.pair.similarity = Similarity::Clip;
        assert_eq!(made_by(&config, "abc").name(), "1b9d44d828022d34b418b1626867a410");
        config.pair.similarity = Similarity::Endpoint;
        config.embed.images = crate::config::EmbedImages::Infinity;
        config.embed.endpoint.model = "m".into();
        assert_eq!(made_by(&config, "").name(), "7e797877f1b7f3bf25b44655af03412c");
    }
}
