//! JSON that looks like an answer of either wire, and is not.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// The keys that either wire reads.
const KEYS: [&str; 40] = [
    "choices",
    "message",
    "content",
    "text",
    "type",
    "refusal",
    "finish_reason",
    "usage",
    "prompt_tokens",
    "completion_tokens",
    "error",
    "errors",
    "detail",
    "details",
    "code",
    "param",
    "status",
    "status_code",
    "object",
    "custom_id",
    "response",
    "body",
    "candidates",
    "parts",
    "thought",
    "finishReason",
    "finishMessage",
    "promptFeedback",
    "blockReason",
    "usageMetadata",
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "violations",
    "quotaId",
    "metadata",
    "retryDelay",
    "loc",
    "msg",
    "reason",
];
/// Strings that mean something somewhere.
const WORDS: [&str; 14] = [
    "stop",
    "length",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "content_filter",
    "error",
    "429",
    "37s",
    "RESOURCE_EXHAUSTED",
    "max_tokens unsupported",
    "response_format",
    "sk-abcdefgh01234567",
    "",
];

/// Values of every type under keys that are read.
pub fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        prop::sample::select(WORDS.to_vec()).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(7, 60, 5, |inner| {
        let fields =
            prop::collection::vec((prop::sample::select(KEYS.to_vec()), inner.clone()), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Value::from),
            fields.prop_map(|fields| {
                Value::from(
                    fields
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect::<Map<_, _>>(),
                )
            }),
        ]
    })
}
