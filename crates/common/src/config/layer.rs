//! One layer of configuration: a table and where it came from.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::env;
use super::keys::Keys;
use super::load::ConfigError;

/// Layer that set a value; part of every error message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A configuration file.
    File(PathBuf),
    /// The configuration that the run directory keeps.
    RunDir,
    /// An environment variable, by name.
    Env(String),
    /// `--set`, or a flag that stands for one.
    Flag(String),
    /// The default; no layer sets the value.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::RunDir => write!(f, "the configuration kept in the run directory"),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Flag(text) => write!(f, "--set {text}"),
            Self::Default => write!(f, "the defaults"),
        }
    }
}

impl Origin {
    /// A dotted key as one writes it here.
    fn spell(&self, key: &str) -> String {
        match self {
            Self::Env(_) => {
                format!("{}{}", env::PREFIX, key.replace('.', env::SEPARATOR).to_uppercase())
            }
            _ => key.to_owned(),
        }
    }
}

/// Values that override those of weaker layers.
pub(super) struct Layer {
    pub(super) origin: Origin,
    pub(super) table: Table,
    /// Names of the past that it uses, each with the present one.
    renamed: Vec<(&'static str, &'static str)>,
}

impl Layer {
    /// Reads a file.
    pub(super) fn file(path: &Path, keys: &Keys) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        Self::text(&text, Origin::File(path.to_owned()), keys)
    }

    /// Reads a whole TOML text.
    pub(super) fn text(text: &str, origin: Origin, keys: &Keys) -> Result<Self, ConfigError> {
        let invalid = |error: toml::de::Error| ConfigError::Invalid {
            origin: origin.clone(),
            problem: error.to_string().trim_end().to_owned(),
        };
        let mut table = text.parse::<Table>().map_err(invalid)?;
        let renamed = keys.history.modernise(&mut table);
        if origin == Origin::RunDir {
            keys.history.complete(&mut table).map_err(invalid)?;
        }
        refuse_unknown(&table, &origin, keys)?;
        // As it was written, for the message to point at, but where that has names of the past.
        match renamed.is_empty() && origin != Origin::RunDir {
            true => (keys.fits)(text),
            false => (keys.fits)(&table.to_string()),
        }
        .map_err(invalid)?;
        Ok(Self { origin, table, renamed })
    }

    /// Reads `section.key=value`.
    pub(super) fn flag(text: &str, keys: &Keys) -> Result<Self, ConfigError> {
        let origin = Origin::Flag(text.to_owned());
        let Some((key, value)) = text.split_once('=') else {
            let problem = "expected section.key=value".to_owned();
            return Err(ConfigError::Invalid { origin, problem });
        };
        Self::assignment(key.trim(), value.trim(), origin, keys)
    }

    /// Reads an environment variable; returns `None` if it sets no configuration key.
    pub(super) fn env(name: &str, value: &str, keys: &Keys) -> Option<Result<Self, ConfigError>> {
        let key = name.strip_prefix(env::PREFIX)?;
        if env::NOT_KEYS.contains(&name) {
            return None;
        }
        let key = key.to_lowercase().replace(env::SEPARATOR, ".");
        Some(Self::assignment(&key, value, Origin::Env(name.to_owned()), keys))
    }

    fn assignment(
        key: &str,
        value: &str,
        origin: Origin,
        keys: &Keys,
    ) -> Result<Self, ConfigError> {
        let invalid = |problem: String| ConfigError::Invalid { origin: origin.clone(), problem };
        let mut probe = format!("{key} = 0")
            .parse::<Table>()
            .map_err(|_| invalid(format!("`{key}` is not a dotted key")))?;
        let renamed = keys.history.modernise(&mut probe);
        refuse_unknown(&probe, &origin, keys)?;
        let path = path_of(&probe);
        let value = parse_value(value, keys.default_of(&path));
        let table = nest(&path, value);
        (keys.fits)(&table.to_string())
            .map_err(|error| invalid(format!("{key}: {}", error.message())))?;
        Ok(Self { origin, table, renamed })
    }

    /// Warns of former names of keys, except in the run directory, which the user does not edit.
    pub(super) fn warn(&self) {
        if self.origin == Origin::RunDir {
            return;
        }
        for (once, key) in &self.renamed {
            let key = self.origin.spell(key);
            tracing::warn!("{}: `{once}` is called {key} now", self.origin);
        }
    }

    /// Returns true if this layer sets a dotted key.
    pub(super) fn sets(&self, key: &str) -> bool {
        let mut parts = key.split('.');
        let first = parts.next().and_then(|part| self.table.get(part));
        parts.try_fold(first, |value, part| Some(value?.get(part))).flatten().is_some()
    }
}

