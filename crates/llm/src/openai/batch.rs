//! Lines of the Batch API: questions in, answers out, a JSON object each.
//!
//! OpenAI's output and error files and those of vLLM's `run-batch`, which leaves the body out and
//! puts its error, an object or a string, beside it
//! (<https://platform.openai.com/docs/guides/batch>).

use std::time::SystemTime;

use reqwest::header::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::ask::{Answer, Ask, Format};
use super::super::complaint::Theirs;
use super::super::trouble::{Trouble, broken};
use super::reply::read_value;
use super::request::{Body, Dialect};

#[derive(Serialize)]
struct Line<'a> {
    custom_id: &'a str,
    method: &'static str,
    url: &'static str,
    body: Body<'a>,
}

/// One question as a line, without its line break.
pub fn batch_line(
    custom_id: &str,
    ask: &Ask,
    model: &str,
    format: Format,
    dialect: Dialect,
) -> Vec<u8> {
    let body = Body::new(ask, model, format, dialect);
    let line = Line { custom_id, method: "POST", url: "/v1/chat/completions", body };
    serde_json::to_vec(&line).expect("strings and numbers are always JSON")
}

/// One answer of a line, by the id of its question; `None` where the line is of no answer.
pub fn read_batch_line(line: &[u8], now: SystemTime) -> Option<(String, Result<Answer, Trouble>)> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let id = line.get("custom_id")?.as_str()?.to_owned();
    Some((id, answer(&line["error"], &line["response"], now)))
}

fn answer(error: &Value, response: &Value, now: SystemTime) -> Result<Answer, Trouble> {
    let status = response["status_code"].as_u64().and_then(|status| u16::try_from(status).ok());
    // The question is not at hand, and no line ends the run or changes how others are asked.
    let (headers, theirs) = (HeaderMap::new(), Theirs(&[]));
    match (&response["body"], error) {
        (Value::Null, Value::Null) => {
            Err(broken(status.unwrap_or(0), "no body and no error", None))
        }
        // A line that expired has no status.
        (Value::Null, error) => {
            read_value(status.unwrap_or(0), &headers, &json!({ "error": error }), theirs, now)
        }
        (body, _) => read_value(status.unwrap_or(200), &headers, body, theirs, now),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::ask::Usage;
    use super::super::super::ask::tests::sample;
    use super::super::super::hostile;
    use super::*;
    use proptest::prelude::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn of(line: Value) -> Option<(String, Result<Answer, Trouble>)> {
        read_batch_line(line.to_string().as_bytes(), NOW)
    }

    #[test]
    fn a_line_is_one_line() {
        let (ask, dialect) = (sample(), Dialect::default());
        let line = batch_line("pair-1", &ask, "gpt-4o-mini", Format::JsonObject, dialect);
        assert!(!line.contains(&b'\n'));
        let line: Value = serde_json::from_slice(&line).unwrap();
        let body = super::super::body(&ask, "gpt-4o-mini", Format::JsonObject, dialect);
        assert_eq!(line["body"], serde_json::from_slice::<Value>(&body).unwrap());
        assert_eq!(line["custom_id"], "pair-1");
        assert_eq!(line["method"], "POST");
        assert_eq!(line["url"], "/v1/chat/completions");
    }

    #[test]
    fn answers_of_openai() {
        let line = json!({
            "id": "batch_req_123", "custom_id": "pair-2",
            "response": {"status_code": 200, "request_id": "req_123", "body": {
                "object": "chat.completion",
                "choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 22, "completion_tokens": 2},
            }},
            "error": null,
        });
        let usage = Some(Usage { input: 22, output: 2 });
        let said = Answer::Said { text: "Hello.".into(), usage };
        assert_eq!(of(line), Some(("pair-2".into(), Ok(said))));
    }

    #[test]
    fn errors_of_openai_and_vllm() {
        let broken = |detail: &str| Trouble::Broken { detail: detail.into(), usage: None };
        let skip = |detail: &str| Trouble::Skip { refused: false, detail: detail.into() };
        for (response, error, trouble) in [
            (
                json!(null),
                json!({"code": "batch_expired", "message": "The completion window expired."}),
                broken("The completion window expired."),
            ),
            (
                json!({"status_code": 400, "body": {"error": {"message": "Image too small"}}}),
                json!(null),
                skip("status 400: Image too small"),
            ),
            (
                json!({"status_code": 429, "body": {"error": {"message": "slow"}}}),
                json!(null),
                Trouble::Busy { after: None, detail: "status 429: slow".into() },
            ),
            (
                json!({"status_code": 400, "request_id": "vllm-batch-1", "body": null}),
                json!({"object": "error", "message": "prompt too long", "code": 400}),
                skip("status 400: prompt too long"),
            ),
            (
                json!({"status_code": 400, "request_id": "vllm-batch-1"}),
                json!({"error": {"message": "prompt too long", "code": 400}}),
                skip("status 400: prompt too long"),
            ),
            (json!(null), json!("The engine died"), broken("The engine died")),
            (json!(null), json!({"message": "too long", "code": 400}), skip("too long")),
            (json!(null), json!(null), broken("no body and no error")),
            (
                json!({"status_code": 200, "body": {"choices": []}}),
                json!(null),
                broken("status 200: no choices"),
            ),
        ] {
            let line =
                json!({"id": "x", "custom_id": "pair-3", "response": response, "error": error});
            assert_eq!(of(line), Some(("pair-3".into(), Err(trouble))));
        }
    }

    #[test]
    fn other_lines_are_of_no_answer() {
        for line in [json!({"id": "x"}), json!({"custom_id": 7}), json!([]), json!("custom_id")] {
            assert_eq!(of(line), None);
        }
        assert_eq!(read_batch_line(b"{\"custom_id\": \"half", NOW), None);
    }

    proptest! {
        #[test]
        fn no_line_panics(
            line in prop::collection::vec(any::<u8>(), 0..200),
            response in hostile::json(),
            error in hostile::json(),
        ) {
            let _ = read_batch_line(&line, NOW);
            let whole = json!({"custom_id": "a", "response": response, "error": error});
            prop_assert!(of(whole).is_some());
            let _ = of(response);
        }
    }
}
