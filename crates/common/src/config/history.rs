//! History of the configuration keys since commit 25d6a2e, the first version whose runs are resumed. It
//! keeps runs and paid replies of every version valid under later ones.
//!
//! The keys that a table or a reply depends on are hashed by name and value. A key of the first version
//! is hashed always. A key added later is hashed only where it differs from the default that it was
//! introduced with, so its arrival changes no hash. A renamed key is hashed under its first name.
//!
//! A run directory keeps its whole configuration. A key that is absent from it was added later and takes
//! the default that it was introduced with, whatever the default is today.

use serde_json::Value as Json;
use toml::{Table, Value};

/// The configuration's past.
#[derive(Debug)]
pub struct History {
    /// Every key of the first version at its default of then, as TOML. Never changes.
    pub first: &'static str,
    /// Keys added since, at their present names.
    pub introduced: &'static [Introduced],
    /// Keys that had other names.
    pub renamed: &'static [Renamed],
    /// Removed keys, which are ignored in the configuration that a run keeps. A removed key that was hashed
    /// must still be hashed, as a constant.
    pub removed: &'static [&'static str],
}

/// A key that the first version did not have.
#[derive(Debug)]
pub struct Introduced {
    /// Dotted name.
    pub key: &'static str,
    /// The default that it was introduced with, as TOML. Never changes, whatever the default is today.
    pub default: &'static str,
}

/// A key, or a whole section, that had other names.
#[derive(Debug)]
pub struct Renamed {
    /// The present name, dotted.
    pub key: &'static str,
    /// Former names, oldest first. The key is hashed under the oldest one, and all of them are still read.
    pub once: &'static [&'static str],
}

impl History {
    /// History of [`Config`](super::Config).
    pub const CURRENT: Self = Self {
        first: include_str!("defaults.25d6a2e.toml"),
        introduced: &[],
        renamed: &[],
        removed: &[],
    };

    /// Empty history, for a configuration whose keys never changed.
    pub const NONE: Self = Self { first: "", introduced: &[], renamed: &[], removed: &[] };

    /// Returns a key as it is hashed, under its first name. A key that was added later and has the default
    /// that it was introduced with is not hashed. If the value is a table, the rule applies to each key in it.
    pub fn hashed(&self, key: &str, value: Json) -> Option<(String, Json)> {
        if self.is_introduced_default(key, &value) {
            return None;
        }
        let name = self.first_name(key);
        let Json::Object(section) = value else { return Some((name, value)) };
        let inner = section.into_iter().filter_map(|(inner, value)| {
            let (name, value) = self.hashed(&format!("{key}.{inner}"), value)?;
            // Keys of a map have dots of their own, and no past.
            let stays = name.ends_with(&format!(".{inner}"));
            let last = name.rsplit('.').next().unwrap_or_default();
            Some((if stays { inner } else { last.to_owned() }, value))
        });
        Some((name, Json::Object(inner.collect())))
    }

    /// Returns true if a key was added later and has the default that it was introduced with. The key may
    /// be given by any of its names.
    pub fn is_introduced_default(&self, key: &str, value: &Json) -> bool {
        let is_it = |later: &&Introduced| later.key == key || self.first_name(later.key) == key;
        let later = self.introduced.iter().find(is_it);
        later.is_some_and(|later| serde_json::to_value(later.value()).is_ok_and(|it| it == *value))
    }

    /// The name that a key is hashed under.
    fn first_name(&self, key: &str) -> String {
        let of = |renamed: &Renamed| moved(key, renamed.key, renamed.once.first()?);
        self.renamed.iter().find_map(of).unwrap_or_else(|| key.to_owned())
    }

    /// Renames the former names in a table to the present ones. Where both are set, the present one wins.
    /// Returns each former name that was found, with the present one.
    pub(super) fn modernise(&self, table: &mut Table) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        for Renamed { key, once } in self.renamed {
            for name in *once {
                let Some(value) = take(table, name) else { continue };
                let mut moved = nest(key, value);
                merge(&mut moved, table);
                *table = moved;
                found.push((*name, *key));
            }
        }
        found
    }

    /// Completes the configuration that a run keeps: a missing key takes the default that it was introduced
    /// with.
    pub(super) fn complete(&self, kept: &mut Table) -> Result<(), toml::de::Error> {
        let mut whole: Table = self.first.parse()?;
        self.modernise(&mut whole);
        for later in self.introduced {
            merge(&mut whole, &nest(later.key, later.value()));
        }
        merge(&mut whole, kept);
        for gone in self.removed {
            take(&mut whole, gone);
        }
        *kept = whole;
        Ok(())
    }
}

impl Introduced {
    fn value(&self) -> Value {
        let table = format!("value = {}", self.default).parse::<Table>();
        let value = table.ok().and_then(|mut table| table.remove("value"));
        value.expect("a test parses the default of each key that was introduced")
    }
}

/// A key below or at `from`, by its name below or at `to`.
fn moved(key: &str, from: &str, to: &str) -> Option<String> {
    let rest = key.strip_prefix(from)?;
    (rest.is_empty() || rest.starts_with('.')).then(|| format!("{to}{rest}"))
}

/// Takes a dotted key out of a table, and sections that are empty without it.
fn take(table: &mut Table, key: &str) -> Option<Value> {
    let Some((first, rest)) = key.split_once('.') else { return table.remove(key) };
    let inner = table.get_mut(first)?.as_table_mut()?;
    let value = take(inner, rest)?;
    if inner.is_empty() {
        table.remove(first);
    }
    Some(value)
}

fn nest(key: &str, value: Value) -> Table {
    let (first, value) = match key.split_once('.') {
        Some((first, rest)) => (first, Value::Table(nest(rest, value))),
        None => (key, value),
    };
    Table::from_iter([(first.to_owned(), value)])
}

/// Tables are merged key by key, everything else is replaced.
pub(super) fn merge(base: &mut Table, over: &Table) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            _ => drop(base.insert(key.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests;
