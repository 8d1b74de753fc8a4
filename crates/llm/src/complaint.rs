//! What an endpoint says went wrong, out of the many shapes it is said in.
//!
//! `{"error": {…}}` (OpenAI, Google), `[{"error": {…}}]` (Google by its OpenAI-compatible path),
//! `{"error": "…"}` (Ollama), `{"object": "error", …}` (vLLM), `{"detail": …}` (FastAPI) and what
//! proxies make of them. What it means for the request is in `classify`.
//!
//! Some servers repeat the request in their words, and what a page says is in it: a word of theirs that
//! the request's own texts have says nothing. Else one page could end a run.

use serde_json::Value;

use super::ask::Piece;

/// How deep an error may be wrapped into others.
const DEEPEST: usize = 6;
/// The most bytes of a body that is no JSON, and characters of a message, that are looked at.
const LOOKED_AT: usize = 2048;
/// Where pydantic begins to repeat the request, which may say anything.
const ECHOES: [&str; 4] = ["'input':", "\"input\":", "input_value=", "'ctx':"];

/// What of a request was written by strangers: the texts that are not the prompt's own.
#[derive(Clone, Copy)]
pub struct Theirs<'a>(pub &'a [Piece]);

impl Theirs<'_> {
    fn texts(self) -> String {
        let texts = self.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.to_lowercase()),
            Piece::Image { .. } | Piece::Link(_) => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }
}

/// What an endpoint says went wrong.
#[derive(Clone, Debug, Default)]
pub struct Complaint {
    /// Its words, not yet cleaned.
    pub message: String,
    /// Its codes, types and reasons, lower case, a space between.
    codes: String,
    /// Message, lower case, without what is known to repeat the request.
    said: String,
    /// What the request's texts are, lower case.
    theirs: String,
    /// The parameter complained about, lower case.
    param: String,
    /// The HTTP status in the body.
    number: Option<u16>,
    /// A quota of the day is spent.
    daily: bool,
    /// It comes in a shape that model servers give their errors.
    own: bool,
}

impl Complaint {
    /// Reads a body; `None` where it complains of nothing.
    pub fn of(body: &Value) -> Option<Self> {
        let error = innermost(body);
        let mut message = match error {
            Value::String(text) => text.clone(),
            Value::Object(_) => message(error).unwrap_or_default(),
            _ => String::new(),
        };
        let codes = codes(error);
        let wrapped = !std::ptr::eq(error, body);
        if message.is_empty() {
            if !wrapped && !is_error(&codes) {
                return None;
            }
            message = error.to_string();
        }
        Some(Self { own: wrapped || is_error(&codes), ..Self::new(message, codes, error) })
    }

    /// Takes a body that is no JSON, such as a proxy's page, at its word.
    pub fn raw(body: &[u8]) -> Self {
        let seen = &body[..body.len().min(LOOKED_AT)];
        Self::new(String::from_utf8_lossy(seen).into_owned(), String::new(), &Value::Null)
    }

    fn new(message: String, codes: String, error: &Value) -> Self {
        let own = ECHOES.iter().filter_map(|echo| message.find(echo)).min();
        let own: String = message[..own.unwrap_or(message.len())].chars().take(LOOKED_AT).collect();
        let param = word(error.get("param")).to_lowercase();
        let (said, theirs) = (own.to_lowercase(), String::new());
        let number =
            ["code", "status", "status_code"].into_iter().find_map(|key| number(error.get(key)?));
        Self { message, codes, said, theirs, param, number, daily: is_daily(error), own: false }
    }

    /// The same about a request with these texts, whose words count as nobody's.
    #[must_use]
    pub fn about(self, theirs: Theirs<'_>) -> Self {
        Self { theirs: theirs.texts(), ..self }
    }

    /// Whether one of `words` (lower case) is among its codes or in its message.
    pub fn says(&self, words: &[&str]) -> bool {
        self.is_coded(words)
            || words.iter().any(|word| self.param.contains(word) || self.has_said(word))
    }

    fn has_said(&self, word: &str) -> bool {
        self.said.contains(word) && !self.theirs.contains(word)
    }

