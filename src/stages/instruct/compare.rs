//! Two ways to write instructions over the same pairs, in one table: for judging, not for training.

use std::collections::{BTreeMap, BinaryHeap, HashSet};

use arrow::datatypes::{DataType, FieldRef};
use futures::stream;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ask::{Instructor, about, answers_of};
use super::gate::InstructReply;
use super::input::Group;
use super::{Inputs, wire};
use crate::endpoint::{Notes, PartReplies};
use crate::record::Pair;
use crate::stages::context::{Context, StageError};
use crate::store::{Layout, Row, RowWriter, Store, read_rows};
use crate::table::columns::{list, text};

/// Replies of comparisons lie beside those of the stage.
const STEP: &str = "compare";

/// One pair and what each side made of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The pair.
    pub pair_id: String,
    /// The page.
    pub page_url: String,
    /// Where the query image was found.
    pub query_url: String,
    /// Where the target image was found.
    pub target_url: String,
    /// What the query shows.
    pub query_caption: String,
    /// What the target shows.
    pub target_caption: String,
    /// Which side a blind judge sees first, `a` or `b`: by the pair's hash.
    pub first: String,
    /// Provider, model and prompt of side A.
    pub a_generator: String,
    /// Its instructions that passed.
    pub a_instructions: Vec<String>,
    /// Why others did not.
    pub a_problems: Vec<String>,
    /// The same of side B.
    pub b_generator: String,
    /// The same of side B.
    pub b_instructions: Vec<String>,
    /// The same of side B.
    pub b_problems: Vec<String>,
}

impl Row for Compared {
    fn fields() -> Vec<FieldRef> {
        let mut fields: Vec<FieldRef> = ["pair_id", "page_url", "query_url", "target_url"]
            .into_iter()
            .chain(["query_caption", "target_caption", "first"])
            .map(text)
            .collect();
        for side in ["a", "b"] {
            fields.push(text(&format!("{side}_generator")));
            fields.push(list(&format!("{side}_instructions"), DataType::Utf8));
            fields.push(list(&format!("{side}_problems"), DataType::Utf8));
        }
        fields
    }

    fn weight(&self) -> usize {
        1000 + self.query_caption.len() + self.target_caption.len()
    }
}

/// What one side made of the sampled pairs.
struct Side {
    generator: String,
    outcomes: BTreeMap<String, (Vec<String>, Vec<String>)>,
}

/// Asks both sides about the same sample of pairs and writes one table. Gives the numbers of pairs,
/// and of pairs with an instruction of side A and of side B.
pub async fn run(
    a: &Context,
    b: &Context,
    inputs: &Inputs,
    sample: usize,
    out: &Store,
    path: &str,
) -> Result<[usize; 3], StageError> {
    let wanted = draw(a, inputs, sample).await?;
    let groups = groups(a, inputs, &wanted).await?;
    let (side_a, side_b) = (side(a, &groups, &wanted).await?, side(b, &groups, &wanted).await?);
    let mut writer = RowWriter::create(out, path.to_owned(), Layout::Part)?;
    let mut counts = [0; 3];
    for group in &groups {
        for pair in group.pairs.iter().filter(|pair| wanted.contains(&pair.pair_id)) {
            let row = row(group, pair, &side_a, &side_b)?;
            counts[0] += 1;
            counts[1] += usize::from(!row.a_instructions.is_empty());
            counts[2] += usize::from(!row.b_instructions.is_empty());
            writer.push(row).await?;
        }
    }
    writer.close().await?;
    Ok(counts)
}

