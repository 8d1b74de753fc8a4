//! A chat completion, or why there is none.

use std::time::SystemTime;

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::super::ask::{Answer, Usage, tokens};
use super::super::classify::{classify, meant, unreadable};
use super::super::clean::clean;
use super::super::complaint::{Complaint, Theirs};
use super::super::trouble::{Parameter, Trouble, broken, is_good, told};

/// Endings that leave a text of no use: the server stopped, not the model.
const FAILED: [&str; 5] =
    ["error", "abort", "cancelled", "timeout", "insufficient_system_resource"];
/// Endings by a filter.
const FILTERED: [&str; 3] = ["content_filter", "safety", "sensitive"];
/// How it is said that a parameter may not be sent.
const UNSUPPORTED: [&str; 7] = [
    "extra_forbidden",
    "unsupported_parameter",
    "unsupported_value",
    "unsupported",
    "not supported",
    "does not support",
    "deprecated",
];

/// Reads a response.
pub fn read(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    theirs: Theirs<'_>,
    now: SystemTime,
) -> Result<Answer, Trouble> {
    match serde_json::from_slice(body) {
        Ok(body) => read_value(status, headers, &body, theirs, now),
        Err(_) => Err(unreadable(status, headers, body, theirs, now)),
    }
}

/// Reads a response whose body is parsed.
pub(super) fn read_value(
    status: u16,
    headers: &HeaderMap,
    body: &Value,
    theirs: Theirs<'_>,
    now: SystemTime,
) -> Result<Answer, Trouble> {
    let usage = usage(&body["usage"]);
    let choice = &body["choices"][0];
    if is_good(status) && choice.is_object() {
        return spoken(status, choice, usage);
    }
    match Complaint::of(body) {
        None if is_good(status) => Err(broken(status, "no choices", usage)),
        complaint => {
            let complaint = complaint.unwrap_or_default().about(theirs);
            Err(refusal(status, headers, body, &complaint, now))
        }
    }
}

fn usage(usage: &Value) -> Option<Usage> {
    let (input, output) = (tokens(&usage["prompt_tokens"]), tokens(&usage["completion_tokens"]));
    (input.is_some() || output.is_some())
        .then(|| Usage { input: input.unwrap_or_default(), output: output.unwrap_or_default() })
}

/// What the model said, and how it ended.
fn spoken(status: u16, choice: &Value, usage: Option<Usage>) -> Result<Answer, Trouble> {
    let message = &choice["message"];
    let ending = choice["finish_reason"].as_str().unwrap_or_default();
    if let Some(refusal) = refused(message) {
        return Ok(Answer::Refused { detail: clean(refusal), usage });
    }
    if FILTERED.contains(&ending) {
        return Ok(Answer::Refused { detail: ending.into(), usage });
    }
    let text = text(&message["content"]);
    match ending {
        // Also without a word: it may have thought all the way.
        "length" | "max_tokens" => Ok(Answer::Cut { text, usage }),
        _ if FAILED.contains(&ending) => Err(broken(status, &failure(choice, ending), usage)),
        _ if text.trim().is_empty() => {
            Err(broken(status, &format!("no content, finish_reason {ending:?}"), usage))
        }
        _ => Ok(Answer::Said { text, usage }),
    }
}

fn refused(message: &Value) -> Option<&str> {
    let parts = message["content"].as_array().into_iter().flatten();
    let mut all = std::iter::once(message).chain(parts).filter_map(|part| part["refusal"].as_str());
    all.rfind(|refusal| !refusal.trim().is_empty())
}

/// The content as one string, whether it came as one or in parts; thinking is none.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(part).collect(),
        _ => String::new(),
    }
}

fn part(part: &Value) -> Option<&str> {
    match &part["type"] {
        Value::Null => {}
        Value::String(kind) if kind == "text" || kind == "output_text" => {}
        _ => return None,
    }
    part["text"].as_str()
}

/// OpenRouter puts the provider's error into the choice.
fn failure(choice: &Value, ending: &str) -> String {
    match Complaint::of(choice).filter(|_| choice["error"].is_object()) {
        Some(complaint) => format!("finish_reason {ending:?}: {}", complaint.message),
        None => format!("finish_reason {ending:?}"),
    }
}

fn refusal(
    status: u16,
    headers: &HeaderMap,
    body: &Value,
    complaint: &Complaint,
    now: SystemTime,
) -> Trouble {
    match parameter(meant(status, complaint), complaint) {
        Some(parameter) => Trouble::Dialect { parameter, detail: told(status, &complaint.message) },
        None => classify(status, headers, Some(body), complaint, now),
    }
}

/// The parameter that may not be sent; a `max_tokens` that is too large is none.
fn parameter(status: u16, complaint: &Complaint) -> Option<Parameter> {
    if !matches!(status, 400 | 422) || !complaint.says(&UNSUPPORTED) {
        return None;
    }
    let names = [
        ("max_tokens", Parameter::MaxTokens),
        ("temperature", Parameter::Temperature),
        ("seed", Parameter::Seed),
    ];
    names.into_iter().find_map(|(name, parameter)| complaint.is_about(name).then_some(parameter))
}

