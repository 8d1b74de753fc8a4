//! Fingerprint of a table: everything that its content depends on, so that a run never mixes two
//! configurations.

use std::collections::BTreeMap;

use magiclens_common::config::History;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::manifest::hashed_text;
use super::{FORMAT_VERSION, Manifest, Store, StoreError};

/// The key of the table format's version.
const FORMAT: &str = "table format";

/// The version that is part of names: those of old runs hold under every later version.
const FIRST_FORMAT: u32 = 1;

/// Configuration keys, prompts, format version and input manifests of one table. Callers leave out keys
/// that change only throughput. [`History`] decides under which name a key is included and which keys are
/// omitted, so that a later version computes the same fingerprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    keys: BTreeMap<String, Value>,
}

/// The first key on which two fingerprints differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Dotted key, or `input tables`.
    pub key: String,
    /// Value that the committed parts were made with.
    pub committed: Value,
    /// Value of the present configuration.
    pub wanted: Value,
}

impl Mismatch {
    /// Returns true if a later version made the parts, in a format that this version does not know.
    pub fn is_of_later_version(&self) -> bool {
        self.key == FORMAT
    }
}

impl Fingerprint {
    /// Creates a fingerprint that depends on the table format only.
    pub fn new() -> Self {
        let keys = BTreeMap::from([(FORMAT.into(), FORMAT_VERSION.into())]);
        Self { keys }
    }

    /// Adds one key.
    pub fn with(self, key: &str, value: impl Into<Value>) -> Self {
        self.with_as(&History::CURRENT, key, value.into())
    }

    fn with_as(mut self, history: &History, key: &str, value: Value) -> Self {
        self.keys.extend(history.hashed(key, value));
        self
    }

    /// Adds the keys of one configuration section, except the named ones.
    pub fn with_section(self, name: &str, section: &impl Serialize, except: &[&str]) -> Self {
        self.with_section_as(&History::CURRENT, name, section, except)
    }

    fn with_section_as(
        self,
        history: &History,
        name: &str,
        section: &impl Serialize,
        except: &[&str],
    ) -> Self {
        let section = serde_json::to_value(section).expect("configuration is plain data");
        let keys = section.as_object().into_iter().flatten();
        keys.filter(|(key, _)| !except.contains(&key.as_str())).fold(self, |all, (key, value)| {
            all.with_as(history, &format!("{name}.{key}"), value.clone())
        })
    }

    /// Adds the committed parts that are read. Sizes are left out: taking content out of a part
    /// changes them, and what was made from it stays valid.
    pub fn with_inputs(self, manifests: &[Manifest]) -> Self {
        self.with("input tables", hex::encode(Sha256::digest(hashed_text(manifests))))
    }

    /// Reads the fingerprint that a table was begun with; `None` if the table was not begun.
    pub async fn of_table(store: &Store, table: &str) -> Result<Option<Self>, StoreError> {
        let path = format!("{table}/stage.json");
        let text = store.read(&path).await?;
        let read = text.map(|text| serde_json::from_slice(&text)).transpose();
        read.map_err(|error| StoreError::corrupt(path, error))
    }

    /// Returns the hash of all keys, which the manifests of a table hold.
    pub fn hash(&self) -> String {
        let text = serde_json::to_string(&self.keys).expect("keys are plain data");
        hex::encode(&Sha256::digest(text)[..16])
    }

    /// Returns the hash of all keys but the version of the table format, for use inside another fingerprint.
    pub fn name(&self) -> String {
        let mut named = self.clone();
        named.keys.insert(FORMAT.into(), FIRST_FORMAT.into());
        named.hash()
    }

    /// Returns the version of the table format if it is older than [`FORMAT_VERSION`].
    pub(super) fn older_format(&self) -> Option<u64> {
        let format = self.keys.get(FORMAT).and_then(Value::as_u64);
        format.filter(|format| *format < u64::from(FORMAT_VERSION))
    }

    /// Returns the hash for the manifests of a table that was begun with `committed`, from which this
    /// fingerprint does not differ. If both have the same keys, it is computed from the present values, since
    /// numbers that were written and read again may be formatted differently.
    pub(super) fn hash_begun_with(&self, committed: &Self) -> String {
        let read = self.keys.iter().map(|(key, value)| (key.clone(), as_read(value)));
        let is_same = read.collect::<BTreeMap<_, _>>() == committed.keys;
        if is_same { self.hash() } else { committed.hash() }
    }

    /// Returns the first difference to the committed fingerprint. A key that was added later and has the
    /// default that it was introduced with equals an absent key. An older table format is no difference:
    /// columns that it lacks are null.
    pub fn differs_from(&self, committed: &Self) -> Option<Mismatch> {
        let names = committed.keys.keys().chain(self.keys.keys());
        self.differs_in(&History::CURRENT, names, committed)
    }

    /// Returns the first difference among this fingerprint's own keys; `committed` may have more.
    pub fn differs_within(&self, committed: &Self) -> Option<Mismatch> {
        self.differs_in(&History::CURRENT, self.keys.keys(), committed)
    }

    fn differs_in<'a>(
        &self,
        history: &History,
        mut names: impl Iterator<Item = &'a String>,
        committed: &Self,
    ) -> Option<Mismatch> {
        names.find_map(|key| {
            let (then, now) = (committed.keys.get(key), self.keys.get(key));
            let is_same = match (then, now) {
                (Some(then), Some(now)) if key == FORMAT => then.as_u64() <= now.as_u64(),
                (Some(then), Some(now)) => *then == as_read(now),
                (Some(value), None) | (None, Some(value)) => {
                    history.is_introduced_default(key, value)
                }
                (None, None) => true,
            };
            let value = |value: Option<&Value>| value.cloned().unwrap_or_default();
            let mismatch =
                || Mismatch { key: key.clone(), committed: value(then), wanted: value(now) };
            (!is_same).then(mismatch)
        })
    }
}

