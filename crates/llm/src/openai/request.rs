//! A question as the body of a chat completion.

use std::borrow::Cow;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use super::super::ask::{Ask, Format, InOrder, Piece};
use super::super::trouble::Parameter;

/// What a model wants said differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// It refuses `max_tokens` and wants `max_completion_tokens`.
    pub max_completion_tokens: bool,
    /// It refuses `temperature`.
    pub no_temperature: bool,
    /// It refuses `seed`.
    pub no_seed: bool,
}

impl Dialect {
    /// The dialect without a refused parameter; `None` where it was not sent, so that another try
    /// is in vain.
    pub fn without(self, parameter: Parameter) -> Option<Self> {
        let next = match parameter {
            Parameter::MaxTokens => Self { max_completion_tokens: true, ..self },
            Parameter::Temperature => Self { no_temperature: true, ..self },
            Parameter::Seed => Self { no_seed: true, ..self },
        };
        (next != self).then_some(next)
    }
}

/// The path below the endpoint's base URL.
pub fn path() -> &'static str {
    "chat/completions"
}

/// The body of one request.
pub fn body(ask: &Ask, model: &str, format: Format, dialect: Dialect) -> Vec<u8> {
    serde_json::to_vec(&Body::new(ask, model, format, dialect))
        .expect("strings and numbers are always JSON")
}

/// A request, borrowed from the question.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
}

impl<'a> Body<'a> {
    pub(super) fn new(ask: &'a Ask, model: &'a str, format: Format, dialect: Dialect) -> Self {
        let most = Some(ask.max_tokens);
        Self {
            model,
            messages: messages(ask, format),
            max_tokens: most.filter(|_| !dialect.max_completion_tokens),
            max_completion_tokens: most.filter(|_| dialect.max_completion_tokens),
            temperature: Some(ask.temperature).filter(|_| !dialect.no_temperature),
            // Servers read it as a signed number.
            seed: ask.seed.filter(|_| !dialect.no_seed).map(|seed| seed & i64::MAX.unsigned_abs()),
            response_format: response_format(ask, format),
        }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Part<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: ImageUrl<'a> },
}

#[derive(Serialize)]
struct ImageUrl<'a> {
    url: Address<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Address<'a> {
    Data(DataUrl<'a>),
    Link(&'a str),
}

/// An image as a data URL, written straight into the body, so that it is never held in base64 of its own.
pub struct DataUrl<'a> {
    /// Its media type.
    pub mime: &'static str,
    /// The file.
    pub bytes: &'a [u8],
}

impl Serialize for DataUrl<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let base64 = Base64Display::new(self.bytes, &STANDARD);
        serializer.collect_str(&format_args!("data:{};base64,{base64}", self.mime))
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonSchema { json_schema: JsonSchema<'a> },
    JsonObject,
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    name: &'static str,
    strict: bool,
    schema: InOrder<'a>,
}

fn messages(ask: &Ask, format: Format) -> Vec<Message<'_>> {
    let system = ask.system(format);
    let user = match &ask.user[..] {
        // Text-only servers do not all know parts.
        [Piece::Text(text)] => Content::Text(text.into()),
        pieces => Content::Parts(pieces.iter().map(part).collect()),
    };
    let system =
        (!system.is_empty()).then_some(Message { role: "system", content: Content::Text(system) });
    system.into_iter().chain([Message { role: "user", content: user }]).collect()
}

fn part(piece: &Piece) -> Part<'_> {
    match piece {
        Piece::Text(text) => Part::Text { text },
        Piece::Image { mime, bytes } => image(Address::Data(DataUrl { mime, bytes })),
        Piece::Link(url) => image(Address::Link(url)),
    }
}

