//! Rankings that someone else made: an official submission file, or our own `rankings.jsonl`.
//!
//! Parts of a benchmark may have queries of the same name, so a ranking is found by part and name. Where
//! images have scores, these decide over the order, equal ones against the model.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::EvaluateError;
use crate::retrieval::benchmarks::Benchmark;

/// Fields of a submission file that are no queries.
const HEAD: [&str; 2] = ["version", "metric"];

/// What was ranked for each query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lists(BTreeMap<(Option<String>, String), Ranked>);

/// What was ranked for a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranked {
    /// The gallery.
    pub ranking: Option<Vec<Listed>>,
    /// The query's subset.
    pub subset: Option<Vec<Listed>>,
}

/// An image of a ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Its name.
    pub image: String,
    /// Its score, where the file has any.
    pub score: Option<f32>,
}

impl Lists {
    /// Reads `{"query": [images]}`, `{"part": {"query": [images]}}`, or lines of `{"id", "ranking"}` with
    /// `task` and `subset` where there are any.
    pub fn read(path: &Path) -> Result<Self, EvaluateError> {
        let bad = |problem: String| EvaluateError::List(format!("{}: {problem}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let mut lists = Self::default();
        match serde_json::from_str::<Map<String, Value>>(&text) {
            Ok(map) if !map.contains_key("id") => lists.add_map(map),
            _ => lists.add_lines(&text),
        }
        .map_err(bad)?;
        Ok(lists)
    }

    /// What was ranked for a query of a part. A file that names no parts will do where no two parts have
    /// queries of the same name.
    pub fn of(
        &self,
        benchmark: &Benchmark,
        task: &str,
        query: &str,
    ) -> Result<&Ranked, EvaluateError> {
        let by = |task: Option<&str>| self.0.get(&(task.map(str::to_owned), query.to_owned()));
        if let Some(ranked) = by(Some(task)) {
            return Ok(ranked);
        }
        let named = benchmark
            .tasks
            .iter()
            .filter(|task| task.queries.iter().any(|other| other.id == query));
        match by(None) {
            Some(ranked) if benchmark.tasks.len() < 2 || named.count() < 2 => Ok(ranked),
            Some(_) => Err(EvaluateError::List(format!(
                "several parts of {} have a query {query}: name the part, as \"task\" of a line or in \
                 {{\"part\": {{\"query\": [images]}}}}",
                benchmark.title
            ))),
            None => {
                let part =
                    if benchmark.tasks.len() > 1 { format!(" of {task}") } else { String::new() };
                Err(EvaluateError::List(format!("there is no ranking for query {query}{part}")))
            }
        }
    }

    fn add_map(&mut self, map: Map<String, Value>) -> Result<(), String> {
        let of_subset = map.get("metric").is_some_and(|metric| metric == "recall_subset");
        for (name, value) in map.into_iter().filter(|(name, _)| !HEAD.contains(&name.as_str())) {
            match value {
                Value::Object(part) => {
                    for (id, list) in part {
                        let ranked = Ranked::new(&id, Some(list), None)?;
                        self.add(Some(name.clone()), id, ranked)?;
                    }
                }
                list if of_subset => {
                    let ranked = Ranked::new(&name, None, Some(list))?;
                    self.add(None, name, ranked)?;
                }
                list => {
                    let ranked = Ranked::new(&name, Some(list), None)?;
                    self.add(None, name, ranked)?;
                }
            }
        }
        Ok(())
    }

    fn add_lines(&mut self, text: &str) -> Result<(), String> {
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |problem: &dyn std::fmt::Display| format!("line {}: {problem}", at + 1);
            let mut row: Map<String, Value> =
                serde_json::from_str(line).map_err(|error| wrong(&error))?;
            let id = row.get("id").ok_or_else(|| wrong(&"has no id"))?;
            let id = spell(id).ok_or_else(|| wrong(&"has an id that is no text or number"))?;
            let task = row.get("task").map(|task| spell(task).unwrap_or_default());
            let (ranking, subset) = (row.remove("ranking"), row.remove("subset"));
            if ranking.is_none() && subset.is_none() {
                return Err(wrong(&"has no ranking"));
            }
            self.add(task, id.clone(), Ranked::new(&id, ranking, subset)?)?;
        }
        Ok(())
    }

    fn add(&mut self, task: Option<String>, id: String, ranked: Ranked) -> Result<(), String> {
        let problem = match &task {
            Some(task) => format!("query {id} of {task} is there twice"),
            None => format!("query {id} is there twice"),
        };
        match self.0.insert((task, id), ranked) {
            Some(_) => Err(problem),
            None => Ok(()),
        }
    }
}

impl Ranked {
    fn new(id: &str, ranking: Option<Value>, subset: Option<Value>) -> Result<Self, String> {
        let ranking = ranking.map(|list| images(id, list)).transpose()?;
        let subset = subset.map(|list| images(id, list)).transpose()?;
        // Ours have an empty subset where a benchmark has none.
        Ok(Self { ranking, subset: subset.filter(|list| !list.is_empty()) })
    }
}

fn images(id: &str, list: Value) -> Result<Vec<Listed>, String> {
    let Value::Array(list) = list else { return Err(format!("query {id} has no list")) };
    let images = list.iter().map(|value| listed(id, value)).collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::new();
    if let Some(twice) = images.iter().find(|listed| !seen.insert(listed.image.as_str())) {
        return Err(format!("query {id} lists {} twice", twice.image));
    }
    match images.iter().filter(|listed| listed.score.is_some()).count() {
        scored if scored == 0 || scored == images.len() => Ok(images),
        _ => Err(format!("query {id} has scores for some images and none for others")),
    }
}

/// An image, or an image and its score; what is no number has none to speak of.
fn listed(id: &str, value: &Value) -> Result<Listed, String> {
    let wrong = || format!("query {id} lists {value}, which is no image");
    let (image, score) = match value {
        Value::Array(pair) => match pair.as_slice() {
            [image, Value::Null] => (image, Some(f32::NAN)),
            [image, score] => (image, Some(score.as_f64().ok_or_else(wrong)? as f32)),
            _ => return Err(wrong()),
        },
        image => (image, None),
    };
    Ok(Listed { image: spell(image).ok_or_else(wrong)?, score })
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
    use std::sync::Arc;

    use super::*;
    use crate::retrieval::benchmarks::{Query, Task};
    use crate::retrieval::pump::{Picture, Way};

    fn read(text: &str) -> Result<Lists, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Lists::read(file.path()).map_err(|error| error.to_string())
    }

