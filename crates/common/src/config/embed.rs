//! `[embed]`: which model makes the vectors that `pair` compares by.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Endpoint, Pair, Similarity};

/// `[embed]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Embed {
    /// Weights of CLIP: a folder, a file, or `hf://owner/name`. For `pair.similarity = "clip"`.
    pub weights: String,
    /// Images, or texts, of one forward pass or one request.
    pub batch: usize,
    /// How an endpoint is sent images.
    pub images: EmbedImages,
    /// Bytes of images that are on their way to an endpoint, or wait for a turn, at most.
    pub image_bytes: usize,
    /// The endpoint. For `pair.similarity = "endpoint"`.
    pub endpoint: EmbedEndpoint,
}

impl Default for Embed {
    fn default() -> Self {
        Self {
            weights: String::new(),
            batch: 32,
            images: EmbedImages::Infinity,
            image_bytes: 64 << 20,
            endpoint: EmbedEndpoint::default(),
        }
    }
}

impl Embed {
    /// Makes the path of weights absolute, so that a run can be resumed in any working directory. The path
    /// of a missing file is unchanged, for the error message.
    pub fn settle(&mut self) {
        let is_path = !self.weights.is_empty() && !self.weights.contains("://");
        let whole = Path::new(&self.weights).canonicalize().ok().filter(|_| is_path);
        if let Some(whole) = whole.as_deref().and_then(Path::to_str) {
            self.weights = whole.to_owned();
        }
    }

    /// Returns true if images get embeddings.
    pub fn has_images(&self, pair: &Pair) -> bool {
        pair.similarity == Similarity::Clip || self.images != EmbedImages::None
    }
}

/// Form in which images are sent to an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbedImages {
    /// As data URIs in `input`, with `"modality": "image"`.
    #[default]
    Infinity,
    /// As `image_url` parts of `messages`, one image a request, as vLLM takes them.
    Messages,
    /// Not at all: the endpoint knows texts only.
    None,
}

impl EmbedImages {
    /// The name in configuration and fingerprints.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Infinity => "infinity",
            Self::Messages => "messages",
            Self::None => "none",
        }
    }

    /// Images of one request, where `batch` is what is configured.
    pub fn at_once(self, batch: usize) -> usize {
        if self == Self::Messages { 1 } else { batch }
    }
}

/// `[embed.endpoint]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbedEndpoint {
    /// Address up to the version, such as `http://127.0.0.1:7997`; empty = OpenAI's own.
    pub base_url: String,
    /// The model's name there.
    pub model: String,
    /// Name of the environment variable with the key, as in `[describe.endpoint]`.
    pub key_env: String,
    /// Requests in flight, at most.
    pub concurrency: usize,
    /// Requests a minute; 0 = no limit.
    pub requests_per_minute: u32,
    /// Tokens a minute; 0 = no limit.
    pub tokens_per_minute: u32,
    /// Further tries of a call.
    pub retries: usize,
    /// Seconds to connect.
    pub connect_timeout_s: f64,
    /// Seconds for one request.
    pub request_timeout_s: f64,
    /// Seconds for one call with all its tries.
    pub total_timeout_s: f64,
    /// Seconds without any answer after which the run ends.
    pub give_up_s: f64,
}

impl Default for EmbedEndpoint {
    fn default() -> Self {
        let Endpoint { concurrency, retries, connect_timeout_s, .. } = Endpoint::default();
        let Endpoint { request_timeout_s, total_timeout_s, give_up_s, .. } = Endpoint::default();
        Self {
            base_url: String::new(),
            model: String::new(),
            key_env: String::new(),
            concurrency,
            requests_per_minute: 0,
            tokens_per_minute: 0,
            retries,
            connect_timeout_s,
            request_timeout_s,
            total_timeout_s,
            give_up_s,
        }
    }
}

impl EmbedEndpoint {
    /// The same as the client of all endpoints takes it: an embedding has no tokens to answer with.
    pub fn connection(&self) -> Endpoint {
        Endpoint {
            base_url: self.base_url.clone(),
            model: self.model.clone(),
            key_env: self.key_env.clone(),
            concurrency: self.concurrency,
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            retries: self.retries,
            connect_timeout_s: self.connect_timeout_s,
            request_timeout_s: self.request_timeout_s,
            total_timeout_s: self.total_timeout_s,
            give_up_s: self.give_up_s,
            max_tokens: 0,
            ..Endpoint::default()
        }
    }
}
