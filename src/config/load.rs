//! Layers of configuration, the strongest last.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use thiserror::Error;

use super::{Config, env};

/// A configuration that cannot be used. Exit code 3.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A key that does not exist, or a value that does not fit.
    #[error("{0}")]
    Invalid(Box<figment::Error>),
    /// A value out of its range.
    #[error("{key}: {problem}")]
    Value {
        /// Dotted key.
        key: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The file named with `--config` is not there.
    #[error("{}: no such configuration file", .0.display())]
    Missing(PathBuf),
}

/// Where values come from, the weakest first.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// What the run directory keeps, as TOML.
    pub run_dir: Option<String>,
    /// The file named with `--config`, else `pipeline.toml` of the working directory.
    pub file: Option<PathBuf>,
    /// `--set section.key=value` and the flags that stand for one, as TOML fragments.
    pub flags: Vec<String>,
}

impl Layers {
    /// Merges the layers and the environment, and checks ranges.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        if let Some(path) = &self.file {
            if !Path::new(path).is_file() {
                return Err(ConfigError::Missing(path.clone()));
            }
            figment = figment.merge(Toml::file_exact(path));
        }
        if let Some(kept) = &self.run_dir {
            figment = figment.merge(Toml::string(kept));
        }
        let ignore = [env::LOG.trim_start_matches(env::PREFIX)];
        figment = figment.merge(Env::prefixed(env::PREFIX).ignore(&ignore).split(env::SEPARATOR));
        for flag in &self.flags {
            figment = figment.merge(Toml::string(flag));
        }
        let config: Config =
            figment.extract().map_err(|error| ConfigError::Invalid(Box::new(error)))?;
        config.check()?;
        Ok(config)
    }
}
