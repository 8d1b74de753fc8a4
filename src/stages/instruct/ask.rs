//! Having a model write instructions, from both images' metadata and the page's title.

use futures::stream;
use serde::Serialize;

use super::gate::{
    InstructReply, InstructRules, SeenInstructions, SideText, Sources, judge, relation_fault,
};
use super::input::{Group, Groups, Known};
use super::{Inputs, Outcomes, PartInput, STAGE, templated};
use crate::config::{Config, InstructProvider};
use crate::endpoint::{
    DEMONSTRATIONS, Forecast, INSTRUCT_PROMPTS, Notes, PartReplies, Question, Wire,
};
use crate::record::{Instruction, Pair, Reason, Reject};
use crate::stages::asking::{Asking, Forecaster, Rendered, Source, Texts, text_of};
use crate::stages::context::{Context, StageError};
use crate::store::RunDir;

/// The model with its prompt.
pub struct Instructor {
    asking: Asking,
    notes: Notes,
    rules: InstructRules,
    max: usize,
    is_batch: bool,
}

/// The group and the images that a question about a pair shows something of.
pub fn about(pair: &Pair) -> [&str; 3] {
    [&pair.group_id, pair.query_image_id.as_str(), pair.target_image_id.as_str()]
}

/// What the template sees.
#[derive(Serialize)]
struct Data<'a> {
    page_title: &'a str,
    max: usize,
    query: Side<'a>,
    target: Side<'a>,
}

#[derive(Serialize)]
struct Side<'a> {
    alt: &'a str,
    labels: &'a [String],
    caption: &'a str,
}

/// The answers of one part.
pub struct Answers<'a> {
    instructor: &'a Instructor,
    replies: PartReplies,
}

impl Instructor {
    /// Reads prompt, demonstrations and schema.
    pub fn new(ctx: &Context, wire: Wire) -> Result<Self, StageError> {
        let config = &ctx.config.instruct;
        let files = Files::read(&ctx.config)?;
        let asking = Asking::new(ctx, STAGE, wire, &config.endpoint, &files.texts())?;
        let is_batch = config.provider == InstructProvider::Batch;
        let language = Some(config.language.clone()).filter(|language| !language.is_empty());
        let rules = InstructRules { language, ..InstructRules::default() };
        let notes = Notes::new(ctx.run.store().scratch(), STAGE, ctx.slice);
        Ok(Self { asking, notes, rules, max: config.max_instructions, is_batch })
    }

    /// Reads the key, unless answers come by file; sends nothing.
    pub fn connect(&mut self) -> Result<(), StageError> {
        if self.is_batch { Ok(()) } else { self.asking.connect() }
    }

    /// Whether answers come by file.
    pub fn is_batch(&self) -> bool {
        self.is_batch
    }

    /// Prompt and model.
    pub fn asking(&self) -> &Asking {
        &self.asking
    }

    /// Notes what a question is about, before it is asked.
    pub fn note(&self, key: &str, pair: &Pair) -> Result<(), StageError> {
        Ok(self.notes.add(key, &about(pair))?)
    }

    /// Provider and model.
    pub fn generator(&self) -> &str {
        self.asking.generator()
    }

    /// Hash of what is asked, content aside.
    pub fn prompt_hash(&self) -> &str {
        self.asking.prompt_hash()
    }

    /// Asks what is not known yet of a part.
    pub async fn ask(
        &self,
        ctx: &Context,
        input: PartInput<'_>,
    ) -> Result<Answers<'_>, StageError> {
        let replies = self.asking.replies(input.pairs.part)?;
        if self.asking.is_live() {
            let open = match input.open(ctx.run.store()).await? {
                Some(groups) => Open { instructor: self, replies: &replies, groups, ctx },
                None => return Ok(Answers { instructor: self, replies }),
            };
            let questions = stream::try_unfold(open, |mut open| async {
                let questions = open.next().await?;
                Ok::<_, StageError>(questions.map(|questions| (questions, open)))
            });
            self.asking.ask_all::<InstructReply>(ctx, &replies, questions).await?;
        }
        Ok(Answers { instructor: self, replies })
    }

    /// The question about a pair.
    pub fn render(&self, group: &Group, pair: &Pair) -> Result<Rendered, StageError> {
        self.asking.render(&Data::of(group, pair, self.max)?, &[])
    }
}

impl<'a> Data<'a> {
    fn of(group: &'a Group, pair: &Pair, max: usize) -> Result<Self, StageError> {
        let (query, target) = known(group, pair)?;
        let page_title = &query.image.page_title;
        Ok(Self { page_title, max, query: Side::of(query), target: Side::of(target) })
    }
}

fn known<'a>(group: &'a Group, pair: &Pair) -> Result<(Known<'a>, Known<'a>), StageError> {
    Ok((group.known(pair.query_position)?, group.known(pair.target_position)?))
}

impl<'a> Side<'a> {
    fn of(known: Known<'a>) -> Self {
        let Known { description, image } = known;
        Self { alt: &image.alt, labels: &description.labels, caption: &description.caption }
    }
}

/// The files that the configuration names, or those built in.
struct Files {
    prompt: Source,
    demonstrations: Source,
}

impl Files {
    fn read(config: &Config) -> Result<Self, StageError> {
        let config = &config.instruct;
        let prompt = text_of("instruct.prompt", &config.prompt, INSTRUCT_PROMPTS)?;
        let path = &config.demonstrations;
        let demonstrations = text_of("instruct.demonstrations", path, DEMONSTRATIONS)?;
        Ok(Self { prompt, demonstrations })
    }