#[cfg(test)]
mod tests {
    use super::super::super::hostile;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use std::time::Duration;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const USAGE: Option<Usage> = Some(Usage { input: 812, output: 34 });

    fn of(status: u16, body: &Value) -> Result<Answer, Trouble> {
        read(status, &HeaderMap::new(), body.to_string().as_bytes(), Theirs(&[]), NOW)
    }

    /// A completion as OpenAI sends it.
    fn completion(message: Value, finish_reason: Value) -> Value {
        json!({
            "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
            "object": "chat.completion",
            "created": 1_741_569_952,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
            "usage": {"prompt_tokens": 812, "completion_tokens": 34, "total_tokens": 846,
                "prompt_tokens_details": {"cached_tokens": 0}},
            "system_fingerprint": "fp_44709d6fcb",
        })
    }

    fn said(content: Value, finish_reason: Value) -> Result<Answer, Trouble> {
        of(
            200,
            &completion(
                json!({"role": "assistant", "content": content, "refusal": null}),
                finish_reason,
            ),
        )
    }

    #[test]
    fn answers() {
        let whole = |text: &str| Ok(Answer::Said { text: text.into(), usage: USAGE });
        assert_eq!(said(json!(" {\"a\": 1}\n"), json!("stop")), whole(" {\"a\": 1}\n"));
        assert_eq!(said(json!("{}"), json!(null)), whole("{}"));
        assert_eq!(said(json!("{}"), json!("eos")), whole("{}"));
        let parts = json!([
            {"type": "thinking", "text": "no"},
            {"type": "text", "text": "a"},
            {"text": "b"},
        ]);
        assert_eq!(said(parts, json!("stop")), whole("ab"));
        let cut = |text: &str| Ok(Answer::Cut { text: text.into(), usage: USAGE });
        assert_eq!(said(json!("{\"a"), json!("length")), cut("{\"a"));
        assert_eq!(said(json!(null), json!("length")), cut(""));
    }

    #[test]
    fn refusals() {
        let refused = |detail: &str| Ok(Answer::Refused { detail: detail.into(), usage: USAGE });
        let sorry = "I'm sorry, I can't\nassist with that.";
        let body = completion(json!({"content": null, "refusal": sorry}), json!("stop"));
        assert_eq!(of(200, &body), refused("I'm sorry, I can't assist with that."));
        let parts = json!([{"type": "refusal", "refusal": "No."}]);
        assert_eq!(said(parts, json!("stop")), refused("No."));
        assert_eq!(said(json!("half"), json!("content_filter")), refused("content_filter"));
    }

    #[test]
    fn answers_that_are_none() {
        for (body, detail) in [
            (
                completion(json!({"content": ""}), json!("stop")),
                "status 200: no content, finish_reason \"stop\"",
            ),
            (
                completion(json!({"content": " \n"}), json!("stop")),
                "status 200: no content, finish_reason \"stop\"",
            ),
            (
                completion(json!({"content": null, "tool_calls": []}), json!("tool_calls")),
                "status 200: no content, finish_reason \"tool_calls\"",
            ),
            (
                completion(json!({"content": "half"}), json!("abort")),
                "status 200: finish_reason \"abort\"",
            ),
        ] {
            assert_eq!(
                of(200, &body),
                Err(Trouble::Broken { detail: detail.into(), usage: USAGE })
            );
        }
        let none = |detail: &str| Err(Trouble::Broken { detail: detail.into(), usage: None });
        assert_eq!(of(200, &json!({"choices": []})), none("status 200: no choices"));
        assert_eq!(of(204, &json!(null)), none("status 204: no choices"));
        assert_eq!(
            of(200, &json!({"choices": [], "error": {"message": "upstream"}})),
            none("status 200: upstream")
        );
        assert_eq!(
            read(200, &HeaderMap::new(), b"", Theirs(&[]), NOW),
            none("status 200: no JSON:")
        );
        let openrouter = json!({"choices": [{"message": {"content": "a"}, "finish_reason": "error",
            "error": {"code": 502, "message": "Provider disconnected"}}]});
        assert_eq!(
            of(200, &openrouter),
            none("status 200: finish_reason \"error\": Provider disconnected")
        );
    }

    #[test]
    fn a_limit_names_its_pause() {
        let headers = HeaderMap::from_iter([(reqwest::header::RETRY_AFTER, "2".parse().unwrap())]);
        let body =
            br#"{"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}"#;
        let after = Some(Duration::from_secs(2));
        let detail = "status 429: Rate limit reached".into();
        assert_eq!(
            read(429, &headers, body, Theirs(&[]), NOW),
            Err(Trouble::Busy { after, detail })
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            status in any::<u16>(),
            body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            for status in [status, 200, 400, 429] {
                let _ = read(status, &HeaderMap::new(), &body, Theirs(&[]), NOW);
            }
        }

        #[test]
        fn no_json_panics(body in hostile::json(), choice in hostile::json()) {
            let choices = json!({"choices": [choice], "usage": body});
            for (status, body) in [(200, &body), (200, &choices), (400, &body), (429, &body)] {
                let _ = of(status, body);
            }
        }
    }
}
