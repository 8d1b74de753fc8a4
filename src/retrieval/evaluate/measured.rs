//! Rankings of others, measured: each measure that every query has what it takes for.

use std::collections::HashSet;

use super::lists::{Listed, Lists, Ranked};
use super::{EvaluateError, Figures, figures};
use crate::retrieval::benchmarks::{ALL, Benchmark, Measure, Query, Task};
use crate::retrieval::metrics::{
    average_precision_of, hit_of, least, mean, positives_of, precision_of,
};

/// A query with what was ranked for it.
struct Asked<'a> {
    task: &'a Task,
    query: &'a Query,
    ranked: &'a Ranked,
}

/// Measures a list for each query.
pub fn measure_lists(benchmark: &Benchmark, lists: &Lists) -> Result<Figures, EvaluateError> {
    let tasks = benchmark.tasks.iter().map(|task| asked(benchmark, task, lists));
    let tasks: Vec<Vec<Asked<'_>>> = tasks.collect::<Result<_, _>>()?;
    let can = |measure: &Measure| tasks.iter().flatten().all(|asked| asked.can(*measure));
    let measures: Vec<Measure> = benchmark.measures.iter().copied().filter(can).collect();
    if measures.is_empty() {
        let names: Vec<_> = benchmark.measures.iter().map(|measure| measure.name()).collect();
        return Err(EvaluateError::List(format!(
            "these rankings are too short, or of something else: {} is measured by {}",
            benchmark.title,
            names.join(", ")
        )));
    }
    let of_task = |asked: &Vec<Asked<'_>>, measure| mean(asked.iter().map(|one| one.of(measure)));
    let tasks = benchmark.tasks.iter().zip(&tasks);
    Ok(figures(
        benchmark,
        &measures,
        tasks.map(|(task, asked)| (task, move |measure| of_task(asked, measure))),
    ))
}

fn asked<'a>(
    benchmark: &Benchmark,
    task: &'a Task,
    lists: &'a Lists,
) -> Result<Vec<Asked<'a>>, EvaluateError> {
    let one = |query: &'a Query| {
        if query.positives.is_empty() {
            let split = benchmark.split;
            return Err(EvaluateError::List(format!("the truth of {split} is not in these files")));
        }
        Ok(Asked { task, query, ranked: lists.of(benchmark, &task.name, &query.id)? })
    };
    task.queries.iter().map(one).collect()
}

impl Asked<'_> {
    /// Whether there is a list to measure by. What a list lacks counts as not found, but for the measure of
    /// a whole ranking.
    fn can(&self, measure: Measure) -> bool {
        let ranking = self.ranked.ranking.as_deref();
        match measure {
            Measure::SubsetRecall(_) => self.subset().is_some(),
            Measure::Map(ALL) => {
                let whole = self.task.gallery.len() - self.query.ignored.len();
                ranking.is_some_and(|ranking| self.counted(ranking).len() >= whole)
            }
            _ => ranking.is_some(),
        }
    }

    fn of(&self, measure: Measure) -> f64 {
        let all = || self.counted(self.ranked.ranking.as_deref().unwrap_or_default());
        let right: Vec<&str> = self.query.positives.iter().map(|&at| self.name(at)).collect();
        match measure {
            Measure::Map(k) => average_precision_of(&all(), &right, k),
            Measure::Precision(k) => precision_of(&all(), &right, k),
            Measure::Recall(k) => hit_of(&all(), &right[..1], k),
            Measure::SubsetRecall(k) => hit_of(&self.subset().unwrap_or_default(), &right[..1], k),
            Measure::Hit(k) => hit_of(&all(), &right, k),
            Measure::Positives(k) => positives_of(&all(), &right, k),
        }
    }

    /// The ranking of the subset: its own, or what a ranking of the gallery says of all its images.
    fn subset(&self) -> Option<Vec<&str>> {
        let members: HashSet<&str> = self.query.subset.iter().map(|&at| self.name(at)).collect();
        if let Some(subset) = &self.ranked.subset {
            return Some(self.ordered(subset));
        }
        let ranking = self.ranked.ranking.as_deref()?;
        let mut found = self.ordered(ranking);
        found.retain(|image| members.contains(image));
        (!members.is_empty() && found.len() == members.len()).then_some(found)
    }

    /// The ranking without what counts neither for nor against.
    fn counted<'a>(&'a self, ranking: &'a [Listed]) -> Vec<&'a str> {
        let ignored: HashSet<&str> = self.query.ignored.iter().map(|&at| self.name(at)).collect();
        let mut ranking = self.ordered(ranking);
        ranking.retain(|image| !ignored.contains(image));
        ranking
    }

    /// Images by their scores, equal ones against the model: what is right behind what is wrong, and the
    /// target last. Without scores as they are listed.
    fn ordered<'a>(&'a self, list: &'a [Listed]) -> Vec<&'a str> {
        let mut list: Vec<&Listed> = list.iter().collect();
        if list.iter().all(|listed| listed.score.is_some()) {
            let right: HashSet<&str> =
                self.query.positives.iter().map(|&at| self.name(at)).collect();
            let target = self.query.positives.first().map(|&at| self.name(at));
            let last = |listed: &Listed| {
                let image = listed.image.as_str();
                (target == Some(image), right.contains(image))
            };
            let score = |listed: &Listed| listed.score.map_or(f32::NEG_INFINITY, least);
            list.sort_by(|a, b| score(b).total_cmp(&score(a)).then(last(a).cmp(&last(b))));
        }
        list.into_iter().map(|listed| listed.image.as_str()).collect()
    }

    fn name(&self, at: usize) -> &str {
        &self.task.gallery[at].id
    }
}