    fn texts(&self) -> Texts<'_> {
        Texts {
            prompt: &self.prompt.text,
            demonstrations: &self.demonstrations.text,
            schema: self.prompt.schema,
            schema_name: "instructions",
        }
    }
}

/// What calls and tokens the rest of the stage takes, about.
pub async fn forecast(
    config: &Config,
    run: &RunDir,
    wire: Wire,
    inputs: &Inputs,
) -> Result<Forecast, StageError> {
    let files = Files::read(config)?;
    let (endpoint, max) = (&config.instruct.endpoint, config.instruct.max_instructions);
    let mut forecast = Forecaster::new(config, run, STAGE, wire, endpoint, &files.texts())?;
    for input in inputs.parts() {
        let Some(mut groups) = input.open(run.store()).await? else { continue };
        while let Some(group) = groups.next().await? {
            for pair in &group.pairs {
                forecast.add(input.pairs.part, &Data::of(&group, pair, max)?, &[])?;
            }
        }
    }
    Ok(forecast.sum())
}

/// The pairs of a part that have no reply yet.
struct Open<'a> {
    instructor: &'a Instructor,
    replies: &'a PartReplies,
    groups: Groups,
    ctx: &'a Context,
}

impl Open<'_> {
    async fn next(&mut self) -> Result<Option<Vec<Question>>, StageError> {
        while let Some(group) = self.groups.next().await? {
            let mut questions = Vec::new();
            for pair in &group.pairs {
                let rendered = self.instructor.render(&group, pair)?;
                if self.replies.has(&rendered.key)? {
                    self.ctx.progress.done(None);
                } else {
                    self.instructor.note(&rendered.key, pair)?;
                    questions.push(self.instructor.asking.question(rendered, Vec::new()));
                }
            }
            if !questions.is_empty() {
                return Ok(Some(questions));
            }
        }
        Ok(None)
    }
}

/// Answers that were asked for elsewhere.
pub fn answers_of(instructor: &Instructor, replies: PartReplies) -> Answers<'_> {
    Answers { instructor, replies }
}

impl Answers<'_> {
    /// What became of one pair by itself.
    pub fn of_pair(&self, group: &Group, pair: &Pair) -> Result<Outcomes, StageError> {
        let mut outcomes = Outcomes::new();
        self.pair(group, pair, &mut SeenInstructions::default(), &mut outcomes)?;
        Ok(outcomes)
    }

    /// What became of the pairs of a group: no instruction twice.
    pub fn of(&self, group: &Group) -> Result<Outcomes, StageError> {
        let mut seen = SeenInstructions::default();
        let mut outcomes = Outcomes::new();
        for pair in &group.pairs {
            self.pair(group, pair, &mut seen, &mut outcomes)?;
        }
        Ok(outcomes)
    }

    fn pair(
        &self,
        group: &Group,
        pair: &Pair,
        seen: &mut SeenInstructions,
        outcomes: &mut Outcomes,
    ) -> Result<(), StageError> {
        let (query, target) = known(group, pair)?;
        let reject = |reason: Reason, detail: &str| {
            let detail = format!("pair {}: {detail}", pair.pair_id);
            let reject = Reject::new(target.image.image_url.as_str(), reason, detail);
            Err(Reject { page_url: target.image.page_url.clone(), ..reject })
        };
        let Instructor { asking, rules, max, .. } = self.instructor;
        let key = self.instructor.render(group, pair)?.key;
        let reply = match asking.answer::<InstructReply>(&self.replies, &key)? {
            Ok(reply) => reply,
            Err((reason, detail)) => {
                outcomes.push(reject(reason, &detail));
                return Ok(());
            }
        };
        let sources = Sources {
            page_title: &query.image.page_title,
            query: side_text(query),
            target: side_text(target),
        };
        let mut judged = judge(&reply, &sources, rules);
        if judged.is_empty() {
            judged.push(Err((Reason::NoRelation, reply.relation.clone())));
        } else if let Some(fault) = relation_fault(&reply.relation, rules) {
            judged = vec![Err(fault)];
        }
        let relation = reply.relation.split_whitespace().collect::<Vec<_>>().join(" ");
        let baseline = templated(group, pair)?.ok().map(|change| change.instruction);
        let mut index = 0;
        for verdict in judged {
            let outcome = match verdict {
                Ok(further) if index as usize >= *max => reject(Reason::InstructionLimit, &further),
                Ok(instruction) if seen.is_new(&instruction) => {
                    let instruction_index = index;
                    index += 1;
                    Ok(Instruction {
                        pair_id: pair.pair_id.clone(),
                        group_id: pair.group_id.clone(),
                        instruction_index,
                        relation: relation.clone(),
                        instruction,
                        generator: asking.generator().to_owned(),
                        prompt_hash: asking.prompt_hash().to_owned(),
                        baseline: baseline.clone(),
                    })
                }
                Ok(again) => reject(Reason::DuplicateInstruction, &again),
                Err((problem, detail)) => reject(problem, &detail),
            };
            outcomes.push(outcome);
        }
        Ok(())
    }
}

fn side_text<'a>(known: Known<'a>) -> SideText<'a> {
    let Known { description, image } = known;
    SideText { alt: &image.alt, caption: &description.caption, labels: &description.labels }
}