/// Returns a value after writing and reading it, for comparison with a committed value.
fn as_read(value: &Value) -> Value {
    serde_json::from_str(&value.to_string()).unwrap_or_default()
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use magiclens_common::config::{Introduced, Renamed};
    use magiclens_core::Reason;
    use serde_json::json;

    use super::super::{Counts, FileInfo};
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

    #[test]
    fn a_list_of_inputs_is_hashed_as_in_25d6a2e() {
        let file = |rows| FileInfo { path: "pages/part-00003-ab.parquet".into(), rows, bytes: 77 };
        let mut counts = Counts { input: 5, output: 2, ..Counts::default() };
        for reason in [Reason::Ad, Reason::Ad, Reason::Timeout] {
            counts.reject(reason);
        }
        let part = Manifest {
            table: "pages".into(),
            part: 3,
            files: [("rows".into(), file(2)), ("rejects".into(), file(3))].into(),
            counts,
            passed_over: [("seen".into(), 4)].into(),
            fingerprint: "f".into(),
            software: "magiclens 0.1.0".into(),
        };
        let plain = Manifest { passed_over: BTreeMap::new(), ..part.clone() };
        let text = concat!(
            r#"[{"table":"pages","part":3,"files":{"#,
            r#""rejects":{"path":"pages/part-00003-ab.parquet","rows":3,"bytes":0},"#,
            r#""rows":{"path":"pages/part-00003-ab.parquet","rows":2,"bytes":0}},"#,
            r#""counts":{"input":5,"output":2,"rejected":{"ad":2},"failed":{"timeout":1}},"#,
            r#""passed_over":{"seen":4},"fingerprint":"f","software":"magiclens 0.1.0"},"#,
            r#"{"table":"pages","part":3,"files":{"#,
            r#""rejects":{"path":"pages/part-00003-ab.parquet","rows":3,"bytes":0},"#,
            r#""rows":{"path":"pages/part-00003-ab.parquet","rows":2,"bytes":0}},"#,
            r#""counts":{"input":5,"output":2,"rejected":{"ad":2},"failed":{"timeout":1}},"#,
            r#""fingerprint":"f","software":"magiclens 0.1.0"}]"#,
        );
        let expected = Fingerprint::new().with("input tables", hex::encode(Sha256::digest(text)));
        assert_eq!(Fingerprint::new().with_inputs(&[part, plain]), expected);
        assert_eq!(Fingerprint::new().with_inputs(&[]).name(), "b5c77d246ec324b0926aeeaf53c9e202");
    }

    const LATER: History = History {
        introduced: &[Introduced { key: "export.shape", default: "\"square\"" }],
        renamed: &[Renamed { key: "crawl.depth", once: &["crawl.max_depth"] }],
        ..History::NONE
    };

    fn with(all: Fingerprint, key: &str, value: impl Into<Value>) -> Fingerprint {
        all.with_as(&LATER, key, value.into())
    }

    #[test]
    fn a_key_that_came_later_counts_where_it_differs_from_the_default_it_came_with() {
        let before = Fingerprint::new().with("crawl.max_depth", 3);
        let section = |shape| json!({ "shape": shape, "gather_bytes": 1 });
        let now = |depth: u32, shape| {
            let now = with(Fingerprint::new(), "crawl.depth", depth);
            now.with_section_as(&LATER, "export", &section(shape), &["gather_bytes"])
        };
        assert_eq!(now(3, "square"), before);
        assert_eq!(now(3, "square").hash(), before.hash());
        let differs = |now: &Fingerprint, then: &Fingerprint| {
            let names = then.keys.keys().chain(now.keys.keys());
            now.differs_in(&LATER, names, then).map(|mismatch| mismatch.key)
        };
        assert_eq!(differs(&now(4, "square"), &before), Some("crawl.max_depth".into()));
        assert_eq!(differs(&now(3, "round"), &before), Some("export.shape".into()));
        assert_eq!(differs(&before, &now(3, "round")), Some("export.shape".into()));
        // As if some version in between had hashed it always.
        let mut eager = before.clone();
        eager.keys.insert("export.shape".into(), "square".into());
        assert_eq!(differs(&before, &eager), None);
        assert_eq!(differs(&eager, &before), None);
    }

    #[test]
    fn an_older_table_format_is_no_difference_and_a_later_one_is() {
        let at = |version: u32| {
            let mut of = Fingerprint::new().with("a", 1);
            of.keys.insert(FORMAT.into(), version.into());
            of
        };
        assert_eq!(at(2).differs_from(&at(1)), None);
        let mismatch = at(1).differs_from(&at(2)).unwrap();
        assert!(mismatch.is_of_later_version(), "{mismatch:?}");
        assert_ne!(at(2).hash(), at(1).hash());
        assert_eq!(at(2).name(), at(1).hash());
    }

    #[test]
    fn a_number_is_the_same_before_it_is_written_and_after_it_is_read() {
        for number in [0.1 + 0.2, 1e300, -0.0, 5e-324, 123_456_789.123_456_79] {
            let now = Fingerprint::new().with("a", number);
            let text = serde_json::to_vec_pretty(&now).unwrap();
            let then: Fingerprint = serde_json::from_slice(&text).unwrap();
            assert_eq!(now.differs_from(&then), None, "{number}");
        }
    }
}
