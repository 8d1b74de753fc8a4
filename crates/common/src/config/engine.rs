//! `store.engine`: where plans over all of a run are worked on.

use serde::{Deserialize, Serialize};
use url::Url;

/// This process, or executors that it hands plans to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Engine {
    /// `local`.
    #[default]
    Local,
    /// Addresses of executors, `http://HOST:PORT`.
    Executors(Vec<Url>),
}

const LOCAL: &str = "local";

impl TryFrom<String> for Engine {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.trim() == LOCAL {
            return Ok(Self::Local);
        }
        let mut urls = Vec::new();
        for address in text.split(',').map(str::trim) {
            let url = address.parse().ok().filter(is_address);
            let url = url.ok_or_else(|| {
                format!(
                    "{address:?} is no executor: give {LOCAL}, or http://HOST:PORT, separated by \
                     commas"
                )
            })?;
            if urls.contains(&url) {
                return Err(format!("{address} is there twice"));
            }
            urls.push(url);
        }
        Ok(Self::Executors(urls))
    }
}

fn is_address(url: &Url) -> bool {
    url.scheme() == "http"
        && url.has_host()
        && url.port().is_some()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

impl From<Engine> for String {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Local => LOCAL.into(),
            Engine::Executors(urls) => {
                let urls = urls.iter().map(|url| url.as_str().trim_end_matches('/'));
                urls.collect::<Vec<_>>().join(",")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Engine, String> {
        Engine::try_from(text.to_owned())
    }

    #[test]
    fn an_engine_is_written_as_it_is_read() {
        for text in ["local", "http://127.0.0.1:7001", "http://a.example:7001,http://[::1]:7002"] {
            assert_eq!(String::from(read(text).unwrap()), text);
        }
        assert_eq!(
            read(" http://a:7001/ , http://b:7001").unwrap(),
            read("http://a:7001,http://b:7001").unwrap()
        );
    }

    #[test]
    fn what_is_no_executor_is_refused() {
        for text in [
            "",
            "remote",
            "a:7001",
            "http://a",
            "https://a:7001",
            "http://a:7001/path",
            "http://user:secret@a:7001",
            "http://a:7001,",
        ] {
            assert!(read(text).unwrap_err().contains("give local, or http://HOST:PORT"), "{text}");
        }
        assert_eq!(
            read("http://a:7001,http://a:7001/").unwrap_err(),
            "http://a:7001/ is there twice"
        );
    }
}
