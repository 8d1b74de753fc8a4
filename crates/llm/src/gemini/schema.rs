//! JSON Schema as the part of it that Gemini's `responseSchema` knows.
//!
//! Types in capitals, `nullable` instead of a null type, no references, and an order of the
//! properties, which JSON objects do not have (<https://ai.google.dev/api/caching#Schema>).
//! What is dropped is not checked by the endpoint, so the answer is held to the whole schema here.

use serde_json::{Map, Value, json};

/// How deep a schema may be; a reference to itself ends here.
const DEEPEST: usize = 24;
/// What is taken as it is.
const KEPT: [&str; 6] = ["description", "nullable", "minItems", "maxItems", "minimum", "maximum"];

/// Converts a JSON Schema to the subset; what that cannot say is left out.
pub fn response_schema(schema: &Value) -> Value {
    convert(schema, schema, DEEPEST)
}

fn convert(schema: &Value, root: &Value, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else { return json!({}) };
    let convert = |schema: &Value| convert(schema, root, depth);
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return convert(target.unwrap_or(&Value::Null));
    }
    if let Some([only]) = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        return convert(only);
    }
    let mut out = Map::new();
    let kept = KEPT.iter().filter_map(|key| Some(((*key).to_owned(), schema.get(key)?.clone())));
    out.extend(kept);
    kind(schema, &mut out);
    choices(schema, &mut out);
    variants(schema, &mut out, convert);
    if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
        out.insert("items".into(), convert(items));
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        fields(schema, properties, &mut out, convert);
    }
    Value::Object(out)
}

/// `type`, as one name or several.
fn kind(schema: &Value, out: &mut Map<String, Value>) {
    let Some(kind) = schema.get("type") else { return };
    let names: Vec<&str> = match kind {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        name => name.as_str().into_iter().collect(),
    };
    let real: Vec<_> = names.iter().filter(|name| **name != "null").collect();
    if real.len() < names.len() {
        out.insert("nullable".into(), true.into());
    }
    match real[..] {
        [] => {}
        [name] => drop(out.insert("type".into(), name.to_uppercase().into())),
        _ => {
            let any = real.iter().map(|name| json!({"type": name.to_uppercase()}));
            out.insert("anyOf".into(), any.collect());
        }
    }
}

/// `enum` and `const`; only of strings, and null among them is `nullable`.
fn choices(schema: &Value, out: &mut Map<String, Value>) {
    let single = schema.get("const").map(std::slice::from_ref);
    let all = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice);
    let Some(all) = all.or(single) else { return };
    let (nulls, real): (Vec<_>, Vec<_>) = all.iter().partition(|value| value.is_null());
    if !nulls.is_empty() {
        out.insert("nullable".into(), true.into());
    }
    if !real.is_empty() && real.iter().all(|value| value.is_string()) {
        out.entry("type").or_insert_with(|| "STRING".into());
        out.insert("enum".into(), real.into_iter().cloned().collect());
    }
}

/// `anyOf` and `oneOf`, a null among them as `nullable`.
fn variants(schema: &Value, out: &mut Map<String, Value>, convert: impl Fn(&Value) -> Value) {
    let all = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    let Some(all) = all else { return };
    let is_null = |schema: &&Value| schema.get("type").is_some_and(|kind| kind == "null");
    let mut real: Vec<_> = all.iter().filter(|schema| !is_null(schema)).map(convert).collect();
    if real.len() < all.len() {
        out.insert("nullable".into(), true.into());
    }
    match &mut real[..] {
        [] => {}
        // Its own words win over those around it.
        [Value::Object(only)] => out.append(only),
        _ => drop(out.insert("anyOf".into(), real.into())),
    }
}

fn fields(
    schema: &Value,
    properties: &Map<String, Value>,
    out: &mut Map<String, Value>,
    convert: impl Fn(&Value) -> Value,
) {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let mut order: Vec<&str> = Vec::new();
    for name in required.filter_map(Value::as_str).filter(|name| properties.contains_key(*name)) {
        if !order.contains(&name) {
            order.push(name);
        }
    }
    if !order.is_empty() {
        out.insert("required".into(), json!(order));
    }
    let optional: Vec<_> =
        properties.keys().map(String::as_str).filter(|name| !order.contains(name)).collect();
    order.extend(optional);
    out.insert("propertyOrdering".into(), json!(order));
    let converted = properties.iter().map(|(name, schema)| (name.clone(), convert(schema)));
    out.insert("properties".into(), Value::Object(converted.collect()));
}

#[cfg(test)]
mod tests {
    use super::super::super::hostile;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_whole_schema() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Instructions",
            "type": "object",
            "additionalProperties": false,
            "required": ["relation", "instructions", "gone"],
            "properties": {
                "instructions": {
                    "type": "array", "minItems": 1, "maxItems": 3, "uniqueItems": true,
                    "items": {"type": "string", "minLength": 3, "pattern": "^\\S"},
                },
                "confidence": {"type": "number", "minimum": 0, "maximum": 1, "format": "float"},
                "relation": {"type": "string", "enum": ["part", "variant"], "description": "Why."},
                "type": {"type": ["string", "null"], "default": null},
            },
        });
        let expected = json!({
            "type": "OBJECT",
            "required": ["relation", "instructions"],
            "propertyOrdering": ["relation", "instructions", "confidence", "type"],
            "properties": {
                "instructions": {
                    "type": "ARRAY", "minItems": 1, "maxItems": 3, "items": {"type": "STRING"},
                },
                "confidence": {"type": "NUMBER", "minimum": 0, "maximum": 1},
                "relation": {"type": "STRING", "enum": ["part", "variant"], "description": "Why."},
                "type": {"type": "STRING", "nullable": true},
            },
        });
        assert_eq!(response_schema(&schema), expected);
    }

    #[test]
    fn what_has_another_name_here() {
        for (schema, expected) in [
            (json!({"const": "a"}), json!({"type": "STRING", "enum": ["a"]})),
            (
                json!({"enum": ["a", null]}),
                json!({"type": "STRING", "enum": ["a"], "nullable": true}),
            ),
            (json!({"type": "integer", "enum": [1, 2]}), json!({"type": "INTEGER"})),
            (
                json!({"type": ["string", "integer"]}),
                json!({"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}),
            ),
            (
                json!({"description": "d", "anyOf": [{"type": "string"}, {"type": "null"}]}),
                json!({"description": "d", "type": "STRING", "nullable": true}),
            ),
            (
                json!({"oneOf": [{"type": "string"}, {"type": "boolean"}]}),
                json!({"anyOf": [{"type": "STRING"}, {"type": "BOOLEAN"}]}),
            ),
            (json!({"allOf": [{"type": "string"}]}), json!({"type": "STRING"})),
            (
                json!({"type": "array", "items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"const": "b"}}}),
                json!({"type": "ARRAY", "items": {"type": "STRING", "enum": ["b"]}}),
            ),
            (json!({"$ref": "https://elsewhere"}), json!({})),
            (json!(true), json!({})),
        ] {
            assert_eq!(response_schema(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn a_reference_to_itself_ends() {
        let schema = json!({"type": "array", "items": {"$ref": "#"}});
        assert_eq!(response_schema(&schema)["items"]["items"]["type"], "ARRAY");
        assert_eq!(response_schema(&json!({"$ref": "#"})), json!({}));
    }

    proptest! {
        #[test]
        fn no_schema_panics(body in hostile::json()) {
            let _ = response_schema(&body);
            let properties = json!({"a": body});
            let _ = response_schema(
                &json!({"type": body, "enum": body, "properties": properties, "anyOf": [body]}),
            );
        }
    }
}
