//! The past against today's configuration, and a past of the test's own.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::super::keys::Keys;
use super::super::{Config, Layers, OutOfRange, Settings};
use super::*;

/// Dotted keys; an empty table is a value.
fn keys_of(table: &Table, prefix: &str, into: &mut BTreeSet<String>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            Value::Table(inner) if !inner.is_empty() => {
                keys_of(inner, &format!("{name}."), into);
            }
            _ => drop(into.insert(name)),
        }
    }
}

/// Returns a message for each key that the history does not account for.
fn unaccounted(history: &History, today: &Table) -> Vec<String> {
    let mut known = Table::new();
    history.complete(&mut known).unwrap();
    let (mut expected, mut found) = (BTreeSet::new(), BTreeSet::new());
    keys_of(&known, "", &mut expected);
    keys_of(today, "", &mut found);
    let new = found.difference(&expected).map(|key| {
        format!("{key} is new: add it to `introduced` of History::CURRENT, with its default of now")
    });
    let gone = expected.difference(&found).map(|key| {
        format!(
            "{key} is gone: add it to `renamed` of History::CURRENT as a name of what it is called now, or \
             to `removed`"
        )
    });
    new.chain(gone).collect()
}

#[test]
fn every_key_since_25d6a2e_is_accounted_for() {
    let today = Table::try_from(Config::default()).unwrap();
    assert_eq!(unaccounted(&History::CURRENT, &today), Vec::<String>::new());
    let mut other = today.clone();
    let crawl = other["crawl"].as_table_mut().unwrap();
    let depth = crawl.remove("max_depth").unwrap();
    crawl.insert("depth".into(), depth);
    let [new, gone] = &*unaccounted(&History::CURRENT, &other) else { panic!("two keys") };
    assert!(new.starts_with("crawl.depth is new: add it to `introduced`"), "{new}");
    assert!(gone.starts_with("crawl.max_depth is gone: add it to `renamed`"), "{gone}");
}

/// A default of the past is written as the configuration writes it, so that hashing finds it.
#[test]
fn every_introduced_default_is_a_value_of_its_key() {
    for later in History::CURRENT.introduced {
        let table = nest(later.key, later.value());
        let config: Config = table.try_into().unwrap();
        let written = serde_json::to_value(config).unwrap();
        let written = written.pointer(&format!("/{}", later.key.replace('.', "/"))).unwrap();
        assert!(History::CURRENT.is_introduced_default(later.key, written), "{}", later.key);
    }
}

#[test]
fn the_first_defaults_are_never_edited() {
    let digest = hex::encode(Sha256::digest(History::CURRENT.first));
    assert_eq!(digest, "26446135056511cb4ef229428e0877587ae4d2c9cb98fe84f8346cc29f992016");
}

/// A configuration that has changed: `max_sides` was `crawl.max_side`, then `fetch.side`; `look` came later, and
/// its default is another by now; `fetch.gone` is gone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Changed {
    fetch: ChangedFetch,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ChangedFetch {
    max_sides: u32,
    look: String,
    seed: i64,
}

impl Default for ChangedFetch {
    fn default() -> Self {
        Self { max_sides: 512, look: "new".into(), seed: 5 }
    }
}

impl Settings for Changed {
    const LISTED: &'static str = "the test";
    const HISTORY: &'static History = &History {
        first: "[crawl]\nmax_side = 256\n[fetch]\nseed = 1\ngone = 3\n",
        introduced: &[Introduced { key: "fetch.look", default: "\"old\"" }],
        renamed: &[Renamed { key: "fetch.max_sides", once: &["crawl.max_side", "fetch.side"] }],
        removed: &["fetch.gone"],
    };

    fn check(&self) -> Result<(), OutOfRange> {
        Ok(())
    }
}

fn load(layers: &Layers) -> Result<Changed, String> {
    layers.load_plain::<Changed>().map_err(|error| error.to_string())
}

fn changed(max_sides: u32, look: &str, seed: i64) -> Changed {
    Changed { fetch: ChangedFetch { max_sides, look: look.into(), seed } }
}

