//! `evaluate`: a benchmark's queries through a model, or a list that someone else ranked, to its measures.
//!
//! [`score`] gives each query's ranks, [`given`] those by vectors of others; [`lists`] reads rankings and
//! [`measured`] measures them; [`report`] writes what came out, [`judge`] puts two models side by side.

pub mod given;
pub mod judge;
pub mod lists;
mod measured;
pub mod report;
pub mod score;

use serde::Serialize;
use thiserror::Error;

use super::benchmarks::{Benchmark, LayoutError, Measure, Task};
use super::metrics;
pub use measured::measure_lists;
use score::Outcome;

/// Why nothing was measured.
#[derive(Debug, Error)]
pub enum EvaluateError {
    /// The folder is not the benchmark.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// An image of the benchmark cannot be read: a figure over the others would be another benchmark's.
    #[error("{id} of {task}: {problem}")]
    Image {
        /// The part of the benchmark.
        task: String,
        /// The image or query.
        id: String,
        /// Why not.
        problem: String,
    },
    /// A ranking that is no answer to the benchmark.
    #[error("{0}")]
    List(String),
}

/// What a query is asked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// Image and instruction.
    #[default]
    Both,
    /// The image alone.
    Image,
    /// The instruction alone, with a black image.
    Text,
}

/// Figures of a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// The benchmark.
    pub benchmark: String,
    /// Its split.
    pub split: String,
    /// In percent: the mean of those of the parts.
    pub measures: Vec<Figure>,
    /// Its parts.
    pub tasks: Vec<TaskFigures>,
}

/// A measure with its value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// As papers write it.
    pub name: String,
    /// In percent.
    pub percent: f64,
}

/// Figures of a part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskFigures {
    /// The part.
    pub name: String,
    /// Queries.
    pub queries: usize,
    /// Images of the gallery.
    pub gallery: usize,
    /// In percent.
    pub measures: Vec<Figure>,
}

/// Measures what a model's scores gave. Without truth there is nothing to measure.
pub fn measure(benchmark: &Benchmark, outcomes: &[Vec<Outcome>]) -> Option<Figures> {
    let tasks = benchmark.tasks.iter().zip(outcomes);
    let has_truth = benchmark
        .tasks
        .iter()
        .all(|task| task.queries.iter().all(|query| !query.positives.is_empty()));
    has_truth.then(|| {
        figures(
            benchmark,
            &benchmark.measures,
            tasks.map(|(task, outcomes)| {
                (task, move |measure| {
                    metrics::mean(outcomes.iter().map(|outcome| of(measure, outcome)))
                })
            }),
        )
    })
}

fn of(measure: Measure, outcome: &Outcome) -> f64 {
    match measure {
        Measure::Map(k) => metrics::average_precision(&outcome.ranks, k),
        Measure::Precision(k) => metrics::precision(&outcome.ranks, k),
        Measure::Recall(k) => metrics::hit(&outcome.target, k),
        Measure::SubsetRecall(k) => metrics::hit(&outcome.subset, k),
        Measure::Hit(k) => metrics::hit(&outcome.ranks, k),
        Measure::Positives(k) => metrics::recall(&outcome.ranks, k),
    }
}

fn figures<'a, F: Fn(Measure) -> f64>(
    benchmark: &Benchmark,
    measures: &[Measure],
    tasks: impl Iterator<Item = (&'a Task, F)>,
) -> Figures {
    let figure =
        |measure: &Measure, share: f64| Figure { name: measure.name(), percent: 100.0 * share };
    let of_task = |(task, of): (&Task, F)| TaskFigures {
        name: task.name.clone(),
        queries: task.queries.len(),
        gallery: task.gallery.len(),
        measures: measures.iter().map(|measure| figure(measure, of(*measure))).collect(),
    };
    let tasks: Vec<TaskFigures> = tasks.map(of_task).collect();
    let mean =
        |at: usize| metrics::mean(tasks.iter().map(|task| task.measures[at].percent / 100.0));
    let measures =
        measures.iter().enumerate().map(|(at, measure)| figure(measure, mean(at))).collect();
    let (benchmark, split) = (benchmark.title.to_owned(), benchmark.split.to_owned());
    Figures { benchmark, split, measures, tasks }
}
