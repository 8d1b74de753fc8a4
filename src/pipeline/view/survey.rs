//! The figures of a run: funnel, wording, similarities, kinds, and what stages took.

use std::collections::{BTreeMap, HashSet};

use arrow::datatypes::{DataType, FieldRef};
use serde::{Deserialize, Serialize};

use super::Viewed;
use super::catalogue::Card;
use super::pictures::{Sizes, thumbnails};
use super::rejects::{Examples, is_shown};
use super::tally::{Ranking, Similarities, Tally};
use super::{pictures, rejects};
use crate::config::Similarity;
use crate::pipeline::run::RunStage;
use crate::pipeline::status::{STEPS, steps, used};
use crate::pipeline::usage;
use crate::record::{Class, Instruction, Reason};
use crate::store::{Row, StoreError, read_rows};
use crate::table::columns::required;
use crate::table::{INSTRUCTIONS, PAIRS};
use crate::telemetry::{Step, excerpt, visible};
use crate::text::{Wording, content_words};

/// Kinds of one sort that are named.
const NAMED: usize = 25;
/// Words that are named.
const WORDS: usize = 40;

/// Figures above the gallery.
#[derive(Debug, Serialize)]
pub(crate) struct Survey {
    /// The last part of where it lies: a report may go to others.
    run: String,
    version: &'static str,
    /// Time of the read, UTC.
    read_at: String,
    /// Notes that the reader of the figures needs.
    pub(crate) notes: Vec<String>,
    funnel: Vec<Line>,
    triplets: Counted,
    wording: Vec<Worded>,
    similarities: Vec<Histogram>,
    kinds: BTreeMap<&'static str, Ranking>,
    sizes: Sizes,
    stages: Vec<Took>,
    models: Vec<Asked>,
}

/// A line of the funnel.
#[derive(Debug, Serialize)]
struct Line {
    table: &'static str,
    stage: &'static str,
    input: u64,
    output: u64,
    pending: u64,
    bytes: u64,
    note: String,
    reasons: Vec<Lost>,
}

#[derive(Debug, Serialize)]
struct Lost {
    reason: &'static str,
    failed: bool,
    count: u64,
}

/// Counts of triplets.
#[derive(Debug, Default, Serialize)]
struct Counted {
    planned: u64,
    exported: u64,
    splits: BTreeMap<&'static str, u64>,
}

/// Wording of the instructions, or of the baseline of templates.
#[derive(Debug, Serialize)]
struct Worded {
    name: &'static str,
    count: u64,
    mean: f64,
    median: usize,
    /// Of 1, 2, 3… words; the last is for all that are longer.
    lengths: Vec<u64>,
    words: Ranking,
    openings: Vec<(String, f64)>,
}