#[test]
fn a_run_keeps_the_defaults_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let found = folder.path().join("pipeline.toml");
    std::fs::write(&found, "[fetch]\nlook = \"found\"\nseed = 9\n").unwrap();
    let of = |run_dir: Option<&str>, flags: &[&str]| {
        load(&Layers {
            found: Some(found.clone()),
            run_dir: run_dir.map(str::to_owned),
            file: None,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        })
    };
    assert_eq!(of(None, &[]), Ok(changed(512, "found", 9)), "a new run");
    // Whole, as the first version kept it.
    let first = Changed::HISTORY.first;
    assert_eq!(of(Some(first), &[]), Ok(changed(256, "old", 1)), "nothing that merely lies around");
    // By a version in between, which had other names.
    let between = "[fetch]\nside = 99\nseed = 1\ngone = 3\n";
    assert_eq!(of(Some(between), &[]), Ok(changed(99, "old", 1)));
    assert_eq!(of(Some(between), &["fetch.look=new"]), Ok(changed(99, "new", 1)));
    // As this version keeps it.
    let kept = toml::to_string(&changed(7, "new", 5)).unwrap();
    assert_eq!(of(Some(&kept), &[]), Ok(changed(7, "new", 5)));
}

#[test]
fn a_name_of_the_past_is_read_wherever_a_key_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    std::fs::write(&file, "crawl.max_side = 3\n").unwrap();
    let of_file = Layers { file: Some(file.clone()), ..Layers::default() };
    assert_eq!(load(&of_file), Ok(changed(3, "new", 5)));
    for name in ["crawl.max_side", "fetch.side", "fetch.max_sides"] {
        let flags = vec![format!("{name}=4")];
        let layers = Layers { flags, ..of_file.clone() };
        assert_eq!(load(&layers), Ok(changed(4, "new", 5)), "{name}");
    }
    // The present name counts where a file has both.
    std::fs::write(&file, "crawl.max_side = 3\nfetch.max_sides = 6\n").unwrap();
    assert_eq!(load(&of_file), Ok(changed(6, "new", 5)));
    // A removed key is an error in a flag.
    let gone = Layers { flags: vec!["fetch.gone=3".into()], ..Layers::default() };
    assert!(load(&gone).unwrap_err().contains("unknown key `fetch.gone`"));
    let wrong = Layers { flags: vec!["crawl.max_side=deep".into()], ..Layers::default() };
    assert!(load(&wrong).unwrap_err().contains("expected u32"));
}

#[test]
fn a_run_that_kept_less_than_all_has_the_first_defaults() {
    let keys = Keys::of::<Config>();
    let mut kept: Table = "[instruct]\nmax_instructions = 1\n".parse().unwrap();
    keys.history.complete(&mut kept).unwrap();
    assert_eq!(kept["instruct"]["max_instructions"].as_integer(), Some(1));
    assert_eq!(kept["instruct"]["provider"].as_str(), Some("template"));
    assert_eq!(kept["instruct"]["endpoint"]["seed"].as_integer(), Some(1));
}

const HISTORY: &History = Changed::HISTORY;

#[test]
fn keys_are_hashed_under_their_first_names_and_later_ones_off_their_first_defaults() {
    let hashed = |key: &str, value| HISTORY.hashed(key, value);
    let some = |key: &str, value| Some((key.to_owned(), value));
    assert_eq!(hashed("fetch.max_sides", json!(3)), some("crawl.max_side", json!(3)));
    assert_eq!(
        hashed("fetch.seed", json!(1)),
        some("fetch.seed", json!(1)),
        "at its default or not"
    );
    assert_eq!(hashed("fetch.look", json!("old")), None);
    assert_eq!(hashed("fetch.look", json!("new")), some("fetch.look", json!("new")));
    assert_eq!(
        hashed("fetch", json!({ "look": "old", "seed": 1, "a.b": 2, "max_sides": 3 })),
        some("fetch", json!({ "seed": 1, "a.b": 2, "max_side": 3 }))
    );
}

#[test]
fn a_section_is_renamed_as_a_whole() {
    let history = History {
        introduced: &[Introduced { key: "caption.tone", default: "0" }],
        renamed: &[Renamed { key: "caption", once: &["describe"] }],
        ..History::NONE
    };
    let some = |key: &str, value| Some((key.to_owned(), value));
    assert_eq!(history.hashed("caption.model", json!("m")), some("describe.model", json!("m")));
    assert_eq!(history.hashed("captions.model", json!(1)), some("captions.model", json!(1)));
    assert_eq!(history.hashed("caption.tone", json!(0)), None);
    assert!(history.is_introduced_default("describe.tone", &json!(0)), "by its first name");
    let mut table: Table = "[describe]\nmodel = \"m\"\n[caption]\ntone = 2\n".parse().unwrap();
    assert_eq!(history.modernise(&mut table), [("describe", "caption")]);
    assert_eq!(table, "[caption]\nmodel = \"m\"\ntone = 2\n".parse().unwrap());
}
