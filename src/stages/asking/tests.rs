//! Hashes that replies were paid under.

use serde_json::{Value, json};

use super::*;
use crate::config::{Introduced, Renamed, Settings};
use crate::endpoint::{DEMONSTRATIONS, DESCRIBE_PROMPTS, INSTRUCT_PROMPTS};

fn texts(step: &str) -> Texts<'static> {
    let (prompt, demonstrations) = match step {
        "describe" => (&DESCRIBE_PROMPTS[0], ""),
        _ => (&INSTRUCT_PROMPTS[0], DEMONSTRATIONS[0].text),
    };
    Texts { prompt: prompt.text, demonstrations, schema: prompt.schema, schema_name: "x" }
}

/// The defaults of 25d6a2e.
fn then() -> Config {
    toml::from_str(Config::HISTORY.first).unwrap()
}

fn endpoint(step: &str) -> Endpoint {
    let Config { describe, instruct, .. } = then();
    if step == "describe" { describe.endpoint } else { instruct.endpoint }
}

#[test]
fn replies_are_found_under_the_hashes_of_25d6a2e() {
    // Batch files are of OpenAI's wire.
    for (step, wire, expected) in [
        ("describe", Wire::OpenAi, "62202f3a401d2c2f5cc3dd7614f8ea21"),
        ("describe", Wire::Gemini, "98478688d2b38fb1d153a99a668612df"),
        ("instruct", Wire::OpenAi, "0a34410c833c16f50f74d0821bcd3367"),
        ("instruct", Wire::Gemini, "35ede2e0ae37550141c9f82b1963deb6"),
    ] {
        assert_eq!(prompt_hash(step, wire, &endpoint(step), &texts(step)), expected, "{step}");
    }
    let paid = Endpoint { model: "test-model".into(), temperature: 0.35, ..endpoint("instruct") };
    let hash = prompt_hash("instruct", Wire::OpenAi, &paid, &texts("instruct"));
    assert_eq!(hash, "1d02c8ff09057833fad624666345a01c");
}

#[test]
fn what_changes_no_answer_changes_no_hash() {
    let of =
        |endpoint: Endpoint| prompt_hash("describe", Wire::OpenAi, &endpoint, &texts("describe"));
    let base = endpoint("describe");
    let faster = Endpoint { base_url: "http://x".into(), concurrency: 3, ..base.clone() };
    assert_eq!(of(faster), of(base.clone()));
    assert_ne!(of(Endpoint { seed: 2, ..base.clone() }), of(base));
}

const LATER: History = History {
    introduced: &[Introduced { key: "instruct.endpoint.top_p", default: "1.0" }],
    renamed: &[Renamed { key: "instruct.endpoint.random_seed", once: &["instruct.endpoint.seed"] }],
    ..History::NONE
};

#[test]
fn a_later_key_of_an_endpoint_changes_a_hash_only_off_its_first_default() {
    let mut later = serde_json::to_value(endpoint("instruct")).unwrap();
    let keys = later.as_object_mut().unwrap();
    let seed = keys.remove("seed").unwrap();
    keys.insert("random_seed".into(), seed);
    let of = |top_p: Value| {
        let mut later = later.clone();
        later["top_p"] = top_p;
        prompt_hash_as(&LATER, "instruct", Wire::OpenAi, &later, &texts("instruct"))
    };
    assert_eq!(of(json!(1.0)), "0a34410c833c16f50f74d0821bcd3367");
    assert_ne!(of(json!(0.9)), of(json!(1.0)));
}

#[test]
fn a_text_is_built_in_or_a_file_of_the_users() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.md");
    std::fs::write(&path, "mine").unwrap();
    let of = |path: &Path| text_of("describe.prompt", path, DESCRIBE_PROMPTS);
    let (empty, named) = (of(Path::new("")), of(Path::new("built-in:describe.v1")));
    let (empty, named, own) = (empty.unwrap(), named.unwrap(), of(&path).unwrap());
    assert_eq!((&empty.text, empty.schema), (&named.text, named.schema));
    assert_eq!((own.text.as_str(), own.schema), ("mine", DESCRIBE_PROMPTS[0].schema));
    let error = of(Path::new("built-in:describe.v9")).err().unwrap();
    assert!(matches!(error, StageError::Prompt { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "describe.prompt: no text is built in as built-in:describe.v9; there is built-in:describe.v1"
    );
    assert!(of(&folder.path().join("none.md")).is_err());
}
