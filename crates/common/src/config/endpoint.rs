//! `[describe]`, `[instruct]`, `[budget]`: which model is asked, how fast, and for how much money.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use magiclens_core::{Flag, Safety};

/// Provider of descriptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DescribeProvider {
    /// The page's own words; no model.
    #[default]
    PageText,
    /// An OpenAI-compatible chat endpoint.
    Openai,
    /// Gemini's or Vertex AI's generateContent.
    Gemini,
    /// Files in OpenAI's Batch format, answered elsewhere.
    Batch,
}

/// Provider of instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstructProvider {
    /// Templates over the captions; no model.
    #[default]
    Template,
    /// An OpenAI-compatible chat endpoint.
    Openai,
    /// Gemini's or Vertex AI's generateContent.
    Gemini,
    /// Files in OpenAI's Batch format, answered elsewhere.
    Batch,
}

/// Field of a request that asks for the schema of the reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseFormat {
    /// `json_schema`, and the next weaker one where the endpoint does not know it.
    #[default]
    Auto,
    /// Structured output by JSON Schema.
    JsonSchema,
    /// Any JSON object; the schema is in the prompt.
    JsonObject,
    /// Plain text; the schema is in the prompt.
    Text,
}

/// `[describe.endpoint]` and `[instruct.endpoint]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Endpoint {
    /// Address up to the version, such as `http://127.0.0.1:8000/v1`; empty = the provider's own.
    pub base_url: String,
    /// The model's name there.
    pub model: String,
    /// Name of the environment variable with the key; empty = the provider's usual one for the
    /// provider's own address, and no key for any other.
    pub key_env: String,
    /// Whether Gemini's key is a bearer token, as Vertex AI takes it.
    pub bearer: bool,
    /// How the answer's shape is asked for.
    pub response_format: ResponseFormat,
    /// Longest answer in tokens.
    pub max_tokens: u32,
    /// Sampling temperature.
    pub temperature: f64,
    /// Seed sent along; negative = none.
    pub seed: i64,
    /// Gemini's safety settings: category → threshold.
    pub safety_settings: BTreeMap<String, String>,
    /// Requests in flight, at most; fewer while the endpoint says that it is too many.
    pub concurrency: usize,
    /// Requests a minute; 0 = no limit.
    pub requests_per_minute: u32,
    /// Tokens a minute, in and out; 0 = no limit.
    pub tokens_per_minute: u32,
    /// Further tries of a call after errors that may pass, and after answers that are no such JSON.
    pub retries: usize,
    /// Seconds to connect.
    pub connect_timeout_s: f64,
    /// Seconds for one request.
    pub request_timeout_s: f64,
    /// Seconds for one call with all its tries; waiting for a throttled endpoint included.
    pub total_timeout_s: f64,
    /// Seconds without any answer after which the run ends, to be gone on with later.
    pub give_up_s: f64,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            base_url: String::new(),
            model: String::new(),
            key_env: String::new(),
            bearer: false,
            response_format: ResponseFormat::Auto,
            max_tokens: 1024,
            temperature: 0.7,
            seed: 1,
            safety_settings: BTreeMap::new(),
            concurrency: 16,
            requests_per_minute: 0,
            tokens_per_minute: 0,
            retries: 4,
            connect_timeout_s: 10.0,
            request_timeout_s: 120.0,
            total_timeout_s: 1800.0,
            give_up_s: 300.0,
        }
    }
}

impl Endpoint {
    /// Keys of how, not of what: they change no answer.
    pub const THROUGHPUT_KEYS: [&str; 11] = [
        "base_url",
        "key_env",
        "bearer",
        "concurrency",
        "requests_per_minute",
        "tokens_per_minute",
        "retries",
        "connect_timeout_s",
        "request_timeout_s",
        "total_timeout_s",
        "give_up_s",
    ];
}

/// `[describe]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Describe {
    /// Who says what an image shows.
    pub provider: DescribeProvider,
    /// File of the prompt, or `built-in:describe.v1`; empty = that one.
    pub prompt: PathBuf,
    /// What makes an image unfit by what it shows.
    pub reject_safety: Vec<Safety>,
    /// What makes an image unfit by its kind.
    pub reject_flags: Vec<Flag>,
    /// Requests of one batch file, at most.
    pub batch_requests: usize,
    /// Bytes of one batch file, at most.
    pub batch_bytes: usize,
    /// Address below which batch files name images, which are written to a folder beside them; empty =
    /// images are in the batch files.
    pub batch_image_base_url: String,
    /// Name of the environment variable with what follows an image's address after `?`, such as a
    /// signature; empty = nothing does.
    pub batch_image_query_env: String,
    /// The model that is asked.
    pub endpoint: Endpoint,
}

impl Default for Describe {
    fn default() -> Self {
        Self {
            provider: DescribeProvider::PageText,
            prompt: PathBuf::new(),
            reject_safety: vec![Safety::Sexual, Safety::Violent, Safety::Personal, Safety::Other],
            reject_flags: vec![Flag::Advertisement, Flag::Placeholder],
            batch_requests: 50_000,
            batch_bytes: 200_000_000,
            batch_image_base_url: String::new(),
            batch_image_query_env: String::new(),
            endpoint: Endpoint { max_tokens: 512, temperature: 0.2, ..Endpoint::default() },
        }
    }
}

/// `[instruct]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Instruct {
    /// Who writes instructions.
    pub provider: InstructProvider,
    /// File of the prompt, or `built-in:instruct.v1`; empty = that one.
    pub prompt: PathBuf,
    /// File of the demonstrations, or `built-in:instruct.v1.demonstrations`; empty = those.
    pub demonstrations: PathBuf,
    /// Instructions of one pair, at most.
    pub max_instructions: usize,
    /// Language they are written in (ISO 639).
    pub language: String,
    /// Requests of one batch file, at most.
    pub batch_requests: usize,
    /// Bytes of one batch file, at most.
    pub batch_bytes: usize,
    /// The model that is asked.
    pub endpoint: Endpoint,
}

impl Default for Instruct {
    fn default() -> Self {
        Self {
            provider: InstructProvider::Template,
            prompt: PathBuf::new(),
            demonstrations: PathBuf::new(),
            max_instructions: 2,
            language: "en".into(),
            batch_requests: 50_000,
            batch_bytes: 200_000_000,
            endpoint: Endpoint::default(),
        }
    }
}

/// Prices of a million tokens of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    /// Read by the model.
    pub input: f64,
    /// Written by it.
    pub output: f64,
}

/// `[budget]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Most that a run may cost, in the unit of `prices`; 0 = no cap.
    pub max_cost: f64,
    /// Most tokens that a run may use, in and out; 0 = no cap.
    pub max_tokens: u64,
    /// Price of a million tokens by model. One that is not listed costs nothing, and is not asked where
    /// `max_cost` is set.
    pub prices: BTreeMap<String, Price>,
}