fn row(group: &Group, pair: &Pair, a: &Side, b: &Side) -> Result<Compared, StageError> {
    let (query, target) = (group.known(pair.query_position)?, group.known(pair.target_position)?);
    let of = |side: &Side| side.outcomes.get(&pair.pair_id).cloned().unwrap_or_default();
    let ((a_instructions, a_problems), (b_instructions, b_problems)) = (of(a), of(b));
    let is_a_first = Sha256::digest(&pair.pair_id)[0].is_multiple_of(2);
    Ok(Compared {
        pair_id: pair.pair_id.clone(),
        page_url: query.image.page_url.clone(),
        query_url: query.image.image_url.clone(),
        target_url: target.image.image_url.clone(),
        query_caption: query.description.caption.clone(),
        target_caption: target.description.caption.clone(),
        first: if is_a_first { "a" } else { "b" }.to_owned(),
        a_generator: a.generator.clone(),
        a_instructions,
        a_problems,
        b_generator: b.generator.clone(),
        b_instructions,
        b_problems,
    })
}

/// The pairs with the least hashes: the same ones every time.
async fn draw(
    ctx: &Context,
    inputs: &Inputs,
    sample: usize,
) -> Result<HashSet<String>, StageError> {
    let mut least: BinaryHeap<(Vec<u8>, String)> = BinaryHeap::new();
    for file in inputs.pairs.iter().filter_map(|part| part.files.get("rows")) {
        let mut rows = read_rows::<Pair>(ctx.run.store(), &file.path, 1024).await?;
        while let Some(batch) = rows.next().await? {
            for pair in batch {
                least.push((Sha256::digest(&pair.pair_id).to_vec(), pair.pair_id));
                if least.len() > sample {
                    least.pop();
                }
            }
        }
    }
    Ok(least.into_iter().map(|(_, id)| id).collect())
}

async fn groups(
    ctx: &Context,
    inputs: &Inputs,
    wanted: &HashSet<String>,
) -> Result<Vec<Group>, StageError> {
    let mut found = Vec::new();
    for input in inputs.parts() {
        let Some(mut groups) = input.open(ctx.run.store()).await? else { continue };
        while let Some(group) = groups.next().await? {
            if group.pairs.iter().any(|pair| wanted.contains(&pair.pair_id)) {
                found.push(group);
            }
        }
    }
    Ok(found)
}

async fn side(
    ctx: &Context,
    groups: &[Group],
    wanted: &HashSet<String>,
) -> Result<Side, StageError> {
    let wire = wire(&ctx.config).ok_or_else(|| StageError::Prompt {
        key: "instruct.provider".into(),
        problem: "a comparison asks models: openai or gemini".into(),
    })?;
    let mut instructor = Instructor::new(ctx, wire)?;
    instructor.connect()?;
    let scratch = ctx.run.store().scratch();
    let replies = PartReplies::open(scratch, STEP, 0)?;
    let notes = Notes::new(scratch, STEP, ctx.slice);
    let pairs = || {
        let of = |group: &'_ Group| -> Vec<Pair> { group.pairs.clone() };
        groups
            .iter()
            .flat_map(move |group| of(group).into_iter().map(move |pair| (group, pair)))
            .filter(|(_, pair)| wanted.contains(&pair.pair_id))
    };
    let mut questions = Vec::new();
    for (group, pair) in pairs() {
        let rendered = instructor.render(group, &pair)?;
        if !replies.is_known(&rendered.key) {
            notes.add(&rendered.key, &about(&pair))?;
            questions.push(instructor.asking().question(rendered, Vec::new()));
        }
    }
    let questions = stream::iter([Ok(questions)]);
    instructor.asking().ask_all::<InstructReply>(ctx, &replies, questions).await?;
    let answers = answers_of(&instructor, replies);
    let mut outcomes = BTreeMap::new();
    for (group, pair) in pairs() {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for outcome in answers.of_pair(group, &pair)? {
            match outcome {
                Ok(instruction) => good.push(instruction.instruction),
                Err(reject) => bad.push(reject.reason.as_str().to_owned()),
            }
        }
        outcomes.insert(pair.pair_id.clone(), (good, bad));
    }
    let generator = format!("{} {}", instructor.generator(), instructor.prompt_hash());
    Ok(Side { generator, outcomes })
}