fn refuse_unknown(table: &Table, origin: &Origin, keys: &Keys) -> Result<(), ConfigError> {
    let Some(key) = keys.unknown_in(table) else { return Ok(()) };
    let close = keys.close_to(&key).iter().map(|name| origin.spell(name)).collect();
    Err(ConfigError::UnknownKey { key, origin: origin.clone(), close, listed: keys.listed })
}

/// The keys of a table that holds one value.
fn path_of(table: &Table) -> Vec<String> {
    let mut path = Vec::new();
    let mut next = table.iter().next();
    while let Some((key, value)) = next {
        path.push(key.clone());
        next = value.as_table().and_then(|inner| inner.iter().next());
    }
    path
}

fn nest(path: &[String], value: Value) -> Table {
    let (first, rest) = path.split_first().expect("an assignment has a key");
    let value = if rest.is_empty() { value } else { Value::Table(nest(rest, value)) };
    Table::from_iter([(first.clone(), value)])
}

/// Reads a value as TOML, else as what the default says it should be: shells make quotes a nuisance,
/// so strings need none and a list of strings may be separated by commas.
fn parse_value(raw: &str, default: Option<&Value>) -> Value {
    let parsed = format!("value = {raw}")
        .parse::<Table>()
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"));
    match (parsed, default) {
        (Some(value @ Value::String(_)), Some(Value::String(_))) => value,
        (_, Some(Value::String(_))) => Value::String(raw.to_owned()),
        (Some(value @ Value::Array(_)), _) => value,
        (_, Some(Value::Array(_))) => {
            let items = raw.split(',').map(|item| item.trim().trim_matches('"'));
            let items = items.filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        (Some(value), _) => value,
        (None, _) => Value::String(raw.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn flag(text: &str) -> String {
        Layer::flag(text, &Keys::of::<Config>()).unwrap().table.to_string()
    }

    #[test]
    fn a_flag_is_toml_or_a_bare_string_or_a_comma_list() {
        assert_eq!(flag("crawl.max_depth=3"), "[crawl]\nmax_depth = 3\n");
        assert_eq!(
            flag("crawl.contact=you@example.org"),
            "[crawl]\ncontact = \"you@example.org\"\n"
        );
        assert_eq!(flag("crawl.contact=\"a=b\""), "[crawl]\ncontact = \"a=b\"\n");
        assert_eq!(flag("crawl.contact=12345"), "[crawl]\ncontact = \"12345\"\n");
        let ranges = "[crawl]\nallow_addresses = [\"10.0.0.0/8\", \"127.0.0.0/8\"]\n";
        assert_eq!(flag("crawl.allow_addresses=10.0.0.0/8,127.0.0.0/8"), ranges);
        assert_eq!(flag("crawl.allow_addresses=[\"10.0.0.0/8\", \"127.0.0.0/8\"]"), ranges);
        assert_eq!(flag("crawl.opt_outs="), "[crawl]\nopt_outs = []\n");
        assert_eq!(
            flag("http.resolve.\"a.test\"=127.0.0.1"),
            "[http.resolve]\n\"a.test\" = \"127.0.0.1\"\n"
        );
    }

    #[test]
    fn a_line_break_in_a_value_sets_no_second_key() {
        let keys = Keys::of::<Config>();
        assert!(Layer::flag("crawl.max_depth=3\nx = 4", &keys).is_err());
        assert_eq!(flag("crawl.contact=a\nx = 4"), "[crawl]\ncontact = \"\"\"\na\nx = 4\"\"\"\n");
    }

    #[test]
    fn variables_of_others_are_not_keys() {
        let keys = Keys::of::<Config>();
        assert!(Layer::env("PATH", "/bin", &keys).is_none());
        for name in env::NOT_KEYS {
            assert!(Layer::env(name, "1", &keys).is_none());
        }
        assert!(Layer::env("MAGICLENS_FETCH__MAX_SIDE", "256", &keys).unwrap().is_ok());
    }
}