    /// Whether one of `words` (lower case) is among its codes.
    pub fn is_coded(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.codes.contains(word))
    }

    /// Whether it is about the parameter of this name.
    pub fn is_about(&self, param: &str) -> bool {
        self.param == param
            || self.param.is_empty() && (self.is_coded(&[param]) || self.has_said(param))
    }

    /// Whether a quota that only comes back tomorrow is spent.
    pub fn is_daily(&self) -> bool {
        self.daily
    }

    /// Whether it comes in a shape that model servers give their errors; a proxy's page does not, nor its
    /// bare `{"message": "Forbidden"}`.
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// The HTTP status that the body claims, where it does.
    pub fn number(&self) -> Option<u16> {
        self.number
    }
}

/// Unwraps lists and envelopes down to the object, or the text, that tells.
fn innermost(body: &Value) -> &Value {
    let mut at = body;
    for _ in 0..DEEPEST {
        let inner = match at {
            Value::Array(all) => all.first(),
            Value::Object(_) if is_text(at.get("message")) => None,
            Value::Object(fields) => ["error", "detail", "errors", "message"]
                .into_iter()
                .find_map(|key| fields.get(key).filter(|value| is_told(value))),
            _ => None,
        };
        let Some(inner) = inner else { break };
        at = inner;
    }
    at
}

