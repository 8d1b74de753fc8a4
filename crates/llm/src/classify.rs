//! What an error means for the request, the endpoint and the run.
//!
//! One table for both wires, since Google speaks both. The words are those of the servers' own
//! sources and reference pages; a status says the most, so words only tell apart what one status
//! is used for.

use std::time::SystemTime;

use reqwest::header::HeaderMap;
use reqwest::header::LOCATION;
use serde_json::Value;

use super::complaint::{Complaint, Theirs};
use super::pause::{asked, retry_after};
use super::trouble::{Trouble, broken, is_good, told};

/// The account is out of money or of a quota that no pause brings back.
const SPENT: [&str; 9] = [
    "insufficient_quota",
    "exceeded_current_quota",
    "billing_",
    "billing hard limit",
    "credit balance",
    "insufficient balance",
    "insufficient credits",
    "credits are depleted",
    "spending cap",
];
/// The key or the model is wrong, or the caller is not served at all.
const HOPELESS: [&str; 12] = [
    "api_key_invalid",
    "invalid_api_key",
    "api key not valid",
    "api key expired",
    "incorrect api key",
    "failed_precondition",
    "user location is not supported",
    "model_not_found",
    "model not found",
    "model not exist",
    "not a valid model",
    "unknown model",
];
/// What the request shows or says is not wanted.
const POLICY: [&str; 14] = [
    "content_policy",
    "content_filter",
    "content policy",
    "content filter",
    "content management policy",
    "responsibleaipolicyviolation",
    "usage policies",
    "usage policy",
    "safety system",
    "moderation",
    "input was flagged",
    "been flagged",
    "datainspectionfailed",
    "inappropriate content",
];
/// The way to ask for a shape is not known, or the schema is too much for it.
const FORMAT: [&str; 18] = [
    "response_format",
    "response format",
    "json_schema",
    "json schema",
    "json_object",
    "json mode",
    "structured output",
    "structured_output",
    "structuredoutput",
    "guided",
    "grammar",
    "responseschema",
    "response_schema",
    "responsemimetype",
    "response_mime_type",
    "response mime type",
    "responsejsonschema",
    "specified schema",
];
/// An image could not be read from the address that was given: it may be there another time.
const UNREACHED: [&str; 5] = [
    "invalid_image_url",
    "error while downloading",
    "timeout while downloading",
    "failed to download image",
    "failed to fetch image",
];
/// The endpoint has more to do than it can.
const OVERLOADED: [&str; 8] = [
    "overload",
    "capacity",
    "high demand",
    "too many",
    "rate limit",
    "slow down",
    "slow_down",
    "busy",
];
/// The request alone is over the limit of a minute.
const TOO_LARGE: [&str; 1] = ["request too large"];
/// The status that is meant where none is sent: by words among the codes.
const STATUSES: [(u16, &[&str]); 9] = [
    (
        429,
        &[
            "resource_exhausted",
            "rate_limit",
            "ratelimit",
            "too_many_requests",
            "insufficient_quota",
        ],
    ),
    (401, &["unauthenticated", "authentication", "invalid_api_key"]),
    (403, &["permission"]),
    (404, &["not_found", "notfound"]),
    (529, &["overloaded"]),
    (503, &["unavailable"]),
    (504, &["deadline_exceeded", "timeout"]),
    (413, &["request_too_large"]),
    (
        400,
        &[
            "invalid_request",
            "invalid_argument",
            "badrequest",
            "context_length",
            "failed_precondition",
        ],
    ),
];

/// The status that is meant: HTTP's own where it is an error, else what the body says.
pub fn meant(status: u16, complaint: &Complaint) -> u16 {
    let coded =
        || STATUSES.iter().find(|(_, words)| complaint.is_coded(words)).map(|(status, _)| *status);
    match status {
        300..=599 => status,
        _ => complaint.number().or_else(coded).unwrap_or_else(|| match complaint {
            complaint if complaint.says(&HOPELESS) => 404,
            complaint if complaint.says(&POLICY) => 400,
            _ => 500,
        }),
    }
}

