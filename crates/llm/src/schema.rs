//! Answers of models as typed values: found in the reply, checked against a JSON Schema, read.
//!
//! Not every server holds a model to a schema, and a model that thinks aloud does so around its answer;
//! what is sent along as a schema is therefore checked here as well. <https://json-schema.org>

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

/// The most characters of a reason.
const MAX_DETAIL: usize = 300;

/// Opening braces that are tried as the start of an answer.
const MAX_STARTS: usize = 32;

/// Longest reply that is looked at, in bytes.
const MAX_REPLY: usize = 1 << 20;

/// What ends the part of a reply that a reasoning model writes for itself.
const THOUGHT: &str = "</think>";

/// Why a schema cannot be used.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// It is not JSON.
    #[error("reading a schema: {0}")]
    Json(#[from] serde_json::Error),
    /// It is JSON and no schema.
    #[error("compiling a schema: {0}")]
    Invalid(String),
}

/// Why a reply is no answer; without the reply's text, which may be a page's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// It holds no JSON object.
    #[error("no JSON object: {0}")]
    NotJson(String),
    /// The object does not have the form that was asked for.
    #[error("not to the schema: {0}")]
    Schema(String),
}

/// A schema, ready to be sent and to be checked against.
#[derive(Clone, Debug)]
pub struct Checked {
    value: Arc<Value>,
    validator: Arc<jsonschema::Validator>,
}

impl Checked {
    /// Compiles a schema.
    pub fn new(text: &str) -> Result<Self, SchemaError> {
        let value: Value = serde_json::from_str(text)?;
        let validator = jsonschema::validator_for(&value)
            .map_err(|problem| SchemaError::Invalid(short(problem.to_string())))?;
        Ok(Self { value: value.into(), validator: validator.into() })
    }

    /// The schema as a value. Requests send it [in the order](super::ask::InOrder) of `required`.
    pub fn value(&self) -> Arc<Value> {
        Arc::clone(&self.value)
    }

    /// Reads the first object in a reply that has the form.
    ///
    /// Thoughts in `<think>` are passed over, and so is whatever stands around the object: a code
    /// fence, a greeting.
    pub fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, Unfit> {
        if text.len() > MAX_REPLY {
            return Err(Unfit::NotJson(format!("a reply of {} bytes", text.len())));
        }
        // An answer may speak of </think> itself, so the whole text comes first.
        if let Ok(value) = serde_json::from_str::<Value>(text) {
            return if value.is_object() {
                self.check(value)
            } else {
                Err(Unfit::NotJson("JSON of another type".into()))
            };
        }
        let answer = text.find(THOUGHT).map(|at| &text[at + THOUGHT.len()..]);
        match (answer, text.trim_start().starts_with("<think>")) {
            (None, true) => Err(Unfit::NotJson("the reply ends inside <think>".into())),
            (None, false) => self.search(text),
            (Some(answer), true) => self.search(answer),
            // Some servers drop the opening tag; else the tag is a word of the answer.
            (Some(answer), false) => self.search(answer).or_else(|_| self.search(text)),
        }
    }

    /// Tries every place where an object may start; the reason of the first object counts.
    fn search<T: DeserializeOwned>(&self, text: &str) -> Result<T, Unfit> {
        let mut problem = None;
        let mut at = 0;
        for _ in 0..MAX_STARTS {
            let Some(start) = text[at..].find('{').map(|found| at + found) else { break };
            let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter();
            let (outcome, length) = match values.next() {
                Some(Ok(value)) => (self.check(value), values.byte_offset()),
                Some(Err(error)) => (Err(Unfit::NotJson(short(error.to_string()))), 1),
                None => break,
            };
            match (outcome, &problem) {
                (Ok(answer), _) => return Ok(answer),
                (Err(new), None | Some(Unfit::NotJson(_))) if matches!(new, Unfit::Schema(_)) => {
                    problem = Some(new);
                }
                (Err(new), None) => problem = Some(new),
                (Err(_), Some(_)) => {}
            }
            at = start + length;
        }
        let nothing =
            || Unfit::NotJson(format!("{} characters of text", text.trim().chars().count()));
        Err(problem.unwrap_or_else(nothing))
    }

    /// Checks one object and reads it.
    fn check<T: DeserializeOwned>(&self, value: Value) -> Result<T, Unfit> {
        if let Err(problem) = self.validator.validate(&value) {
            let place = problem.instance_path();
            return Err(Unfit::Schema(short(format!("at \"{place}\": {}", problem.masked()))));
        }
        serde_json::from_value(value).map_err(|problem| Unfit::Schema(short(problem.to_string())))
    }
}

