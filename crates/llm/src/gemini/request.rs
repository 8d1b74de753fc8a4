//! A question as the body of `generateContent`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::super::ask::{Ask, Format, Piece};
use super::schema::response_schema;

/// The path below the endpoint's base URL; `None` where that is no name of a model.
///
/// A name with a slash, as Vertex AI has them (`publishers/google/models/…`), is taken as it is.
pub fn path(model: &str) -> Option<String> {
    let named = |char: char| char.is_ascii_alphanumeric() || "._-@".contains(char);
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && name.chars().all(named);
    if !model.split('/').all(is_name) {
        return None;
    }
    let folder = if model.contains('/') { "" } else { "models/" };
    Some(format!("{folder}{model}:generateContent"))
}

/// The body of one request; `safety_settings` by category.
pub fn body(ask: &Ask, format: Format, safety_settings: &BTreeMap<String, String>) -> Vec<u8> {
    let system = ask.system(format);
    let body = Body {
        system_instruction: (!system.is_empty())
            .then_some(Content { role: None, parts: vec![Part::Text(system)] }),
        contents: [Content { role: Some("user"), parts: ask.user.iter().map(part).collect() }],
        generation_config: generation_config(ask, format),
        safety_settings: safety_settings
            .iter()
            .map(|(category, threshold)| SafetySetting { category, threshold })
            .collect(),
    };
    serde_json::to_vec(&body).expect("strings and numbers are always JSON")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'a>>,
    contents: [Content<'a>; 1],
    generation_config: GenerationConfig,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    safety_settings: Vec<SafetySetting<'a>>,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Part<'a> {
    Text(Cow<'a, str>),
    InlineData(InlineData<'a>),
    FileData(FileData<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InlineData<'a> {
    mime_type: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileData<'a> {
    file_uri: &'a str,
}

/// Written straight into the body, so an image is never held in base64 of its own.
struct Data<'a>(&'a [u8]);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    temperature: f32,
    max_output_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_schema: Option<Value>,
}

#[derive(Serialize)]
struct SafetySetting<'a> {
    category: &'a str,
    threshold: &'a str,
}

fn part(piece: &Piece) -> Part<'_> {
    match piece {
        Piece::Text(text) => Part::Text(text.into()),
        Piece::Image { mime, bytes } => {
            Part::InlineData(InlineData { mime_type: mime, data: Data(bytes) })
        }
        Piece::Link(url) => Part::FileData(FileData { file_uri: url }),
    }
}

fn generation_config(ask: &Ask, format: Format) -> GenerationConfig {
    GenerationConfig {
        temperature: ask.temperature,
        max_output_tokens: ask.max_tokens,
        // Google reads it as a signed 32-bit number.
        seed: ask.seed.map(|seed| seed & u64::from(i32::MAX.unsigned_abs())),
        response_mime_type: (format != Format::Text).then_some("application/json"),
        response_schema: (format == Format::JsonSchema).then(|| response_schema(&ask.schema)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::ask::tests::sample;
    use super::*;
    use serde_json::json;

    fn value(ask: &Ask, format: Format, safety: &[(&str, &str)]) -> Value {
        let safety = safety.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        serde_json::from_slice(&body(ask, format, &safety)).unwrap()
    }

    #[test]
    fn an_image_may_be_named_by_its_address() {
        let user = vec![Piece::Link("https://a.example/5f.jpeg".into())];
        let body = value(&Ask { user, ..sample() }, Format::Text, &[]);
        let parts = json!([{"fileData": {"fileUri": "https://a.example/5f.jpeg"}}]);
        assert_eq!(body["contents"][0]["parts"], parts);
    }

    #[test]
    fn a_whole_body() {
        let ask = Ask { temperature: 0.5, ..sample() };
        let expected = json!({
            "systemInstruction": {"parts": [{"text": "You write \"instructions\"."}]},
            "contents": [{"role": "user", "parts": [
                {"text": "first line\nsecond line"},
                {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/"}},
                {"inlineData": {"mimeType": "image/png", "data": "cG5n"}},
            ]}],
            "generationConfig": {
                "temperature": 0.5,
                "maxOutputTokens": 256,
                "seed": 7,
                "responseMimeType": "application/json",
                "responseSchema": response_schema(&ask.schema),
            },
            "safetySettings": [
                {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"},
                {"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_ONLY_HIGH"},
            ],
        });
        let safety = [
            ("HARM_CATEGORY_HATE_SPEECH", "BLOCK_ONLY_HIGH"),
            ("HARM_CATEGORY_HARASSMENT", "BLOCK_NONE"),
        ];
        assert_eq!(value(&ask, Format::JsonSchema, &safety), expected);
    }

    #[test]
    fn weaker_formats_tell_the_schema() {
        let ask = Ask { seed: Some(u64::MAX), ..sample() };
        let object = value(&ask, Format::JsonObject, &[]);
        assert_eq!(object["generationConfig"]["responseMimeType"], "application/json");
        assert_eq!(object["generationConfig"]["seed"], i32::MAX);
        assert_eq!(object.get("safetySettings"), None);
        let text = value(&Ask { seed: None, ..ask }, Format::Text, &[]);
        assert_eq!(text["generationConfig"].get("responseMimeType"), None);
        assert_eq!(text["generationConfig"].get("seed"), None);
        for body in [object, text] {
            assert_eq!(body["generationConfig"].get("responseSchema"), None);
            let system = body.pointer("/systemInstruction/parts/0/text").unwrap();
            assert!(system.as_str().unwrap().contains("JSON Schema: {"), "{system}");
        }
    }

    #[test]
    fn no_system_text_is_not_sent() {
        let ask = Ask { system: String::new(), ..sample() };
        assert_eq!(value(&ask, Format::JsonSchema, &[]).get("systemInstruction"), None);
    }

    #[test]
    fn paths() {
        for (model, expected) in [
            ("gemini-2.5-flash", Some("models/gemini-2.5-flash:generateContent")),
            ("gemini-1.5-pro@001", Some("models/gemini-1.5-pro@001:generateContent")),
            ("models/gemini-2.5-flash", Some("models/gemini-2.5-flash:generateContent")),
            ("publishers/google/models/x", Some("publishers/google/models/x:generateContent")),
            ("", None),
            ("/x", None),
            ("x/", None),
            ("a/../b", None),
            ("x?key=1", None),
            ("x:y", None),
            ("x y", None),
            ("x%2f", None),
            ("ü", None),
        ] {
            assert_eq!(path(model).as_deref(), expected, "{model:?}");
        }
    }
}
