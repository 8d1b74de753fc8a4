//! What a table's content depends on, so that a run never mixes two configurations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{FORMAT_VERSION, Manifest, Store, StoreError};

/// Configuration keys, prompts, format version and input manifests of one table. Keys that change
/// only throughput are left out by whoever builds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    keys: BTreeMap<String, Value>,
}

/// The first key on which two fingerprints differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Dotted key, or `input tables`.
    pub key: String,
    /// What the committed parts were made with.
    pub committed: Value,
    /// What is asked for now.
    pub wanted: Value,
}

impl Fingerprint {
    /// One that depends on the table format only.
    pub fn new() -> Self {
        let keys = BTreeMap::from([("table format".into(), FORMAT_VERSION.into())]);
        Self { keys }
    }

    /// Adds one key.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.keys.insert(key.into(), value.into());
        self
    }

    /// Adds the keys of one configuration section, except the named ones.
    pub fn with_section(mut self, name: &str, section: &impl Serialize, except: &[&str]) -> Self {
        let section = serde_json::to_value(section).expect("configuration is plain data");
        for (key, value) in section.as_object().into_iter().flatten() {
            if !except.contains(&key.as_str()) {
                self.keys.insert(format!("{name}.{key}"), value.clone());
            }
        }
        self
    }

    /// Adds the committed parts that are read. Sizes are left out: taking content out of a part
    /// changes them, and what was made from it stays valid.
    pub fn with_inputs(self, manifests: &[Manifest]) -> Self {
        let mut manifests = manifests.to_vec();
        let files = manifests.iter_mut().flat_map(|manifest| manifest.files.values_mut());
        files.for_each(|file| file.bytes = 0);
        let text = serde_json::to_string(&manifests).expect("manifests are plain data");
        self.with("input tables", hex::encode(Sha256::digest(text)))
    }

    /// What a table was begun with, if it was.
    pub async fn of_table(store: &Store, table: &str) -> Result<Option<Self>, StoreError> {
        let path = format!("{table}/stage.json");
        let text = store.read(&path).await?;
        let read = text.map(|text| serde_json::from_slice(&text)).transpose();
        read.map_err(|error| StoreError::corrupt(path, error))
    }

    /// A short name for all of it.
    pub fn hash(&self) -> String {
        let text = serde_json::to_string(&self.keys).expect("keys are plain data");
        hex::encode(&Sha256::digest(text)[..16])
    }

    /// The first difference to what was committed, if any.
    pub fn differs_from(&self, committed: &Self) -> Option<Mismatch> {
        self.differs_in(committed.keys.keys().chain(self.keys.keys()), committed)
    }

    /// The first of its own keys that was committed otherwise, if any: there may be more keys than these.
    pub fn differs_within(&self, committed: &Self) -> Option<Mismatch> {
        self.differs_in(self.keys.keys(), committed)
    }

    fn differs_in<'a>(
        &self,
        mut names: impl Iterator<Item = &'a String>,
        committed: &Self,
    ) -> Option<Mismatch> {
        let value = |keys: &BTreeMap<String, Value>, key: &str| {
            keys.get(key).cloned().unwrap_or(Value::Null)
        };
        let pair = |key: &String| Mismatch {
            key: key.clone(),
            committed: value(&committed.keys, key),
            wanted: value(&self.keys, key),
        };
        names.find_map(|key| Some(pair(key)).filter(|pair| pair.committed != pair.wanted))
    }
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_its_key() {
        let committed = Fingerprint::new().with("crawl.max_depth", 3);
        let wanted = Fingerprint::new().with("crawl.max_depth", 4);
        let mismatch = wanted.differs_from(&committed).unwrap();
        assert_eq!(mismatch.key, "crawl.max_depth");
        assert_eq!((mismatch.committed, mismatch.wanted), (3.into(), 4.into()));
        assert_ne!(wanted.hash(), committed.hash());
        assert_eq!(committed.differs_from(&committed.clone()), None);
    }

    #[test]
    fn a_key_only_one_side_has_is_a_difference() {
        let committed = Fingerprint::new().with("a", 1);
        let key = |f: &Fingerprint, g: &Fingerprint| f.differs_from(g).map(|m| m.key);
        assert_eq!(key(&Fingerprint::new(), &committed), Some("a".into()));
        assert_eq!(key(&committed, &Fingerprint::new()), Some("a".into()));
        assert_eq!(Fingerprint::new().differs_within(&committed), None, "only its own keys count");
        assert!(committed.differs_within(&Fingerprint::new()).is_some());
    }
}