/// Keeps what fits in a table.
fn short(text: String) -> String {
    text.chars().take(MAX_DETAIL).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::ask::InOrder;

    const FILES: [&str; 2] = [
        include_str!("../../../schemas/describe.json"),
        include_str!("../../../schemas/instruct.json"),
    ];

    /// The keywords that OpenAI's strict mode, vLLM and llama.cpp all accept.
    const KEYWORDS: [&str; 8] = [
        "type",
        "properties",
        "description",
        "items",
        "maxItems",
        "enum",
        "required",
        "additionalProperties",
    ];

    #[derive(Debug, PartialEq, Deserialize)]
    struct Reply {
        reasoning: String,
        keep: bool,
        instructions: Vec<String>,
    }

    const GOOD: &str = r#"{"reasoning": "a } {b", "relation": "r", "keep": true, "instructions": ["x </think> {y}"]}"#;

    fn checked() -> Checked {
        Checked::new(FILES[1]).unwrap()
    }

    fn read(text: &str) -> Result<Reply, Unfit> {
        checked().read(text)
    }

    #[test]
    fn schemas_are_strict_and_plain() {
        for file in FILES {
            let schema = Checked::new(file).unwrap().value();
            assert_eq!(schema["additionalProperties"], false);
            let named = schema["properties"].as_object().unwrap();
            let required = schema["required"].as_array().unwrap();
            assert_eq!(named.len(), required.len());
            assert!(required.iter().all(|name| named.contains_key(name.as_str().unwrap())));
            for part in named.values().chain([&*schema]).chain(named.values().map(|p| &p["items"]))
            {
                let keys = part.as_object().into_iter().flat_map(|part| part.keys());
                keys.for_each(|key| assert!(KEYWORDS.contains(&key.as_str()), "{key}"));
            }
        }
    }

    #[test]
    fn order_and_text_survive_into_a_request() {
        let sent = serde_json::to_string(&InOrder(&checked().value())).unwrap();
        let places: Vec<_> = ["reasoning", "relation", "keep", "instructions"]
            .iter()
            .map(|key| sent.find(&format!("\"{key}\":{{")).unwrap())
            .collect();
        assert!(places.is_sorted(), "{sent}");
    }

    #[test]
    fn answers_are_found_in_replies() {
        for reply in [
            GOOD.to_owned(),
            format!("\n  {GOOD}  \n"),
            format!("```json\n{GOOD}\n```"),
            format!("<think>\nshould I say {{}}? {{\"keep\": false}}\n</think>\n\n{GOOD}"),
            format!("no tag opens here </think>\n```\n{GOOD}\n```\n"),
            format!("Sure! For {{these}}: {GOOD} I hope that helps :}}"),
            format!("{{\"draft\": 1}} {GOOD}"),
        ] {
            assert_eq!(read(&reply).unwrap().instructions, ["x </think> {y}"], "{reply}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_shortly() {
        let not_json = |text: &str| match read(text) {
            Err(Unfit::NotJson(detail)) => detail,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(not_json(""), "0 characters of text");
        assert_eq!(not_json("I'm sorry, I can't."), "19 characters of text");
        assert_eq!(not_json("[1]"), "JSON of another type");
        assert_eq!(not_json("<think> {\"keep\": true}"), "the reply ends inside <think>");
        assert!(not_json(&GOOD[..40]).starts_with("EOF while parsing"));
        assert!(not_json(&" ".repeat(MAX_REPLY + 1)).starts_with("a reply of"));
        let schema = |text: &str| match read(text) {
            Err(Unfit::Schema(detail)) => detail,
            other => panic!("{text}: {other:?}"),
        };
        assert!(schema("{}").contains("required"));
        let detail = schema(&GOOD.replace("true", "\"SECRET\""));
        assert!(detail.starts_with("at \"/keep\"") && !detail.contains("SECRET"), "{detail}");
        assert!(schema(&GOOD.replace("\"keep\"", "\"more\": 1, \"keep\"")).contains("more"));
        let long = GOOD.replace("\"keep\"", &format!("\"{}\": 1, \"keep\"", "x".repeat(900)));
        assert_eq!(schema(&long).chars().count(), MAX_DETAIL);
    }

    #[test]
    fn bad_schemas_are_refused() {
        assert!(matches!(Checked::new("{"), Err(SchemaError::Json(_))));
        assert!(matches!(Checked::new(r#"{"type": "objct"}"#), Err(SchemaError::Invalid(_))));
    }

    proptest! {
        #[test]
        fn never_panics(text in r#"([{}"\[\]:,a]|</think>|<think>|\PC){0,60}"#) {
            if let Err(Unfit::NotJson(detail) | Unfit::Schema(detail)) = read(&text) {
                prop_assert!(detail.chars().count() <= MAX_DETAIL);
            }
        }

        #[test]
        fn an_answer_is_found_whatever_stands_before_it(text in r"[^{<]{0,60}") {
            let reply = format!("{text}{GOOD}");
            prop_assert!(read(&reply).is_ok());
        }
    }
}