/// Says what an error means; `body` only for the pause in it, and status 0 is none.
pub fn classify(
    status: u16,
    headers: &HeaderMap,
    body: Option<&Value>,
    complaint: &Complaint,
    now: SystemTime,
) -> Trouble {
    let detail = told(status, &complaint.message);
    let says = |words| complaint.says(words);
    match meant(status, complaint) {
        300..=399 => Trouble::Abort { detail: told(status, location(headers)) },
        400 | 403 | 429 if says(&SPENT) || complaint.is_daily() => Trouble::Abort { detail },
        429 if says(&TOO_LARGE) => Trouble::Skip { refused: false, detail },
        429 => Trouble::Busy { after: retry_after(headers, body, now), detail },
        400 | 403 | 422 | 451 if says(&POLICY) => Trouble::Skip { refused: true, detail },
        // A firewall before the endpoint, which may dislike the words of one page.
        403..=405 if !complaint.is_own() => Trouble::Skip { refused: false, detail },
        401..=405 | 407 | 410 | 426 => Trouble::Abort { detail },
        400 | 422 if says(&UNREACHED) => Trouble::Broken { detail, usage: None },
        400 | 422 if says(&HOPELESS) => Trouble::Abort { detail },
        400 | 422 if says(&FORMAT) => Trouble::Format { detail },
        408 | 409 | 425 | 499 => Trouble::Broken { detail, usage: None },
        400..=499 => Trouble::Skip { refused: false, detail },
        status @ (503 | 529) => {
            let after = asked(headers, body, now);
            if status == 529 || after.is_some() || says(&OVERLOADED) {
                Trouble::Busy { after, detail }
            } else {
                Trouble::Broken { detail, usage: None }
            }
        }
        _ => Trouble::Broken { detail, usage: None },
    }
}

/// What a body that is no JSON means; under a good status it is half an answer, or no endpoint's.
pub fn unreadable(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    theirs: Theirs<'_>,
    now: SystemTime,
) -> Trouble {
    let complaint = Complaint::raw(body).about(theirs);
    if is_good(status) {
        return broken(status, &format!("no JSON: {}", complaint.message), None);
    }
    classify(status, headers, None, &complaint, now)
}

