//! Layers of configuration, the strongest last.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::Config;
use super::history::{History, merge};
use super::keys::Keys;
use super::layer::{Layer, Origin};

/// A configuration that cannot be used. Exit code 3.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A key that does not exist.
    #[error("{origin}: unknown key `{key}`{}", offer(.close, .listed))]
    UnknownKey {
        /// Dotted key.
        key: String,
        /// Layer that set the key.
        origin: Origin,
        /// Similar keys that exist, in the spelling of `origin`.
        close: Vec<String>,
        /// Place where all keys are listed.
        listed: &'static str,
    },
    /// Not TOML, or a value of the wrong type.
    #[error("{origin}: {problem}")]
    Invalid {
        /// Layer that is malformed.
        origin: Origin,
        /// The parser's message.
        problem: String,
    },
    /// A value out of its range.
    #[error("{origin}: {key} {problem}")]
    Value {
        /// Dotted key.
        key: &'static str,
        /// The values that would be accepted.
        problem: String,
        /// Layer that set the value.
        origin: Origin,
    },
    /// The file named with `--config` is not there.
    #[error("{}: no such configuration file", .0.display())]
    Missing(PathBuf),
    /// A file that exists but cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Error of the read.
        error: std::io::Error,
    },
}

fn offer(close: &[String], listed: &str) -> String {
    match close {
        [] => format!("; {listed} lists the keys there are"),
        names => format!("; did you mean {}?", names.join(" or ")),
    }
}

/// A value out of its range, before it is known where it was set.
#[derive(Debug, PartialEq, Eq)]
pub struct OutOfRange {
    /// Dotted key.
    pub key: &'static str,
    /// The values that would be accepted.
    pub problem: &'static str,
}

/// Sections of keys, each with a default: what [`Layers`] are merged into. Unknown keys are refused.
pub trait Settings: Default + Serialize + DeserializeOwned {
    /// Place where all keys are listed, as worded in error messages.
    const LISTED: &'static str;

    /// Changes of the keys since older versions.
    const HISTORY: &'static History = &History::NONE;

    /// Refuses values out of range, with the key and what would be right.
    fn check(&self) -> Result<(), OutOfRange>;
}

/// Sources of values, the weakest first. The environment ranks between `file` and `flags`.
///
/// ```
/// use magiclens_common::config::{Config, Layers};
///
/// let flags = |text: &str| Layers { flags: vec![text.to_owned()], ..Layers::default() };
/// let config: Config = flags("crawl.max_depth=3").load_plain()?;
/// assert_eq!(config.crawl.max_depth, 3);
/// assert_eq!(config.fetch, Config::default().fetch);
///
/// let error = flags("crawl.max_dept=3").load_plain::<Config>().unwrap_err();
/// assert!(error.to_string().contains("did you mean crawl.max_depth?"));
/// # anyhow::Ok(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// `pipeline.toml` of the working directory; it need not exist.
    pub found: Option<PathBuf>,
    /// Configuration that the run directory keeps, as TOML. It overrides `pipeline.toml` in the working
    /// directory.
    pub run_dir: Option<String>,
    /// The file named with `--config`; it must exist.
    pub file: Option<PathBuf>,
    /// `section.key=value` of `--set` and of the flags that stand for one.
    pub flags: Vec<String>,
}

