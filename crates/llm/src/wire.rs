//! Which wire format an endpoint speaks, and how much of it.

use std::time::SystemTime;

use magiclens_common::config::{EmbedImages, Endpoint};
use reqwest::header::HeaderMap;
use url::Url;

use super::ask::{Answer, Ask, Format};
use super::complaint::Theirs;
use super::openai::Dialect;
use super::trouble::{Parameter, Trouble};
use super::{embeddings, gemini, openai};

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// OpenAI's chat completions, which most servers speak.
    OpenAi,
    /// Google's generateContent.
    Gemini,
    /// OpenAI's embeddings, which embedding servers speak; this is how they are sent images.
    Embeddings(EmbedImages),
}

/// What an endpoint is asked for; it shrinks to what the endpoint knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    format: Format,
    dialect: Dialect,
}

/// What an endpoint does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The response format.
    Format,
    /// A parameter.
    Parameter(Parameter),
}

impl Manner {
    /// Begins with all parameters.
    pub fn new(format: Format) -> Self {
        Self { format, dialect: Dialect::default() }
    }

    /// Asks for less; none where that is not allowed or not possible.
    pub fn without(self, unknown: Unknown, is_format_free: bool) -> Option<Self> {
        match unknown {
            Unknown::Format => {
                let weaker = self.format.weaker().filter(|_| is_format_free)?;
                Some(Self { format: weaker, ..self })
            }
            Unknown::Parameter(parameter) => {
                Some(Self { dialect: self.dialect.without(parameter)?, ..self })
            }
        }
    }
}

impl Trouble {
    /// What the endpoint does not know, if it said so.
    pub fn unknown(&self) -> Option<Unknown> {
        match self {
            Self::Format { .. } => Some(Unknown::Format),
            Self::Dialect { parameter, .. } => Some(Unknown::Parameter(*parameter)),
            _ => None,
        }
    }
}

impl Wire {
    /// The provider's name in configuration and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
            Self::Embeddings(_) => "embeddings",
        }
    }

    /// The provider's own address.
    pub fn public_url(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Embeddings(_) => "https://api.openai.com/v1",
            Self::Gemini => "https://generativelanguage.googleapis.com/v1beta",
        }
    }

    /// The environment variable that usually has the provider's key.
    pub fn usual_key_env(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Embeddings(_) => "OPENAI_API_KEY",
            Self::Gemini => "GEMINI_API_KEY",
        }
    }

    /// Whether a request has several inputs with an answer each.
    pub fn asks_several(self, ask: &Ask) -> bool {
        matches!(self, Self::Embeddings(_)) && ask.user.len() > 1
    }

    /// Where requests go.
    pub fn url(self, base: &str, model: &str) -> Result<String, String> {
        let parsed = Url::parse(base).map_err(|error| format!("{base:?}: {error}"))?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return Err(format!("{base:?} is no http or https address"));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() || parsed.query().is_some()
        {
            return Err("a key belongs into the environment, not into the address".into());
        }
        let path = match self {
            Self::OpenAi => openai::path().to_owned(),
            Self::Embeddings(_) => embeddings::path().to_owned(),
            Self::Gemini => {
                gemini::path(model).ok_or_else(|| format!("{model:?} is no name of a model"))?
            }
        };
        Ok(format!("{}/{path}", base.trim_end_matches('/')))
    }

    /// One request. A further try of the same question has another seed.
    pub fn body(self, ask: &Ask, config: &Endpoint, manner: Manner, attempt: u64) -> Vec<u8> {
        let again;
        let ask = match ask.seed {
            Some(seed) if attempt > 0 => {
                again = Ask { seed: Some(seed.wrapping_add(attempt)), ..ask.clone() };
                &again
            }
            _ => ask,
        };
        match self {
            Self::OpenAi => openai::body(ask, &config.model, manner.format, manner.dialect),
            Self::Gemini => gemini::body(ask, manner.format, &config.safety_settings),
            Self::Embeddings(images) => embeddings::body(&ask.user, &config.model, images),
        }
    }

    /// Reads what came back of a question.
    pub fn read(
        self,
        ask: &Ask,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Answer, Trouble> {
        let theirs = Theirs(&ask.user);
        match self {
            Self::OpenAi => openai::read(status, headers, body, theirs, now),
            Self::Gemini => gemini::read(status, headers, body, theirs, now),
            Self::Embeddings(_) => embeddings::read(status, headers, body, theirs, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_put_together_and_keys_in_them_refused() {
        let url = |base: &str| Wire::OpenAi.url(base, "m");
        let expected = "http://127.0.0.1:8000/v1/chat/completions";
        assert_eq!(url("http://127.0.0.1:8000/v1/").unwrap(), expected);
        assert_eq!(url("http://127.0.0.1:8000/v1").unwrap(), expected);
        for bad in ["", "localhost:8000", "ftp://a/v1", "https://me:key@a/v1", "https://a/v1?key=1"]
        {
            assert!(url(bad).is_err(), "{bad}");
        }
        let vertex = "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/l";
        let url = Wire::Gemini.url(vertex, "publishers/google/models/gemini-x").unwrap();
        assert!(url.ends_with("/l/publishers/google/models/gemini-x:generateContent"), "{url}");
        let url = Wire::Gemini.url(Wire::Gemini.public_url(), "gemini-x").unwrap();
        assert!(url.ends_with("/v1beta/models/gemini-x:generateContent"), "{url}");
        assert!(Wire::Gemini.url(vertex, "../x").is_err());
    }

    #[test]
    fn what_is_not_known_is_left_out_once() {
        let manner = Manner::new(Format::JsonSchema);
        assert_eq!(manner.without(Unknown::Format, false), None);
        let object = manner.without(Unknown::Format, true).unwrap();
        let text = object.without(Unknown::Format, true).unwrap();
        assert_eq!(text.without(Unknown::Format, true), None);
        let seedless = text.without(Unknown::Parameter(Parameter::Seed), false).unwrap();
        assert_eq!(seedless.without(Unknown::Parameter(Parameter::Seed), false), None);
    }
}