/// Histogram of the similarities of pairs.
#[derive(Debug, Serialize)]
struct Histogram {
    name: &'static str,
    kept: Vec<u64>,
    rejected: Vec<u64>,
    thresholds: [(&'static str, f64); 2],
}

/// Usage of a stage.
#[derive(Debug, Serialize)]
struct Took {
    stage: &'static str,
    wall_s: f64,
    cpu_s: f64,
    peak_bytes: u64,
    requests: u64,
    received_bytes: u64,
}

/// Calls and tokens of a model.
#[derive(Debug, Serialize)]
struct Asked {
    step: &'static str,
    calls: u64,
    input: u64,
    output: u64,
    cost: f64,
}

/// Counts over triplets.
#[derive(Default)]
pub(crate) struct Triplets {
    counted: Counted,
    kinds: BTreeMap<&'static str, Tally>,
}

impl Triplets {
    pub(crate) fn add(&mut self, card: &Card) {
        self.counted.planned += 1;
        if card.left_out.is_some() {
            return;
        }
        self.counted.exported += 1;
        *self.counted.splits.entry(card.split).or_default() += 1;
        let rights = |rights: &Option<std::sync::Arc<str>>| match rights {
            Some(rights) => rights.to_string(),
            None => "not stated".to_owned(),
        };
        for (kind, name) in [
            ("domains", &*card.domain),
            ("languages", &*card.language),
            ("generators", &*card.generator),
            ("rights", &*rights(&card.query.rights)),
            ("rights", &*rights(&card.target.rights)),
        ] {
            self.kinds.entry(kind).or_default().add(name);
        }
    }

    pub(crate) fn exported(&self) -> u64 {
        self.counted.exported
    }
}

/// Reads everything but triplets, of which `triplets` tells.
pub(crate) async fn read(
    viewed: &Viewed,
    triplets: Triplets,
) -> Result<(Survey, Examples), StoreError> {
    let steps = steps(&viewed.dir, &viewed.config).await?;
    let tables: Vec<_> = STEPS.iter().map(|step| step.table).collect();
    let rejected = rejects::read(viewed, &tables).await?;
    let mut examples = rejected.examples;
    let sizes = illustrate(viewed, &mut examples).await?;
    let Triplets { counted, kinds } = triplets;
    let mut kinds: BTreeMap<_, _> =
        kinds.into_iter().map(|(kind, tally)| (kind, shown(&tally, NAMED))).collect();
    kinds.insert("formats", shown(&sizes.formats, NAMED));
    if counted.exported == 0 {
        kinds.insert("rights", shown(&sizes.rights, NAMED));
    }
    let survey = Survey {
        run: visible(viewed.dir.store().location().rsplit('/').next().unwrap_or_default()).into(),
        version: env!("CARGO_PKG_VERSION"),
        read_at: chrono::Utc::now().format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        notes: notes(&steps),
        funnel: steps.iter().map(line).collect(),
        triplets: counted,
        wording: wording(viewed).await?,
        similarities: similarities(viewed, rejected.visual, rejected.text).await?,
        kinds,
        sizes,
        stages: stages(viewed).await?,
        models: models(viewed).await?,
    };
    Ok((survey, examples))
}

/// Gives examples their images, where the run has them.
async fn illustrate(viewed: &Viewed, examples: &mut Examples) -> Result<Sizes, StoreError> {
    let all = |examples: &Examples| {
        let shown = examples.values().flatten().filter(|(reason, _)| is_shown(reason));
        shown.flat_map(|(_, found)| found.iter().map(|one| one.url.clone())).collect::<HashSet<_>>()
    };
    let (sizes, places) = pictures::survey(viewed, &all(examples)).await?;
    let images = thumbnails(viewed, places.values().copied().collect()).await?;
    for (reason, found) in examples.values_mut().flatten() {
        for example in found {
            if is_shown(reason)
                && let Some(place) = places.get(&example.url)
            {
                example.image = images.get(place).cloned();
            }
            example.shorten();
        }
    }
    Ok(sizes)
}

fn shown(tally: &Tally, most: usize) -> Ranking {
    let mut ranking = tally.ranking(most);
    for (kind, _) in &mut ranking.kinds {
        *kind = excerpt(kind, 200);
    }
    ranking
}

/// Returns notes about the steps that are not finished.
fn notes(steps: &[Step]) -> Vec<String> {
    let open = steps.iter().filter(|step| !step.note.is_empty() || step.pending > 0);
    let is_open = |step: &&Step| step.note.contains(" parts") || step.note.contains("not begun");
    let names: Vec<_> =
        open.filter(is_open).map(|step| format!("{} ({})", step.name, step.note)).collect();
    match names.is_empty() {
        true => Vec::new(),
        false => vec![format!(
            "This run is in progress, or was stopped. Figures are of the parts that are committed; \
             not whole: {}.",
            names.join(", ")
        )],
    }
}

fn line(step: &Step) -> Line {
    let info = STEPS.iter().find(|info| info.table == step.name);
    let info = info.expect("the steps of the funnel are those tables");
    let mut reasons: Vec<(Reason, u64)> =
        step.rejected.iter().chain(&step.failed).map(|(reason, n)| (*reason, *n)).collect();
    reasons.sort_by_key(|(reason, n)| (std::cmp::Reverse(*n), reason.as_str()));
    let lost = |(reason, count): (Reason, u64)| Lost {
        reason: reason.as_str(),
        failed: reason.class() == Class::Failed,
        count,
    };
    Line {
        table: info.table,
        stage: info.stage.name(),
        input: step.input,
        output: step.output,
        pending: step.pending,
        bytes: step.bytes,
        note: visible(&step.note).into_owned(),
        reasons: reasons.into_iter().map(lost).collect(),
    }
}

/// Of all instructions, and of what the template makes of the same pairs where a model wrote.
async fn wording(viewed: &Viewed) -> Result<Vec<Worded>, StoreError> {
    let mut written = (Wording::default(), Tally::default());
    let mut templates = (Wording::default(), Tally::default());
    for part in viewed.dir.manifests(INSTRUCTIONS).await? {
        let Some(file) = part.files.get("rows") else { continue };
        let mut rows = read_rows::<Instruction>(viewed.dir.store(), &file.path, 1024).await?;
        while let Some(batch) = rows.next().await? {
            for row in batch {
                add(&mut written, &row.instruction);
                if let Some(baseline) = &row.baseline {
                    add(&mut templates, baseline);
                }
            }
        }
    }
    let most = written.0.sampled().min(templates.0.sampled().max(1000));
    let worded = |name, (wording, words): (Wording, Tally)| Worded {
        name,
        count: wording.count(),
        mean: wording.mean_words(),
        median: wording.median_words(),
        lengths: wording.lengths().to_vec(),
        words: shown(&words, WORDS),
        openings: wording.openings(most),
    };
    let by_model = [worded("instructions", written), worded("template baseline", templates)];
    Ok(by_model.into_iter().filter(|worded| worded.count > 0).collect())
}

fn add((wording, words): &mut (Wording, Tally), instruction: &str) {
    wording.add(instruction);
    content_words(instruction).iter().for_each(|word| words.add(word));
}

#[derive(Debug, Serialize, Deserialize)]
struct PairRow {
    visual_similarity: f32,
    text_similarity: f32,
}

impl Row for PairRow {
    fn fields() -> Vec<FieldRef> {
        ["visual_similarity", "text_similarity"]
            .map(|name| required(name, DataType::Float32))
            .to_vec()
    }

    fn weight(&self) -> usize {
        8
    }
}

async fn similarities(
    viewed: &Viewed,
    visual: Similarities,
    text: Similarities,
) -> Result<Vec<Histogram>, StoreError> {
    let mut kept = [Similarities::default(), Similarities::default()];
    for part in viewed.dir.manifests(PAIRS).await? {
        let Some(file) = part.files.get("rows") else { continue };
        let mut rows = read_rows::<PairRow>(viewed.dir.store(), &file.path, 4096).await?;
        while let Some(batch) = rows.next().await? {
            for row in batch {
                kept[0].add(row.visual_similarity.into());
                kept[1].add(row.text_similarity.into());
            }
        }
    }
    let bounds = viewed.config.pair.bounds(viewed.config.embed.images);
    let [seen, read] = kept;
    let name = match viewed.config.pair.similarity {
        Similarity::Lexical => ["visual similarity", "text similarity"],
        Similarity::Clip | Similarity::Endpoint => ["visual cosine", "text cosine"],
    };
    let histogram = |name, kept: Similarities, rejected: Similarities, thresholds| Histogram {
        name,
        kept: kept.steps().to_vec(),
        rejected: rejected.steps().to_vec(),
        thresholds,
    };
    let visual_bounds =
        [("pair.min_visual", bounds.min_visual), ("pair.max_visual", bounds.max_visual)];
    let text_bounds = [("pair.min_text", bounds.min_text), ("pair.max_text", bounds.max_text)];
    Ok(vec![
        histogram(name[0], seen, visual, visual_bounds),
        histogram(name[1], read, text, text_bounds),
    ])
}

async fn stages(viewed: &Viewed) -> Result<Vec<Took>, StoreError> {
    let mut all = Vec::new();
    for stage in RunStage::ALL {
        if let Some(usage) = usage::of_stage(viewed.dir.store(), stage).await? {
            all.push(Took {
                stage: stage.name(),
                wall_s: usage.wall_s,
                cpu_s: usage.cpu_s,
                peak_bytes: usage.peak_bytes,
                requests: usage.all_requests(),
                received_bytes: usage.received_bytes,
            });
        }
    }
    Ok(all)
}

async fn models(viewed: &Viewed) -> Result<Vec<Asked>, StoreError> {
    let used = used(&viewed.dir).await?.into_iter();
    Ok(used
        .map(|(step, took)| Asked {
            step,
            calls: took.calls,
            input: took.input,
            output: took.output,
            cost: took.cost,
        })
        .collect())
}
