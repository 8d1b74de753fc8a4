//! The answer of `generateContent`, or why there is none.

use std::time::SystemTime;

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::super::ask::{Answer, Usage, tokens};
use super::super::classify::{classify, unreadable};
use super::super::clean::clean;
use super::super::complaint::{Complaint, Theirs};
use super::super::trouble::{Trouble, broken, is_good};

/// Endings by a filter.
const FILTERED: [&str; 11] = [
    "SAFETY",
    "RECITATION",
    "PROHIBITED_CONTENT",
    "SPII",
    "BLOCKLIST",
    "LANGUAGE",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "JAILBREAK",
];
/// Endings that leave a text of no use.
const FAILED: [&str; 4] = [
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
];

/// Reads a response.
pub fn read(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    theirs: Theirs<'_>,
    now: SystemTime,
) -> Result<Answer, Trouble> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Err(unreadable(status, headers, body, theirs, now));
    };
    let usage = usage(&body["usageMetadata"]);
    if is_good(status) {
        if let Some(detail) = blocked(&body["promptFeedback"]) {
            return Ok(Answer::Refused { detail, usage });
        }
        let candidate = &body["candidates"][0];
        if candidate.is_object() {
            return spoken(status, candidate, usage);
        }
    }
    match Complaint::of(&body) {
        None if is_good(status) => Err(broken(status, "no candidates", usage)),
        complaint => {
            let complaint = complaint.unwrap_or_default().about(theirs);
            Err(classify(status, headers, Some(&body), &complaint, now))
        }
    }
}

/// Thinking is billed as output.
fn usage(usage: &Value) -> Option<Usage> {
    let count = |key: &str| tokens(&usage[key]);
    let (input, said) = (count("promptTokenCount"), count("candidatesTokenCount"));
    let thought = count("thoughtsTokenCount");
    (input.or(said).or(thought)).map(|_| Usage {
        input: input.unwrap_or_default(),
        output: said.unwrap_or_default().saturating_add(thought.unwrap_or_default()),
    })
}

/// Why the prompt was not even shown to the model.
fn blocked(feedback: &Value) -> Option<String> {
    let reason = feedback["blockReason"].as_str()?;
    let is_none = matches!(reason, "" | "BLOCK_REASON_UNSPECIFIED" | "BLOCKED_REASON_UNSPECIFIED");
    (!is_none).then(|| explained(reason, &feedback["blockReasonMessage"]))
}

fn explained(reason: &str, message: &Value) -> String {
    match message.as_str().unwrap_or_default() {
        "" => clean(reason),
        message => clean(&format!("{reason}: {message}")),
    }
}

/// What the model said, and how it ended.
fn spoken(status: u16, candidate: &Value, usage: Option<Usage>) -> Result<Answer, Trouble> {
    let ending = candidate["finishReason"].as_str().unwrap_or_default();
    let why = || explained(ending, &candidate["finishMessage"]);
    if FILTERED.contains(&ending) {
        return Ok(Answer::Refused { detail: why(), usage });
    }
    let text = text(&candidate["content"]["parts"]);
    match ending {
        // Also without a word: it may have thought all the way.
        "MAX_TOKENS" => Ok(Answer::Cut { text, usage }),
        _ if FAILED.contains(&ending) || text.trim().is_empty() => {
            Err(broken(status, &format!("no text, finishReason {}", why()), usage))
        }
        _ => Ok(Answer::Said { text, usage }),
    }
}