fn is_told(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => !all.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn is_text(value: Option<&Value>) -> bool {
    value.and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

fn message(error: &Value) -> Option<String> {
    let text = |key: &str| error.get(key)?.as_str().filter(|text| !text.is_empty());
    let message = ["message", "msg", "error_description", "title"].into_iter().find_map(text)?;
    // FastAPI names the field beside the message, OpenRouter its provider's own words.
    let place = error.get("loc").map(|loc| format!("{loc}: ")).unwrap_or_default();
    let raw = error.pointer("/metadata/raw").and_then(Value::as_str);
    let raw = raw.map(|raw| format!(": {raw}")).unwrap_or_default();
    Some(format!("{place}{message}{raw}"))
}

fn codes(error: &Value) -> String {
    let own = ["code", "type", "status", "reason", "object", "error_type"];
    let own = own.into_iter().map(|key| word(error.get(key)));
    let azure = word(error.pointer("/innererror/code"));
    let google = details(error).map(|detail| word(detail.get("reason")));
    let all: Vec<_> = own.chain([azure]).chain(google).filter(|code| !code.is_empty()).collect();
    all.join(" ").to_lowercase()
}

/// Whether a code says of the object that it is an error, as in vLLM's and Anthropic's.
fn is_error(codes: &str) -> bool {
    codes.split(' ').any(|code| code == "error")
}

fn word(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

/// A status of an error, as a number or in digits.
fn number(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number).ok().filter(|number| (300..600).contains(number))
}

fn details(error: &Value) -> impl Iterator<Item = &Value> {
    error.get("details").and_then(Value::as_array).into_iter().flatten()
}

/// Google's QuotaFailure and ErrorInfo name the quota: `GenerateRequestsPerDayPerProjectPerModel`.
fn is_daily(error: &Value) -> bool {
    details(error).any(|detail| {
        let violations = detail.get("violations").and_then(Value::as_array).into_iter().flatten();
        let mut names = violations
            .map(|violation| word(violation.get("quotaId")))
            .chain([word(detail.pointer("/metadata/quota_limit"))]);
        names.any(|name| name.contains("PerDay"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::hostile;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn every_shape_is_read() {
        for (body, message) in [
            (json!({"error": {"message": "bad", "type": "x", "param": null, "code": null}}), "bad"),
            (
                json!([{"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}]),
                "bad",
            ),
            (json!({"error": "model not found"}), "model not found"),
            (json!({"object": "error", "message": "bad", "type": "BadRequestError"}), "bad"),
            (json!({"detail": "Not Found"}), "Not Found"),
            (
                json!({"detail": [{"loc": ["body", "messages"], "msg": "Field required"}]}),
                "[\"body\",\"messages\"]: Field required",
            ),
            (json!({"object": "error", "message": {"detail": [{"msg": "extra"}]}}), "extra"),
            (json!({"error": {"error": {"message": "bad"}}}), "bad"),
            (json!({"errors": [{"message": "bad", "code": 7003}], "success": false}), "bad"),
            (json!({"error": "Unauthorized", "message": "no token"}), "no token"),
            (
                json!({"error": {"message": "Provider error", "metadata": {"raw": "too long"}}}),
                "Provider error: too long",
            ),
            (json!({"error": {"code": 42}}), "{\"code\":42}"),
            (json!({"error": 42}), "42"),
        ] {
            assert_eq!(Complaint::of(&body).unwrap().message, message, "{body}");
        }
        for body in [
            json!({}),
            json!([]),
            json!(null),
            json!(7),
            json!({"choices": [], "error": null}),
            json!({"error": {}, "id": "x", "object": "chat.completion"}),
        ] {
            assert!(Complaint::of(&body).is_none(), "{body}");
        }
        assert_eq!(Complaint::raw(b"<h1>Bad Gateway\xff").message, "<h1>Bad Gateway\u{fffd}");
    }

    #[test]
    fn what_it_is_about() {
        let of = |body: Value| Complaint::of(&body).unwrap();
        let azure = of(json!({"error": {"message": "M", "code": "content_filter",
            "innererror": {"code": "ResponsibleAIPolicyViolation"}, "status": 400}}));
        assert!(azure.is_coded(&["responsibleaipolicyviolation"]));
        assert_eq!(azure.number(), Some(400));
        let google = of(json!({"error": {"code": 429, "message": "M", "details": [
            {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}}));
        assert!(google.is_daily());
        let named = of(json!({"error": {"message": "no temperature here", "param": "max_tokens"}}));
        assert!(named.is_about("max_tokens") && !named.is_about("temperature"));
    }

    #[test]
    fn what_stands_before_a_server_speaks_in_other_shapes() {
        let is_own = |body: Value| Complaint::of(&body).unwrap_or_default().is_own();
        for body in [
            json!({"error": {"message": "bad", "code": 404}}),
            json!([{"error": {"code": 403, "status": "PERMISSION_DENIED"}}]),
            json!({"error": "model 'x' not found"}),
            json!({"object": "error", "message": "bad", "type": "NotFoundError"}),
            json!({"detail": "Not Found"}),
            json!({"errors": [{"message": "bad", "code": 7003}], "success": false}),
        ] {
            assert!(is_own(body.clone()), "{body}");
        }
        for body in [
            json!({"message": "Forbidden"}),
            json!({"message": "no Route matched with those values", "request_id": "1"}),
            json!({"statusCode": 403, "error": "Forbidden", "message": "denied"}),
            json!({"blocked": true}),
            json!("Access denied"),
            json!({}),
        ] {
            assert!(!is_own(body.clone()), "{body}");
        }
        assert!(!Complaint::raw(b"<html>403 Forbidden").is_own());
    }

    #[test]
    fn an_echo_of_the_request_says_nothing() {
        let message =
            "[{'type': 'missing', 'msg': 'Field required', 'input': {'response_format': 1}}]";
        let complaint = Complaint::of(&json!({"error": {"message": message}})).unwrap();
        assert!(complaint.says(&["field required"]) && !complaint.says(&["response_format"]));
    }

    #[test]
    fn what_a_page_says_is_no_word_of_the_endpoint() {
        let alt = "Insufficient_Quota, model not found, seed is unsupported, response_format";
        let asked = [Piece::Text(format!("<page>\nalt: {alt}\n</page>"))];
        for message in [format!("bad prompt: {alt}"), format!("{alt:?}"), alt.to_uppercase()] {
            let body = json!({"error": {"message": message, "type": "invalid_request_error"}});
            let complaint = Complaint::of(&body).unwrap();
            assert!(complaint.says(&["insufficient_quota"]) && complaint.is_about("seed"));
            let complaint = complaint.about(Theirs(&asked));
            for word in ["insufficient_quota", "model not found", "response_format", "unsupported"]
            {
                assert!(!complaint.says(&[word]), "{word} in {message}");
            }
            assert!(!complaint.is_about("seed"));
            assert!(complaint.says(&["invalid_request"]), "its code is its own");
        }
        let own = json!({"error": {"message": "quota", "code": "insufficient_quota"}});
        let own = Complaint::of(&own).unwrap().about(Theirs(&asked));
        assert!(own.says(&["insufficient_quota"]));
    }

    proptest! {
        #[test]
        fn nothing_panics(
            body in hostile::json(),
            raw in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = Complaint::of(&body);
            let _ = Complaint::raw(&raw);
        }
    }
}