fn location(headers: &HeaderMap) -> &str {
    headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::hostile;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use std::time::Duration;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn kind(trouble: &Trouble) -> &'static str {
        match trouble {
            Trouble::Busy { .. } => "busy",
            Trouble::Broken { .. } => "broken",
            Trouble::Format { .. } => "format",
            Trouble::Dialect { .. } => "dialect",
            Trouble::Skip { refused: false, .. } => "skip",
            Trouble::Skip { refused: true, .. } => "refused",
            Trouble::Abort { .. } => "abort",
        }
    }

    fn of(status: u16, message: &str, code: &str) -> Trouble {
        let body = json!({"error": {"message": message, "code": code}});
        let complaint = Complaint::of(&body).unwrap();
        classify(status, &HeaderMap::new(), Some(&body), &complaint, NOW)
    }

    #[test]
    fn every_status_means_something() {
        for (status, expected) in [
            (100, "broken"),
            (301, "abort"),
            (308, "abort"),
            (400, "skip"),
            (401, "abort"),
            (402, "abort"),
            (403, "abort"),
            (404, "abort"),
            (405, "abort"),
            (408, "broken"),
            (409, "broken"),
            (413, "skip"),
            (415, "skip"),
            (422, "skip"),
            (425, "broken"),
            (429, "busy"),
            (499, "broken"),
            (500, "broken"),
            (502, "broken"),
            (503, "broken"),
            (504, "broken"),
            (524, "broken"),
            (529, "busy"),
            (999, "broken"),
        ] {
            assert_eq!(kind(&of(status, "M", "c")), expected, "{status}");
        }
    }

    #[test]
    fn words_say_more_than_a_status() {
        for (status, message, code, expected) in [
            (429, "You exceeded your current quota", "insufficient_quota", "abort"),
            (429, "Rate limit reached for gpt-4o", "rate_limit_exceeded", "busy"),
            (
                429,
                "You exceeded your current quota, please check your plan and billing details",
                "",
                "busy",
            ),
            (
                429,
                "Request too large for gpt-4o on tokens per min (TPM): Limit 30000",
                "rate_limit_exceeded",
                "skip",
            ),
            (400, "Billing hard limit has been reached", "billing_hard_limit_reached", "abort"),
            (503, "The engine is currently overloaded, please try again later", "", "busy"),
            (503, "Loading model", "", "broken"),
            (500, "overloaded", "", "broken"),
            (
                400,
                "Your request was rejected as a result of our safety system.",
                "content_policy_violation",
                "refused",
            ),
            (403, "Your input was flagged", "", "refused"),
            (403, "forbidden", "", "abort"),
            (
                400,
                "Error while downloading https://a.example/b.jpeg.",
                "invalid_image_url",
                "broken",
            ),
            (400, "Model Not Exist", "invalid_request_error", "abort"),
            (400, "Incorrect API key provided: sk-abc", "", "abort"),
            (400, "This response_format type is unavailable now", "", "format"),
            (200, "model 'x': model not found", "", "abort"),
            (200, "slow", "rate_limit_exceeded", "busy"),
            (200, "busy", "overloaded_error", "busy"),
            (200, "odd", "", "broken"),
            (0, "expired", "batch_expired", "broken"),
        ] {
            assert_eq!(kind(&of(status, message, code)), expected, "{status} {message}");
        }
    }

    #[test]
    fn details_name_the_status_and_no_key() {
        assert_eq!(
            of(401, "Incorrect API key provided: sk-proj-1234.\n", "invalid_api_key").detail(),
            "status 401: Incorrect API key provided: [key]"
        );
        assert_eq!(of(0, "gone", "").detail(), "gone");
        let headers = HeaderMap::from_iter([(LOCATION, "/login?key=abc".parse().unwrap())]);
        let trouble = classify(302, &headers, None, &Complaint::default(), NOW);
        assert_eq!(trouble, Trouble::Abort { detail: "status 302: /login?key=[key]".into() });
    }

    #[test]
    fn a_pause_makes_it_busy() {
        let headers = HeaderMap::from_iter([(reqwest::header::RETRY_AFTER, "7".parse().unwrap())]);
        let of = |status| classify(status, &headers, None, &Complaint::raw(b"down"), NOW);
        let busy = |status: u16| Trouble::Busy {
            after: Some(Duration::from_secs(7)),
            detail: format!("status {status}: down"),
        };
        assert_eq!(of(429), busy(429));
        assert_eq!(of(503), busy(503));
        assert_eq!(kind(&of(500)), "broken");
    }

    #[test]
    fn pages_are_read_as_they_are() {
        let page = b"<html><title>502 Bad Gateway</title>\r\n";
        let of = |status| unreadable(status, &HeaderMap::new(), page, Theirs(&[]), NOW);
        assert_eq!(of(502).detail(), "status 502: <html><title>502 Bad Gateway</title>");
        for (status, expected) in [
            (401, "abort"),
            (402, "abort"),
            (403, "skip"),
            (404, "skip"),
            (405, "skip"),
            (407, "abort"),
        ] {
            assert_eq!(kind(&of(status)), expected, "{status}");
        }
        assert_eq!(of(200).detail(), "status 200: no JSON: <html><title>502 Bad Gateway</title>");
    }

    #[test]
    fn only_the_endpoint_itself_says_that_there_is_no_such_model() {
        let of = |status, body: serde_json::Value| {
            let complaint = Complaint::of(&body).unwrap_or_default();
            kind(&classify(status, &HeaderMap::new(), Some(&body), &complaint, NOW))
        };
        for status in [403, 404] {
            assert_eq!(of(status, json!({"error": {"message": "no model x"}})), "abort");
            assert_eq!(of(status, json!({"error": "model 'x' not found"})), "abort");
            assert_eq!(of(status, json!({"detail": "Not Found"})), "abort");
            assert_eq!(of(status, json!({"message": "Forbidden"})), "skip");
            assert_eq!(of(status, json!({})), "skip");
        }
        assert_eq!(of(401, json!({"message": "Unauthorized"})), "abort");
    }

    proptest! {
        #[test]
        fn nothing_panics(status in any::<u16>(), body in hostile::json()) {
            let complaint = Complaint::of(&body).unwrap_or_default();
            let trouble = classify(status, &HeaderMap::new(), Some(&body), &complaint, NOW);
            prop_assert!(trouble.detail().chars().count() <= 300);
            prop_assert!(!trouble.detail().contains(char::is_control));
        }
    }
}
