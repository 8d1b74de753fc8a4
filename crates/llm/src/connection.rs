//! The connection to one endpoint: address, key, pool. Never a proxy, never a redirect, and the key in no
//! text.

use std::time::{Duration, SystemTime};

use magiclens_common::config::Endpoint;
use magiclens_common::telemetry::within;
use magiclens_core::Reason;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::ask::{Answer, Ask, Usage};
use super::trouble::{Trouble, clean};
use super::wire::Wire;

/// Longest answer that is read, in bytes.
const MAX_BODY: usize = 8 << 20;
/// Idle connections are dropped after this long: before most servers drop them.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// A pool of connections with what goes into each request.
pub struct Connection {
    wire: Wire,
    url: String,
    http: reqwest::Client,
    key: Option<SecretString>,
    limit: Duration,
}

/// One request that was sent.
pub enum Sent {
    /// It was answered.
    Answer(Answer),
    /// It was not, and what to count that as.
    Trouble(Trouble, Reason),
}

impl Sent {
    /// What it took; what says nothing of tokens and was answered is counted as it was estimated.
    pub fn usage(&self, estimate: Usage) -> Option<Usage> {
        match self {
            Self::Answer(answer) => Some(answer.usage().unwrap_or(estimate)),
            Self::Trouble(Trouble::Broken { usage, .. }, _) => *usage,
            Self::Trouble(..) => None,
        }
    }
}

impl Connection {
    /// Reads the key from the environment; sends nothing. An error names its key of the configuration.
    pub fn open(wire: Wire, config: &Endpoint) -> Result<Self, (&'static str, String)> {
        let base = match config.base_url.as_str() {
            "" => wire.public_url(),
            url => url,
        };
        let url = wire.url(base, &config.model).map_err(|problem| ("base_url", problem))?;
        let key = key(wire, config, base).map_err(|problem| ("key_env", problem))?;
        let http = connector(wire, config, key.as_ref()).map_err(|problem| ("key_env", problem))?;
        let limit = Duration::from_secs_f64(config.request_timeout_s);
        Ok(Self { wire, url, http, key, limit })
    }

    /// Where requests go.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether a key is sent.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Sends one request and reads the response, within the time limit of one attempt.
    pub async fn exchange(&self, ask: &Ask, body: Vec<u8>) -> Sent {
        within(self.limit, self.exchange_untimed(ask, body)).await.unwrap_or_else(|_| {
            let detail = format!("no answer within {:?}", self.limit);
            Sent::Trouble(Trouble::Broken { detail, usage: None }, Reason::Timeout)
        })
    }

    async fn exchange_untimed(&self, ask: &Ask, body: Vec<u8>) -> Sent {
        let broken = |detail: String, reason| {
            Sent::Trouble(Trouble::Broken { detail: clean(&detail), usage: None }, reason)
        };
        let response = match magiclens_fetch::send(self.http.post(&self.url).body(body)).await {
            Ok(response) => response,
            Err(error) => {
                let reason = match &error {
                    error if error.is_timeout() => Reason::Timeout,
                    error if error.is_connect() => Reason::ConnectError,
                    _ => Reason::BodyBroken,
                };
                return broken(said(error.without_url()), reason);
            }
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        match whole(response).await {
            Ok(body) => {
                let reason = match status {
                    200 | 500 => Reason::ReplyUnusable,
                    _ => Reason::HttpServerError,
                };
                match self.wire.read(ask, status, &headers, &body, SystemTime::now()) {
                    Ok(answer) => Sent::Answer(answer),
                    Err(trouble) => Sent::Trouble(trouble, reason),
                }
            }
            // Asked again, it would be as long again.
            Err(Unread::TooLong) => {
                let detail = format!("an answer of more than {MAX_BODY} bytes");
                Sent::Trouble(Trouble::Skip { refused: false, detail }, Reason::HttpClientError)
            }
            Err(Unread::Broken(detail)) => broken(detail, Reason::BodyBroken),
        }
    }

    /// A key is nobody's to read, whoever repeats it.
    pub fn mask(&self, text: String) -> String {
        match self.key.as_ref().map(ExposeSecret::expose_secret) {
            Some(key) if text.contains(key) => text.replace(key, "***"),
            _ => text,
        }
    }

    /// What may be said of a server's words.
    pub fn redact(&self, detail: &str) -> String {
        self.mask(clean(&self.mask(detail.to_owned())))
    }
}

fn key(wire: Wire, config: &Endpoint, base: &str) -> Result<Option<SecretString>, String> {
    let name = match config.key_env.as_str() {
        "" if base == wire.public_url() => wire.usual_key_env(),
        "" => return Ok(None),
        name => name,
    };
    match std::env::var(name) {
        Ok(key) if !key.trim().is_empty() => Ok(Some(key.trim().to_owned().into())),
        _ => Err(format!("the environment variable {name} is not set")),
    }
}

fn connector(
    wire: Wire,
    config: &Endpoint,
    key: Option<&SecretString>,
) -> Result<reqwest::Client, String> {
    magiclens_fetch::install_tls();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = key {
        let is_bearer = config.bearer || wire != Wire::Gemini;
        let (name, value) = if is_bearer {
            (AUTHORIZATION, format!("Bearer {}", key.expose_secret()))
        } else {
            (HeaderName::from_static("x-goog-api-key"), key.expose_secret().to_owned())
        };
        let value = HeaderValue::from_str(&value);
        let mut value = value.map_err(|_| "the key has characters no header can carry")?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    reqwest::Client::builder()
        .user_agent(concat!("magiclens/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs_f64(config.connect_timeout_s))
        .pool_idle_timeout(POOL_IDLE)
        .tcp_keepalive(Duration::from_secs(30))
        .build()
        .map_err(|error| said(error.without_url()))
}

/// Why there is no body.
enum Unread {
    TooLong,
    Broken(String),
}

/// The body, up to a cap.
async fn whole(mut response: reqwest::Response) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_BODY => body.extend(chunk),
            Ok(Some(_)) => return Err(Unread::TooLong),
            Err(error) => return Err(Unread::Broken(said(error.without_url()))),
        }
    }
}

/// An error with its causes: reqwest's own text names none.
fn said(error: reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