    fn benchmark(parts: &[(&str, &[&str])]) -> Benchmark {
        let query = |id: &&str| Query {
            id: (*id).to_owned(),
            picture: Picture::None,
            text: String::new(),
            positives: [].into(),
            ignored: vec![],
            subset: vec![],
        };
        let task = |(name, queries): &(&str, &[&str])| Task {
            name: (*name).to_owned(),
            gallery: Arc::default(),
            way: Way::Fused,
            queries: queries.iter().map(query).collect(),
        };
        let tasks = parts.iter().map(task).collect();
        Benchmark { title: "B", split: "val", tasks, measures: vec![], submissions: vec![] }
    }

    fn names(list: &Option<Vec<Listed>>) -> Vec<&str> {
        list.iter().flatten().map(|listed| listed.image.as_str()).collect()
    }

    #[test]
    fn every_form_is_read() {
        let one = benchmark(&[("t", &["a", "2", "7"])]);
        let circo = read(r#"{"a": [57413, 494408], "1": [5]}"#).unwrap();
        assert_eq!(names(&circo.of(&one, "t", "a").unwrap().ranking), ["57413", "494408"]);
        let cirr =
            read(r#"{"version": "rc2", "metric": "recall_subset", "7": ["dev-1-img0"]}"#).unwrap();
        let seven = cirr.of(&one, "t", "7").unwrap();
        assert_eq!((names(&seven.subset), &seven.ranking), (vec!["dev-1-img0"], &None));
        assert!(cirr.of(&one, "t", "version").is_err());
        for text in [
            "{\"id\": \"a\", \"ranking\": [[\"x\", 0.5], [\"y\", null]]}\n\n{\"id\": 2, \"ranking\": [\"z\"]}\n",
            "{\"a\": [\"x\", \"y\"], \"2\": [\"z\"]}",
        ] {
            let lists = read(text).unwrap();
            assert_eq!(names(&lists.of(&one, "t", "a").unwrap().ranking), ["x", "y"]);
            assert_eq!(names(&lists.of(&one, "t", "2").unwrap().ranking), ["z"]);
        }
        let single = read("{\"id\": \"a\", \"ranking\": [\"x\"], \"subset\": []}").unwrap();
        assert_eq!(single.of(&one, "t", "a").unwrap().subset, None);
    }

    #[test]
    fn queries_of_the_same_name_are_told_apart_by_their_part() {
        let two = benchmark(&[("dress", &["0"]), ("shirt", &["0", "9"])]);
        for text in [
            "{\"task\": \"dress\", \"id\": \"0\", \"ranking\": [\"d\"]}\n{\"task\": \"shirt\", \"id\": \"0\", \"ranking\": [\"s\"]}",
            "{\"dress\": {\"0\": [\"d\"]}, \"shirt\": {\"0\": [\"s\"]}}",
        ] {
            let lists = read(text).unwrap();
            assert_eq!(names(&lists.of(&two, "dress", "0").unwrap().ranking), ["d"]);
            assert_eq!(names(&lists.of(&two, "shirt", "0").unwrap().ranking), ["s"]);
            let error = lists.of(&two, "shirt", "9").unwrap_err().to_string();
            assert_eq!(error, "there is no ranking for query 9 of shirt");
        }
        let flat = read("{\"0\": [\"x\"], \"9\": [\"y\"]}").unwrap();
        assert_eq!(names(&flat.of(&two, "shirt", "9").unwrap().ranking), ["y"]);
        let error = flat.of(&two, "shirt", "0").unwrap_err().to_string();
        assert!(error.contains("several parts of B have a query 0"), "{error}");
    }

    #[test]
    fn what_is_no_ranking_is_named() {
        for (text, word) in [
            ("{\"1\": [3, 4, 3]}", "query 1 lists 3 twice"),
            ("{\"1\": 3}", "query 1 has no list"),
            ("{\"1\": [{}]}", "which is no image"),
            ("{\"1\": [[1, \"high\"]]}", "which is no image"),
            ("{\"1\": [[1, 0.5], 2]}", "scores for some images"),
            ("{\"id\": \"a\"}\n{\"id\": \"b\"}", "line 1: has no ranking"),
            (
                "{\"id\": 1, \"ranking\": []}\n{\"id\": \"1\", \"ranking\": []}",
                "query 1 is there twice",
            ),
            ("nonsense", "line 1"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