fn image(url: Address<'_>) -> Part<'_> {
    Part::ImageUrl { image_url: ImageUrl { url } }
}

fn response_format(ask: &Ask, format: Format) -> Option<ResponseFormat<'_>> {
    match format {
        Format::JsonSchema => Some(ResponseFormat::JsonSchema {
            json_schema: JsonSchema {
                name: ask.schema_name,
                strict: true,
                schema: InOrder(&ask.schema),
            },
        }),
        Format::JsonObject => Some(ResponseFormat::JsonObject),
        Format::Text => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::ask::tests::sample;
    use super::*;
    use base64::Engine;
    use bytes::Bytes;
    use serde_json::{Value, json};

    fn value(ask: &Ask, format: Format, dialect: Dialect) -> Value {
        serde_json::from_slice(&body(ask, "gpt-4o-mini", format, dialect)).unwrap()
    }

    #[test]
    fn a_whole_body() {
        let ask = sample();
        let expected = json!({
            "model": "gpt-4o-mini",
            "messages": [
                {"role": "system", "content": "You write \"instructions\"."},
                {"role": "user", "content": [
                    {"type": "text", "text": "first line\nsecond line"},
                    {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/"}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
                ]},
            ],
            "max_tokens": 256,
            "seed": 7,
            "response_format": {"type": "json_schema", "json_schema": {
                "name": "instruction", "strict": true, "schema": *ask.schema,
            }},
        });
        let mut body = value(&ask, Format::JsonSchema, Dialect::default());
        let temperature = body.as_object_mut().unwrap().remove("temperature").unwrap();
        assert!((temperature.as_f64().unwrap() - 0.2).abs() < 1e-6, "{temperature}");
        assert_eq!(body, expected);
    }

    #[test]
    fn weaker_formats_tell_the_schema() {
        let ask = sample();
        let object = value(&ask, Format::JsonObject, Dialect::default());
        assert_eq!(object["response_format"], json!({"type": "json_object"}));
        let text = value(&ask, Format::Text, Dialect::default());
        assert_eq!(text.get("response_format"), None);
        for body in [object, text] {
            let system = body["messages"][0]["content"].as_str().unwrap();
            assert!(system.contains("JSON Schema: {"), "{system}");
        }
    }

    #[test]
    fn dialects_leave_out_what_is_refused() {
        let ask = sample();
        let dialect = Dialect::default().without(Parameter::MaxTokens).unwrap();
        let body = value(&ask, Format::Text, dialect);
        assert_eq!((body.get("max_tokens"), &body["max_completion_tokens"]), (None, &json!(256)));
        assert!(body.get("temperature").is_some());
        let dialect = dialect.without(Parameter::Temperature).unwrap();
        assert_eq!(value(&ask, Format::Text, dialect).get("temperature"), None);
        assert_eq!(dialect.without(Parameter::MaxTokens), None);
        assert_eq!(dialect.without(Parameter::Temperature), None);
    }

    #[test]
    fn little_is_said_where_there_is_little() {
        let ask = Ask {
            system: String::new(),
            user: vec![Piece::Text("hi".into())],
            seed: Some(u64::MAX),
            ..sample()
        };
        let body = value(&ask, Format::JsonSchema, Dialect::default());
        assert_eq!(body["messages"], json!([{"role": "user", "content": "hi"}]));
        assert_eq!(body["seed"], json!(i64::MAX));
        let body = value(&Ask { seed: None, ..ask }, Format::JsonSchema, Dialect::default());
        assert_eq!(body.get("seed"), None);
    }

    #[test]
    fn an_image_may_be_named_by_its_address() {
        let url = "https://a.example/5f.jpeg?sig=a%2Fb&se=1";
        let user = vec![Piece::Text("hi".into()), Piece::Link(url.into())];
        let body = value(&Ask { user, ..sample() }, Format::Text, Dialect::default());
        let parts = json!([
            {"type": "text", "text": "hi"},
            {"type": "image_url", "image_url": {"url": url}},
        ]);
        assert_eq!(body["messages"][1]["content"], parts);
    }

    #[test]
    fn a_large_image_comes_back_the_same() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| ((n * 31) >> 3) as u8).collect();
        let image = Piece::Image { mime: "image/webp", bytes: Bytes::from(bytes.clone()) };
        let ask = Ask { user: vec![image], ..sample() };
        let body = value(&ask, Format::Text, Dialect::default());
        let url = body.pointer("/messages/1/content/0/image_url/url").unwrap().as_str().unwrap();
        let base64 = url.strip_prefix("data:image/webp;base64,").unwrap();
        assert_eq!(STANDARD.decode(base64).unwrap(), bytes);
    }
}
