//! What is asked of a model and what comes back, whatever the wire.
//!
//! Values only: the JSON of each wire is in `openai` and `gemini`, and what goes
//! wrong in `trouble`.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use magiclens_common::config::ResponseFormat;

/// A part of what the model is told.
#[derive(Clone)]
pub enum Piece {
    /// Words.
    Text(String),
    /// A picture, encoded.
    Image {
        /// Its media type, such as `image/jpeg`.
        mime: &'static str,
        /// The file as it is.
        bytes: Bytes,
    },
    /// A picture, by an address that whoever answers can read.
    Link(String),
}

impl Piece {
    /// An image file. Stored images were recognised before; JPEG is what the exceptions would be.
    pub fn image(bytes: Bytes) -> Self {
        Self::Image {
            mime: magiclens_imaging::Format::sniff(&bytes)
                .unwrap_or(magiclens_imaging::Format::Jpeg)
                .media_type(),
            bytes,
        }
    }
}

/// One question to a model, whatever the wire.
#[derive(Clone)]
pub struct Ask {
    /// What the model is told about its task; empty: nothing.
    pub system: String,
    /// What it is shown and asked, in this order.
    pub user: Vec<Piece>,
    /// What the schema is called; letters, digits, `_` and `-`.
    pub schema_name: &'static str,
    /// JSON Schema of the answer.
    pub schema: Arc<Value>,
    /// The most tokens that it may answer with.
    pub max_tokens: u32,
    /// Sampling temperature.
    pub temperature: f32,
    /// Seed of the sampling, where the endpoint honours one.
    pub seed: Option<u64>,
}

impl Ask {
    /// The system text, with the schema spelled out where `format` does not carry it.
    pub fn system(&self, format: Format) -> Cow<'_, str> {
        if format == Format::JsonSchema {
            return Cow::Borrowed(&self.system);
        }
        let gap = if self.system.is_empty() { "" } else { "\n\n" };
        Cow::Owned(format!(
            "{}{gap}Answer with one JSON object and nothing else. It fits this JSON Schema: {}",
            self.system,
            serde_json::to_string(&InOrder(&self.schema)).expect("a schema is JSON")
        ))
    }
}

/// A JSON Schema with its properties in the order of `required`, which is the order in which models
/// write them: they are to reason before they decide, and a JSON map has no order.
pub struct InOrder<'a>(pub &'a Value);

impl Serialize for InOrder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => {
                let mut out = serializer.serialize_map(Some(map.len()))?;
                for (key, value) in map {
                    match (key.as_str(), value) {
                        ("properties", Value::Object(properties)) => {
                            out.serialize_entry(
                                key,
                                &Properties(properties, &map.get("required")),
                            )?;
                        }
                        _ => out.serialize_entry(key, &InOrder(value))?,
                    }
                }
                out.end()
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(InOrder)),
            value => value.serialize(serializer),
        }
    }
}

struct Properties<'a>(&'a Map<String, Value>, &'a Option<&'a Value>);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(properties, required) = self;
        let names = required.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let place = |key: &str| names.iter().position(|name| name == key).unwrap_or(names.len());
        let mut entries: Vec<_> = properties.iter().collect();
        entries.sort_by_key(|(key, _)| place(key));
        serializer.collect_map(entries.into_iter().map(|(key, value)| (key, InOrder(value))))
    }
}

/// How the endpoint is told what shape the answer has; later ones ask less of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// It is held to the schema.
    JsonSchema,
    /// It is held to JSON; the schema is only told.
    JsonObject,
    /// It is only told.
    Text,
}

impl From<ResponseFormat> for Format {
    /// What is tried first.
    fn from(configured: ResponseFormat) -> Self {
        match configured {
            ResponseFormat::Auto | ResponseFormat::JsonSchema => Self::JsonSchema,
            ResponseFormat::JsonObject => Self::JsonObject,
            ResponseFormat::Text => Self::Text,
        }
    }
}

