//! What came out: a table beside published figures, `metrics.json`, `rankings.jsonl`, files to hand in.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::score::Outcome;
use super::{Ask, Figures};
use crate::retrieval::benchmarks::{Benchmark, Name, Submission, Task, rows};

/// Whose figures these are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Origin {
    /// The weights, or the file of rankings.
    pub model: String,
    /// The hash of the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// What queries were asked with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Ask>,
}

/// Figures as a table, with the parts where there are several, and published rows below.
pub fn table(name: Name, origin: &Origin, figures: &Figures) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    let measures: Vec<&str> = figures.measures.iter().map(|figure| figure.name.as_str()).collect();
    table.set_header(["model", "split"].into_iter().chain(measures.iter().copied()));
    let values =
        |all: &[super::Figure]| all.iter().map(|f| format!("{:.2}", f.percent)).collect::<Vec<_>>();
    let how = match origin.query {
        Some(Ask::Image) => ", image only",
        Some(Ask::Text) => ", text only",
        _ => "",
    };
    let split = figures.split.as_str();
    if figures.tasks.len() > 1 {
        for task in &figures.tasks {
            table.add_row(
                [task.name.clone(), split.into()].into_iter().chain(values(&task.measures)),
            );
        }
    }
    let ours = [format!("{}{how}", origin.model), split.into()];
    table.add_row(ours.into_iter().chain(values(&figures.measures)));
    for row in rows(name) {
        let figure = |measure: &&str| {
            let found = row.figures.iter().find(|(name, _)| name == measure);
            found.map_or_else(|| "–".to_owned(), |(_, percent)| format!("{percent:.1}"))
        };
        let head = [row.model.to_owned(), row.split.to_owned()];
        table.add_row(head.into_iter().chain(measures.iter().map(figure)));
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// Writes `metrics.json`.
pub fn metrics(folder: &Path, origin: &Origin, figures: &Figures) -> io::Result<()> {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        origin: &'a Origin,
        #[serde(flatten)]
        figures: &'a Figures,
    }
    let text = serde_json::to_vec_pretty(&Whole { origin, figures })?;
    std::fs::write(folder.join("metrics.json"), text)
}

/// Writes `rankings.jsonl`: for each query the first images with their scores, and the ranks of what is right,
/// as many at most.
pub fn rankings(folder: &Path, benchmark: &Benchmark, outcomes: &[Vec<Outcome>]) -> io::Result<()> {
    let depth = benchmark.depth();
    let mut file = BufWriter::new(File::create(folder.join("rankings.jsonl"))?);
    for (task, outcomes) in benchmark.tasks.iter().zip(outcomes) {
        for (query, outcome) in task.queries.iter().zip(outcomes) {
            let named = |(at, score): &(usize, f32)| json!([task.gallery[*at].id, score]);
            let line = json!({
                "task": task.name,
                "id": query.id,
                "ranks": &outcome.ranks[..outcome.ranks.len().min(depth)],
                "ranking": outcome.top.iter().map(named).collect::<Vec<_>>(),
                "subset": outcome.top_of_subset.iter().map(named).collect::<Vec<_>>(),
            });
            writeln!(file, "{line}")?;
        }
    }
    file.into_inner()?.sync_all()
}

/// Writes the files that evaluation servers take, and gives their names.
pub fn submissions(
    folder: &Path,
    benchmark: &Benchmark,
    outcomes: &[Vec<Outcome>],
) -> io::Result<Vec<&'static str>> {
    let [task] = benchmark.tasks.as_slice() else { return Ok(Vec::new()) };
    for file in &benchmark.submissions {
        let text = serde_json::to_vec(&submission(file, task, &outcomes[0]))?;
        std::fs::write(folder.join(file.file), text)?;
    }
    Ok(benchmark.submissions.iter().map(|submission| submission.file).collect())
}

fn submission(file: &Submission, task: &Task, outcomes: &[Outcome]) -> Map<String, Value> {
    let head = file.head.iter().map(|(key, value)| ((*key).to_owned(), (*value).into()));
    let list = |outcome: &Outcome| {
        let images = if file.of_subset { &outcome.top_of_subset } else { &outcome.top };
        images
            .iter()
            .take(file.length)
            .map(|(at, _)| (file.spell)(&task.gallery[*at].id))
            .collect::<Value>()
    };
    let lists = task.queries.iter().zip(outcomes);
    head.chain(lists.map(|(query, outcome)| (query.id.clone(), list(outcome)))).collect()
}