impl Layers {
    /// Merges the layers and the environment, and checks ranges.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let variables = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into(), value.to_string_lossy().into()));
        self.load_with(variables)
    }

    /// Merges the layers without the environment: for settings that are to be read off files and
    /// the command line alone.
    pub fn load_plain<C: Settings>(&self) -> Result<C, ConfigError> {
        self.merged(std::iter::empty())
    }

    /// [`Self::load`] with the environment as an argument.
    fn load_with(
        &self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Config, ConfigError> {
        self.merged(variables)
    }

    fn merged<C: Settings>(
        &self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<C, ConfigError> {
        self.merged_by(&Keys::of::<C>(), variables)
    }

    fn merged_by<C: Settings>(
        &self,
        keys: &Keys,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<C, ConfigError> {
        let layers = self.read(variables, keys)?;
        let mut merged = keys.defaults().clone();
        for layer in &layers {
            merge(&mut merged, &layer.table);
        }
        let config: C = merged.try_into().map_err(|error: toml::de::Error| {
            ConfigError::Invalid { origin: Origin::Default, problem: error.to_string() }
        })?;
        config.check().map_err(|OutOfRange { key, problem }| {
            let set = layers.iter().rev().find(|layer| layer.sets(key));
            let origin = set.map_or(Origin::Default, |layer| layer.origin.clone());
            ConfigError::Value { key, problem: problem.to_owned(), origin }
        })?;
        Ok(config)
    }

    /// Reads and checks each layer by itself, so that an error can name it. Weakest first.
    fn read(
        &self,
        variables: impl Iterator<Item = (String, String)>,
        keys: &Keys,
    ) -> Result<Vec<Layer>, ConfigError> {
        let mut layers = Vec::new();
        if let Some(path) = self.found.as_deref().filter(|path| path.is_file()) {
            layers.push(Layer::file(path, keys)?);
        }
        if let Some(kept) = &self.run_dir {
            layers.push(Layer::text(kept, Origin::RunDir, keys)?);
        }
        if let Some(path) = &self.file {
            if !path.exists() {
                return Err(ConfigError::Missing(path.clone()));
            }
            layers.push(Layer::file(path, keys)?);
        }
        for (name, value) in variables {
            layers.extend(Layer::env(&name, &value, keys).transpose()?);
        }
        for flag in &self.flags {
            layers.push(Layer::flag(flag, keys)?);
        }
        layers.iter().for_each(Layer::warn);
        Ok(layers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All layers at once, from files in a folder that lives as long as the call.
    #[derive(Default)]
    struct Case {
        found: Option<&'static str>,
        run_dir: Option<&'static str>,
        file: Option<&'static str>,
        env: Vec<(&'static str, &'static str)>,
        flags: Vec<&'static str>,
    }

    impl Case {
        fn load(&self) -> Result<Config, String> {
            let folder = tempfile::tempdir().unwrap();
            let write = |name: &str, text: Option<&str>| {
                let path = folder.path().join(name);
                text.map(|text| std::fs::write(&path, text).map(|()| path).unwrap())
            };
            let layers = Layers {
                found: write("pipeline.toml", self.found),
                run_dir: self.run_dir.map(String::from),
                file: write("mine.toml", self.file),
                flags: self.flags.iter().map(|flag| (*flag).to_owned()).collect(),
            };
            let env = self.env.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let here = format!("{}/", folder.path().display());
            layers.load_with(env).map_err(|error| error.to_string().replace(&here, ""))
        }

        fn error(&self) -> String {
            self.load().unwrap_err()
        }
    }

    #[test]
    fn each_layer_beats_all_weaker_ones() {
        let mut case = Case::default();
        let depth = |case: &Case| case.load().unwrap().crawl.max_depth;
        assert_eq!(depth(&case), Config::default().crawl.max_depth);
        case.found = Some("crawl.max_depth = 1");
        assert_eq!(depth(&case), 1);
        case.run_dir = Some("crawl.max_depth = 2");
        assert_eq!(depth(&case), 2);
        case.file = Some("crawl.max_depth = 3");
        assert_eq!(depth(&case), 3);
        case.env = vec![("MAGICLENS_CRAWL__MAX_DEPTH", "4")];
        assert_eq!(depth(&case), 4);
        case.flags = vec!["crawl.max_depth=5"];
        assert_eq!(depth(&case), 5);
        case.flags.push("crawl.max_depth=6");
        assert_eq!(depth(&case), 6);
    }

    #[test]
    fn a_layer_changes_only_what_it_sets() {
        let config = Case {
            run_dir: Some("[crawl]\nmax_depth = 2\nsitemaps = false\n[http]\nretries = 7"),
            file: Some("[crawl]\nmax_depth = 3"),
            flags: vec!["http.host_rate=5"],
            ..Case::default()
        }
        .load()
        .unwrap();
        let mut expected = Config::default();
        expected.crawl.max_depth = 3;
        expected.crawl.sitemaps = false;
        expected.http.retries = 7;
        expected.http.host_rate = 5.0;
        assert_eq!(config, expected);
    }

    #[test]
    fn a_configuration_survives_being_kept() {
        let mut config = Config::default();
        config.crawl.allow_addresses = vec!["127.0.0.0/8".parse().unwrap()];
        config.http.resolve.insert("a.test".into(), "127.0.0.1".parse().unwrap());
        let kept = toml::to_string(&config).unwrap();
        let layers = Layers { run_dir: Some(kept), ..Layers::default() };
        assert_eq!(layers.load_with(std::iter::empty()).unwrap(), config);
    }

    #[test]
    fn a_found_file_may_be_absent_and_a_named_one_may_not() {
        let absent = PathBuf::from("no/such/file.toml");
        let found = Layers { found: Some(absent.clone()), ..Layers::default() };
        assert_eq!(found.load_with(std::iter::empty()).unwrap(), Config::default());
        let named = Layers { file: Some(absent), ..Layers::default() };
        assert_eq!(
            named.load_with(std::iter::empty()).unwrap_err().to_string(),
            "no/such/file.toml: no such configuration file"
        );
    }

    #[test]
    fn an_unknown_key_is_named_with_its_source_and_close_names() {
        let case = Case { found: Some("[crawl]\nmax_dept = 3"), ..Case::default() };
        assert_eq!(
            case.error(),
            "pipeline.toml: unknown key `crawl.max_dept`; did you mean crawl.max_depth?"
        );
        let case = Case { run_dir: Some("[crawler]\nmax_depth = 3"), ..Case::default() };
        assert_eq!(
            case.error(),
            "the configuration kept in the run directory: unknown key `crawler`; did you mean crawl?"
        );
        let case = Case { flags: vec!["crawl.host_rate=3"], ..Case::default() };
        assert_eq!(
            case.error(),
            "--set crawl.host_rate=3: unknown key `crawl.host_rate`; did you mean http.host_rate?"
        );
        let case = Case { flags: vec!["qqqqqqqq=red"], ..Case::default() };
        assert_eq!(
            case.error(),
            "--set qqqqqqqq=red: unknown key `qqqqqqqq`; `mine config` lists the keys there are"
        );
        let case = Case { env: vec![("MAGICLENS_CRAWL_MAX_DEPTH", "3")], ..Case::default() };
        assert_eq!(
            case.error(),
            "environment variable MAGICLENS_CRAWL_MAX_DEPTH: unknown key `crawl_max_depth`; \
             did you mean MAGICLENS_CRAWL__MAX_DEPTH?"
        );
    }

    #[test]
    fn a_bad_value_is_named_with_its_source() {
        let case = Case { file: Some("[crawl]\nmax_depth = \"deep\"\n"), ..Case::default() };
        insta::assert_snapshot!(case.error(), @r#"
        mine.toml: TOML parse error at line 2, column 13
          |
        2 | max_depth = "deep"
          |             ^^^^^^
        invalid type: string "deep", expected u32
        "#);
        let case = Case { file: Some("[crawl\n"), ..Case::default() };
        let error = case.error();
        assert!(error.starts_with("mine.toml: TOML parse error at line 1, column 7\n"), "{error}");
        let case = Case { env: vec![("MAGICLENS_CRAWL__MAX_DEPTH", "deep")], ..Case::default() };
        assert_eq!(
            case.error(),
            "environment variable MAGICLENS_CRAWL__MAX_DEPTH: crawl.max_depth: \
             invalid type: string \"deep\", expected u32"
        );
        let case = Case { flags: vec!["crawl.scope=galaxy"], ..Case::default() };
        assert_eq!(
            case.error(),
            "--set crawl.scope=galaxy: crawl.scope: unknown variant `galaxy`, \
             expected one of `host`, `domain`, `prefix`"
        );
        let case = Case { flags: vec!["crawl.max_depth"], ..Case::default() };
        assert_eq!(case.error(), "--set crawl.max_depth: expected section.key=value");
    }

    #[test]
    fn a_value_out_of_range_is_named_with_the_layer_that_set_it() {
        let case = Case {
            found: Some("fetch.jpeg_quality = 50"),
            run_dir: Some("fetch.jpeg_quality = 0"),
            flags: vec!["fetch.max_side=9"],
            ..Case::default()
        };
        assert_eq!(
            case.error(),
            "the configuration kept in the run directory: \
             fetch.jpeg_quality must be between 1 and 100"
        );
        let case = Case { env: vec![("MAGICLENS_HTTP__HOST_RATE", "nan")], ..Case::default() };
        assert_eq!(
            case.error(),
            "environment variable MAGICLENS_HTTP__HOST_RATE: http.host_rate must be above 0"
        );
    }
}