impl Format {
    /// The next one, that asks less; `None` after the last.
    pub fn weaker(self) -> Option<Self> {
        match self {
            Self::JsonSchema => Some(Self::JsonObject),
            Self::JsonObject => Some(Self::Text),
            Self::Text => None,
        }
    }
}

/// Tokens, as the endpoint counted (and bills) them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the prompt, images included.
    pub input: u64,
    /// Of the answer, thinking included.
    pub output: u64,
}

/// What came back, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The model finished.
    Said {
        /// Its words, untouched.
        text: String,
        /// What they cost.
        usage: Option<Usage>,
    },
    /// The model ran into the most tokens it may answer with; `text` may be empty, where it only
    /// thought.
    Cut {
        /// Its words up to there.
        text: String,
        /// What they cost.
        usage: Option<Usage>,
    },
    /// The model, or a filter around it, would not answer.
    Refused {
        /// The reason given, safe to log.
        detail: String,
        /// What it cost.
        usage: Option<Usage>,
    },
}

impl Answer {
    /// What it cost, where the endpoint says so.
    pub fn usage(&self) -> Option<Usage> {
        match self {
            Self::Said { usage, .. } | Self::Cut { usage, .. } | Self::Refused { usage, .. } => {
                *usage
            }
        }
    }
}

/// A number of tokens in whatever form it was written; nothing where it is none.
pub fn tokens(value: &Value) -> Option<u64> {
    // A float is cast saturating, so a negative count is 0.
    value.as_u64().or_else(|| value.as_f64().map(|number| number as u64))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A question with two pictures.
    pub(crate) fn sample() -> Ask {
        Ask {
            system: "You write \"instructions\".".into(),
            user: vec![
                Piece::Text("first line\nsecond line".into()),
                Piece::Image { mime: "image/jpeg", bytes: Bytes::from_static(&[0xff, 0xd8, 0xff]) },
                Piece::Image { mime: "image/png", bytes: Bytes::from_static(b"png") },
            ],
            schema_name: "instruction",
            schema: Arc::new(json!({
                "type": "object",
                "properties": {"text": {"type": "string"}},
                "required": ["text"],
                "additionalProperties": false,
            })),
            max_tokens: 256,
            temperature: 0.2,
            seed: Some(7),
        }
    }

    #[test]
    fn formats_end() {
        let all: Vec<_> =
            std::iter::successors(Some(Format::JsonSchema), |format| format.weaker()).collect();
        assert_eq!(all, [Format::JsonSchema, Format::JsonObject, Format::Text]);
    }

    #[test]
    fn the_schema_is_told_where_the_wire_does_not_carry_it() {
        let mut ask = sample();
        assert_eq!(ask.system(Format::JsonSchema), ask.system);
        for format in [Format::JsonObject, Format::Text] {
            let told = ask.system(format);
            assert!(told.starts_with(&ask.system), "{told}");
            assert!(told.ends_with(&ask.schema.to_string()), "{told}");
        }
        ask.system.clear();
        assert!(ask.system(Format::Text).starts_with("Answer with"));
    }

    #[test]
    fn properties_come_in_the_order_they_are_required_in() {
        let schema = json!({
            "properties": {
                "a": {"properties": {"d": {}, "e": {}}, "required": ["e", "d"]},
                "b": {},
                "c": {"enum": ["z", "y"]},
            },
            "required": ["c", "a"],
        });
        assert_eq!(
            serde_json::to_string(&InOrder(&schema)).unwrap(),
            r#"{"properties":{"c":{"enum":["z","y"]},"a":{"properties":{"e":{},"d":{}},"#
                .to_owned()
                + r#""required":["e","d"]},"b":{}},"required":["c","a"]}"#
        );
    }

    #[test]
    fn tokens_in_any_number() {
        for (value, count) in [
            (json!(12), Some(12)),
            (json!(12.0), Some(12)),
            (json!(-1), Some(0)),
            (json!(1e300), Some(u64::MAX)),
            (json!("12"), None),
            (json!(null), None),
        ] {
            assert_eq!(tokens(&value), count, "{value}");
        }
    }
}
