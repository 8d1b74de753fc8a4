//! Error bodies as the servers send them, and what each means.

use std::time::SystemTime;

use reqwest::header::HeaderMap;

use super::super::complaint::Theirs;
use super::super::trouble::{Parameter, Trouble};
use super::read;

/// What it means, the status, the body.
const BODIES: [(&str, u16, &str); 24] = [
    // OpenAI.
    (
        "max_tokens",
        400,
        r#"{"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this
            model. Use 'max_completion_tokens' instead.", "type": "invalid_request_error",
            "param": "max_tokens", "code": "unsupported_parameter"}}"#,
    ),
    (
        "temperature",
        400,
        r#"{"error": {"message": "Unsupported value: 'temperature' does not support 0.2 with this
            model. Only the default (1) value is supported.", "type": "invalid_request_error",
            "param": "temperature", "code": "unsupported_value"}}"#,
    ),
    (
        "skip",
        400,
        r#"{"error": {"message": "This model's maximum context length is 128000 tokens.",
            "type": "invalid_request_error", "param": "messages",
            "code": "context_length_exceeded"}}"#,
    ),
    (
        "skip",
        400,
        r#"{"error": {"message": "You uploaded an unsupported image.", "param": null,
            "type": "invalid_request_error", "code": "invalid_image_format"}}"#,
    ),
    (
        "format",
        400,
        r#"{"error": {"message": "Invalid parameter: 'response_format' of type 'json_schema' is not
            supported with this model.", "type": "invalid_request_error", "param": null,
            "code": null}}"#,
    ),
    (
        "format",
        400,
        r#"{"error": {"message": "Invalid schema", "type": "invalid_request_error",
            "param": "response_format", "code": null}}"#,
    ),
    (
        "abort",
        401,
        r#"{"error": {"message": "Incorrect API key provided: sk-abc.", "param": null,
            "type": "invalid_request_error", "code": "invalid_api_key"}}"#,
    ),
    (
        "abort",
        429,
        r#"{"error": {"message": "You exceeded your current quota", "type": "insufficient_quota",
            "param": null, "code": "insufficient_quota"}}"#,
    ),
    ("broken", 500, r#"{"error": {"message": "The server had an error", "type": "server_error"}}"#),
    // Azure and those behind it.
    (
        "refused",
        400,
        r#"{"error": {"message": "The response was filtered due to the prompt triggering Azure
            OpenAI's content management policy.", "type": null, "param": "prompt",
            "code": "content_filter", "status": 400}}"#,
    ),
    (
        "max_tokens",
        400,
        r#"{"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this
            model. Use 'max_completion_tokens' instead.", "code": "invalid_request_body"}}"#,
    ),
    // vLLM and FastAPI.
    (
        "skip",
        400,
        r#"{"object": "error", "message": "'max_tokens' or 'max_completion_tokens' is too large:
            9000. This model's maximum context length is 8192 tokens.",
            "type": "BadRequestError", "param": null, "code": 400}"#,
    ),
    (
        "format",
        400,
        r#"{"object": "error", "message": "The provided JSON schema contains features not supported
            by xgrammar.", "type": "BadRequestError", "param": null, "code": 400}"#,
    ),
    (
        "format",
        422,
        r#"{"detail": [{"type": "extra_forbidden", "loc": ["body", "response_format"],
            "msg": "Extra inputs are not permitted", "input": {}}]}"#,
    ),
    (
        "seed",
        422,
        r#"{"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"],
            "msg": "Extra inputs are not permitted", "input": 7}]}"#,
    ),
    (
        "skip",
        422,
        r#"{"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required",
            "input": {"response_format": {}}}]}"#,
    ),
    ("abort", 404, r#"{"detail": "Not Found"}"#),
    // Ollama, llama.cpp, text-generation-inference.
    ("abort", 404, r#"{"error": "model 'llava' not found"}"#),
    (
        "broken",
        503,
        r#"{"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}"#,
    ),
    ("busy", 429, r#"{"error": "Model is overloaded", "error_type": "overloaded"}"#),
    // Google, by its OpenAI-compatible path.
    (
        "abort",
        400,
        r#"[{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}]"#,
    ),
    // Proxies that answer 200 whatever happens.
    ("busy", 200, r#"{"error": {"message": "Rate limit exceeded", "code": 429}}"#),
    ("abort", 200, r#"{"error": "model not found"}"#),
    ("broken", 200, r#"{"error": "connection reset"}"#),
];

fn kind(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Busy { .. } => "busy",
        Trouble::Broken { .. } => "broken",
        Trouble::Format { .. } => "format",
        Trouble::Dialect { parameter: Parameter::MaxTokens, .. } => "max_tokens",
        Trouble::Dialect { parameter: Parameter::Temperature, .. } => "temperature",
        Trouble::Dialect { parameter: Parameter::Seed, .. } => "seed",
        Trouble::Skip { refused: false, .. } => "skip",
        Trouble::Skip { refused: true, .. } => "refused",
        Trouble::Abort { .. } => "abort",
    }
}

#[test]
fn errors_of_many_servers() {
    for (expected, status, body) in BODIES {
        // Broken here only to fit the page.
        let body: Vec<_> = body.lines().map(str::trim).collect();
        let body = body.join(" ");
        let trouble =
            read(status, &HeaderMap::new(), body.as_bytes(), Theirs(&[]), SystemTime::UNIX_EPOCH)
                .unwrap_err();
        assert_eq!(kind(&trouble), expected, "{body}");
        assert!(trouble.detail().starts_with(&format!("status {status}: ")), "{trouble:?}");
        assert!(!trouble.detail().contains("no JSON"), "{trouble:?}");
    }
}
