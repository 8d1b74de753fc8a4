//! The keys that exist, read from the default configuration, and the ones that look alike.

use toml::{Table, Value};

use super::{History, Settings};

/// Least similarity of a name that is suggested for a mistyped one, from 0 to 1.
const ALIKE: f64 = 0.6;

/// Most that the similarity of a suggested name may be below that of the best one.
const WORSE: f64 = 0.1;

/// Number of names suggested for one that does not exist, at most.
const OFFERED: usize = 3;

/// The sections and keys of a configuration, with their defaults and what values they take.
pub(super) struct Keys {
    defaults: Table,
    /// Place where all keys are listed, as worded in error messages.
    pub(super) listed: &'static str,
    /// Returns an error that says why a text is not such a configuration.
    pub(super) fits: fn(&str) -> Result<(), toml::de::Error>,
    /// Changes of the keys since older versions.
    pub(super) history: &'static History,
}

impl Keys {
    /// Reads the keys off the default configuration.
    pub(super) fn of<C: Settings>() -> Self {
        let defaults =
            Table::try_from(C::default()).expect("the default configuration is valid TOML");
        let fits = |text: &str| toml::from_str::<C>(text).map(drop);
        Self { defaults, listed: C::LISTED, fits, history: C::HISTORY }
    }

    /// The default configuration as a table.
    pub(super) fn defaults(&self) -> &Table {
        &self.defaults
    }

    /// The default of a dotted key.
    pub(super) fn default_of(&self, path: &[String]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.defaults.get(first)?, |value, key| value.get(key))
    }

    /// The first key of `table` that does not exist, dotted.
    pub(super) fn unknown_in(&self, table: &Table) -> Option<String> {
        unknown(table, &self.defaults)
    }

    /// Keys that were perhaps meant by `key`, the likeliest first.
    pub(super) fn close_to(&self, key: &str) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.defaults, "", &mut names);
        let mut scored: Vec<(f64, String)> = names
            .into_iter()
            .map(|name| (likeness(key, &name), name))
            .filter(|(score, _)| *score >= ALIKE)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let best = scored.first().map_or(0.0, |(score, _)| *score);
        scored.retain(|(score, _)| *score >= best - WORSE);
        scored.into_iter().take(OFFERED).map(|(_, name)| name).collect()
    }
}

/// A table that is empty by default is a map with keys of the user's choice.
fn unknown(table: &Table, defaults: &Table) -> Option<String> {
    table.iter().find_map(|(key, value)| match (value, defaults.get(key)) {
        (_, None) => Some(key.clone()),
        (Value::Table(inner), Some(Value::Table(known))) if !known.is_empty() => {
            unknown(inner, known).map(|rest| format!("{key}.{rest}"))
        }
        _ => None,
    })
}

/// Every section and key below `table`, dotted.
fn collect(table: &Table, prefix: &str, names: &mut Vec<String>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        if let Value::Table(inner) = value {
            collect(inner, &format!("{name}."), names);
        }
        names.push(name);
    }
}

/// Whole names are compared, and last parts too: the right key in the wrong section is common.
fn likeness(typed: &str, name: &str) -> f64 {
    let last = |dotted: &str| dotted.rsplit('.').next().unwrap_or_default().to_owned();
    let whole = strsim::normalized_damerau_levenshtein(typed, name);
    let part = strsim::normalized_damerau_levenshtein(&last(typed), &last(name));
    whole.max(part * 0.95)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn offers_the_misspelt_key_and_the_key_of_another_section() {
        let keys = Keys::of::<Config>();
        assert_eq!(keys.close_to("crawl.max_dept"), ["crawl.max_depth"]);
        assert_eq!(keys.close_to("crawl.depth")[0], "crawl.max_depth");
        assert_eq!(keys.close_to("crawl.host_rate")[0], "http.host_rate");
        assert_eq!(keys.close_to("max_depth")[0], "crawl.max_depth");
        assert_eq!(keys.close_to("crawler")[0], "crawl");
        assert_eq!(keys.close_to("crawl_max_depth")[0], "crawl.max_depth");
        assert_eq!(keys.close_to("zzz.qqqqqqqq"), Vec::<String>::new());
    }

    #[test]
    fn finds_unknown_keys_and_leaves_maps_alone() {
        let keys = Keys::of::<Config>();
        let unknown = |text: &str| keys.unknown_in(&text.parse().unwrap());
        assert_eq!(unknown("crawl.max_depth = 1\nhttp.retries = 1"), None);
        assert_eq!(unknown("http.resolve.\"a.test\" = \"127.0.0.1\""), None);
        assert_eq!(unknown("crawl.max_dept = 1").as_deref(), Some("crawl.max_dept"));
        assert_eq!(unknown("[crawler]\nmax_depth = 1").as_deref(), Some("crawler"));
    }
}