/// All parts as one string, without those that are thoughts.
fn text(parts: &Value) -> String {
    let parts = parts.as_array().into_iter().flatten();
    parts.filter(|part| part["thought"] != true).filter_map(|part| part["text"].as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::hostile;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use std::time::Duration;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const USAGE: Option<Usage> = Some(Usage { input: 1032, output: 60 });

    fn of(status: u16, body: &Value) -> Result<Answer, Trouble> {
        read(status, &HeaderMap::new(), body.to_string().as_bytes(), Theirs(&[]), NOW)
    }

    fn generated(candidate: Value) -> Result<Answer, Trouble> {
        of(
            200,
            &json!({
                "candidates": [candidate],
                "usageMetadata": {
                    "promptTokenCount": 1032,
                    "candidatesTokenCount": 18,
                    "thoughtsTokenCount": 42,
                    "totalTokenCount": 1092,
                    "promptTokensDetails": [{"modality": "IMAGE", "tokenCount": 1032}],
                },
                "modelVersion": "gemini-2.5-flash",
                "responseId": "abc",
            }),
        )
    }

    fn ended(text: &str, reason: &str) -> Result<Answer, Trouble> {
        generated(json!({"content": {"parts": [{"text": text}]}, "finishReason": reason}))
    }

    #[test]
    fn answers() {
        let whole = |text: &str| Ok(Answer::Said { text: text.into(), usage: USAGE });
        assert_eq!(ended(" {\"a\": 1}\n", "STOP"), whole(" {\"a\": 1}\n"));
        let parts = json!([
            {"text": "Let me see", "thought": true},
            {"text": "{\"a\""},
            {"text": ": 1}", "thought": false},
        ]);
        assert_eq!(generated(json!({"content": {"parts": parts}})), whole("{\"a\": 1}"));
        let cut = |text: &str| Ok(Answer::Cut { text: text.into(), usage: USAGE });
        assert_eq!(ended("{\"a", "MAX_TOKENS"), cut("{\"a"));
        assert_eq!(
            generated(json!({"content": {"role": "model"}, "finishReason": "MAX_TOKENS"})),
            cut("")
        );
        let free = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}}]});
        assert_eq!(of(200, &free), Ok(Answer::Said { text: "a".into(), usage: None }));
    }

    #[test]
    fn refusals() {
        let refused = |detail: &str, usage| Ok(Answer::Refused { detail: detail.into(), usage });
        let blocked = json!({
            "promptFeedback": {
                "blockReason": "PROHIBITED_CONTENT",
                "blockReasonMessage": "no\nway",
            },
            "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
        });
        let usage = Some(Usage { input: 9, output: 0 });
        assert_eq!(of(200, &blocked), refused("PROHIBITED_CONTENT: no way", usage));
        for reason in [
            "SAFETY",
            "RECITATION",
            "PROHIBITED_CONTENT",
            "SPII",
            "BLOCKLIST",
            "IMAGE_SAFETY",
            "LANGUAGE",
        ] {
            assert_eq!(generated(json!({"finishReason": reason})), refused(reason, USAGE));
        }
    }

    #[test]
    fn answers_that_are_none() {
        let broken = |detail: &str, usage| Err(Trouble::Broken { detail: detail.into(), usage });
        assert_eq!(ended("", "STOP"), broken("status 200: no text, finishReason STOP", USAGE));
        assert_eq!(
            ended("half", "MALFORMED_FUNCTION_CALL"),
            broken("status 200: no text, finishReason MALFORMED_FUNCTION_CALL", USAGE)
        );
        assert_eq!(
            generated(json!({"finishReason": "OTHER", "finishMessage": "m"})),
            broken("status 200: no text, finishReason OTHER: m", USAGE)
        );
        let feedback = json!({"promptFeedback": {"safetyRatings": []}, "candidates": []});
        assert_eq!(of(200, &feedback), broken("status 200: no candidates", None));
        assert_eq!(
            read(200, &HeaderMap::new(), b"{", Theirs(&[]), NOW),
            broken("status 200: no JSON: {", None)
        );
    }

    #[test]
    fn limits_of_a_minute_pass_and_those_of_a_day_do_not() {
        let limit = |quota: &str| {
            json!({"error": {
                "code": 429,
                "message": "You exceeded your quota, please check your billing details.",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{
                        "quotaMetric": "generativelanguage.googleapis.com/requests",
                        "quotaId": quota, "quotaValue": "20"}]},
                    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"},
                ],
            }})
        };
        let detail = "status 429: You exceeded your quota, please check your billing details.";
        assert_eq!(
            of(429, &limit("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")),
            Err(Trouble::Busy { after: Some(Duration::from_secs(37)), detail: detail.into() })
        );
        assert_eq!(
            of(429, &limit("GenerateRequestsPerDayPerProjectPerModel-FreeTier")),
            Err(Trouble::Abort { detail: detail.into() })
        );
    }

    #[test]
    fn errors() {
        let kind = |trouble| match trouble {
            Trouble::Busy { .. } => "busy",
            Trouble::Broken { .. } => "broken",
            Trouble::Format { .. } => "format",
            Trouble::Dialect { .. } => "dialect",
            Trouble::Skip { refused: false, .. } => "skip",
            Trouble::Skip { refused: true, .. } => "refused",
            Trouble::Abort { .. } => "abort",
        };
        for (expected, code, status, message) in [
            ("busy", 429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
            ("abort", 429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
            ("busy", 503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
            ("busy", 503, "UNAVAILABLE", "This model is currently experiencing high demand."),
            ("broken", 503, "UNAVAILABLE", "The service is currently unavailable."),
            ("broken", 500, "INTERNAL", "An internal error has occurred."),
            (
                "broken",
                504,
                "DEADLINE_EXCEEDED",
                "Deadline expired before operation could complete.",
            ),
            ("skip", 400, "INVALID_ARGUMENT", "Provided image is not valid."),
            (
                "skip",
                400,
                "INVALID_ARGUMENT",
                "The input token count (1200000) exceeds the maximum number of tokens allowed.",
            ),
            (
                "format",
                400,
                "INVALID_ARGUMENT",
                "* response_schema.properties: should be non-empty for OBJECT type",
            ),
            (
                "format",
                400,
                "INVALID_ARGUMENT",
                "JSON mode is not enabled for models/gemma-3-27b-it",
            ),
            ("abort", 400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
            (
                "abort",
                400,
                "FAILED_PRECONDITION",
                "User location is not supported for the API use.",
            ),
            ("abort", 401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
            ("abort", 403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers."),
            ("abort", 404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta."),
        ] {
            let body = json!({"error": {"code": code, "message": message, "status": status}});
            for body in [&body, &json!([body])] {
                assert_eq!(kind(of(code, body).unwrap_err()), expected, "{message}");
                assert_eq!(kind(of(200, body).unwrap_err()), expected, "{message}");
            }
        }
    }

    #[test]
    fn a_suspended_key_is_not_repeated() {
        let body = json!({"error": {"code": 403, "status": "PERMISSION_DENIED",
            "message": "Consumer 'api_key:AIzaSyD-0123456789' is suspended."}});
        let detail = "status 403: Consumer 'api_key:[key]' is suspended.";
        assert_eq!(of(403, &body), Err(Trouble::Abort { detail: detail.into() }));
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
        fn no_json_panics(body in hostile::json(), candidate in hostile::json()) {
            let candidates = json!({"candidates": [candidate], "usageMetadata": body});
            for (status, body) in [(200, &body), (200, &candidates), (400, &body), (429, &body)] {
                let _ = of(status, body);
            }
        }
    }
}
