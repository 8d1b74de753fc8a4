//! Rankings that someone else made: an official submission file, or our own `rankings.jsonl`.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::EvaluateError;

/// A list of images for each query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lists {
    lists: BTreeMap<String, Vec<String>>,
    /// Whether they rank subsets (CIRR's `"metric": "recall_subset"`).
    pub of_subset: bool,
}

impl Lists {
    /// Reads `{"query": [images]}`, or lines of `{"id", "ranking"}`.
    pub fn read(path: &Path) -> Result<Self, EvaluateError> {
        let bad = |problem: String| EvaluateError::List(format!("{}: {problem}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let map = match serde_json::from_str::<Map<String, Value>>(&text) {
            Ok(map) if !map.contains_key("ranking") => map,
            _ => lines(&text).map_err(bad)?,
        };
        let of_subset = map.get("metric").is_some_and(|metric| metric == "recall_subset");
        let lists =
            map.into_iter().filter(|(name, _)| !["version", "metric"].contains(&name.as_str()));
        let lists = lists.map(|(id, list)| Ok((id.clone(), images(&id, list)?)));
        Ok(Self { lists: lists.collect::<Result<_, String>>().map_err(bad)?, of_subset })
    }

    /// The list of a query.
    pub fn of(&self, query: &str) -> Result<&[String], EvaluateError> {
        let list = self.lists.get(query).map(Vec::as_slice);
        list.ok_or_else(|| EvaluateError::List(format!("there is no ranking for query {query}")))
    }
}

fn lines(text: &str) -> Result<Map<String, Value>, String> {
    let line = |(at, line): (usize, &str)| {
        let wrong = |problem: &dyn std::fmt::Display| format!("line {}: {problem}", at + 1);
        let mut row: Map<String, Value> =
            serde_json::from_str(line).map_err(|error| wrong(&error))?;
        let id = row.remove("id").ok_or_else(|| wrong(&"has no id"))?;
        let ranking = row.remove("ranking").ok_or_else(|| wrong(&"has no ranking"))?;
        Ok((spell(&id).ok_or_else(|| wrong(&"has an id that is no text or number"))?, ranking))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
}

fn images(id: &str, list: Value) -> Result<Vec<String>, String> {
    let Value::Array(list) = list else { return Err(format!("query {id} has no list")) };
    let image = |value: &Value| {
        // Ours have the score beside the image.
        let value = value.get(0).unwrap_or(value);
        spell(value).ok_or_else(|| format!("query {id} lists {value}, which is no image"))
    };
    let images = list.iter().map(image).collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::new();
    match images.iter().find(|image| !seen.insert(image.as_str())) {
        Some(twice) => Err(format!("query {id} lists {twice} twice")),
        None => Ok(images),
    }
}

fn spell(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Lists, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Lists::read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_is_read() {
        let circo = read(r#"{"0": [57413, 494408], "1": [5]}"#).unwrap();
        assert_eq!(circo.of("0").unwrap(), ["57413", "494408"]);
        let cirr =
            read(r#"{"version": "rc2", "metric": "recall_subset", "7": ["dev-1-img0"]}"#).unwrap();
        assert!(cirr.of_subset && !circo.of_subset);
        assert!(cirr.of("version").is_err());
        for text in [
            "{\"id\": \"a\", \"ranking\": [[\"x\", 0.5], [\"y\", 0.4]]}\n\n{\"id\": 2, \"ranking\": [\"z\"]}\n",
            "{\"a\": [\"x\", \"y\"], \"2\": [\"z\"]}",
        ] {
            let lists = read(text).unwrap();
            assert_eq!(lists.of("a").unwrap(), ["x", "y"]);
            assert_eq!(lists.of("2").unwrap(), ["z"]);
        }
        assert_eq!(read("{\"id\": \"a\", \"ranking\": [\"x\"]}").unwrap().of("a").unwrap(), ["x"]);
    }

    #[test]
    fn what_is_no_ranking_is_named() {
        for (text, word) in [
            ("{\"1\": [3, 4, 3]}", "query 1 lists 3 twice"),
            ("{\"1\": 3}", "query 1 has no list"),
            ("{\"1\": [{}]}", "which is no image"),
            ("{\"id\": \"a\"}\n{\"id\": \"b\"}", "line 1: has no ranking"),
            ("nonsense", "line 1"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
