//! What became of keys since the first version whose runs are resumed, which is commit 25d6a2e: so that
//! runs and paid replies of any version survive every later change.
//!
//! What decides over a table or a reply is hashed by name and value of its keys. A key of the first version
//! is hashed always. A key added later is hashed only where it differs from the default that it was
//! introduced with, so its arrival changes no hash. A renamed key is hashed under its first name.
//!
//! A run directory keeps its whole configuration. What is not in there is a key that came later, and stands
//! at the default that it was introduced with, whatever the default is today.

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
    /// Keys that there were once: passed over in what a run keeps. One that was hashed has to go on being
    /// hashed, as a constant.
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
    /// Its names in the past, the first one first: that is the one it is hashed under. All are still read.
    pub once: &'static [&'static str],
}

impl History {
    /// That of [`Config`](super::Config).
    pub const CURRENT: Self = Self {
        first: include_str!("defaults.25d6a2e.toml"),
        introduced: &[],
        renamed: &[],
        removed: &[],
    };

    /// That of a configuration without one.
    pub const NONE: Self = Self { first: "", introduced: &[], renamed: &[], removed: &[] };

    /// A key as it is hashed: its first name and its value, or nothing where it came later and has the default
    /// that it came with. A table as value is a section, whose keys are treated alike.
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

    /// Whether a key came later and has the default that it came with. The key may have any of its names.
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

    /// Moves what a table sets by names of the past to their present names. Where both are set the present
    /// one counts. Gives each name that was found, with the present one.
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

    /// Makes whole what a run keeps: what it lacks is as it was before there was a key for it.
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
