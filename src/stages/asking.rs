//! Common code of the two stages that ask a model: a prompt, a schema, a model, and the order of work.
//!
//! A part is worked on twice. First every request without a cached reply is sent, and replies are cached
//! in the order in which they arrive. Then the part is written from the cached replies alone, in the order
//! of its rows. So a part is a pure function of its input and its replies, and a killed run sends no
//! request twice.

use std::path::Path;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::context::{Context, StageError};
use crate::config::{Config, Endpoint, History, Price};
use crate::endpoint::{
    Ask, AskError, BuiltIn, Checked, Ended, Forecast, IMAGE_TOKENS, KnownReplies, Model,
    ModelError, Outcome, PartReplies, Piece, Prompt, Question, Spending, StepReplies, Tally,
    Totals, Unfit, Usage, Wire, built_in, cost, hash,
};
use crate::record::Reason;
use crate::store::RunDir;

/// A step that asks a model.
pub struct Asking {
    step: &'static str,
    wire: Wire,
    model: Option<Model>,
    tally: Tally,
    has_answered: bool,
    replies: StepReplies,
    renderer: Renderer,
    schema: Checked,
    schema_name: &'static str,
    endpoint: Endpoint,
    generator: String,
    halt: CancellationToken,
}

/// The texts that a step is made of.
pub struct Texts<'a> {
    /// The template.
    pub prompt: &'a str,
    /// Demonstrations for the template; empty if the template includes no demonstrations.
    pub demonstrations: &'a str,
    /// JSON Schema of the reply.
    pub schema: &'a str,
    /// The schema's name for the endpoint.
    pub schema_name: &'static str,
}

/// A rendered prompt without its images.
pub struct Rendered {
    /// The hash that replies are cached under.
    pub key: String,
    system: String,
    user: String,
}

impl Asking {
    /// Creates a step without an endpoint: prompts can be rendered, and cached replies read.
    pub fn new(
        ctx: &Context,
        step: &'static str,
        wire: Wire,
        endpoint: &Endpoint,
        texts: &Texts<'_>,
    ) -> Result<Self, StageError> {
        let scratch = ctx.run.store().scratch();
        let spending = Spending::of_files(scratch)?;
        let tally = Tally::new(&ctx.budget, spending.of(ctx.slice));
        let halt = ctx.stop.child_token();
        Ok(Self {
            step,
            wire,
            model: None,
            tally,
            has_answered: spending.of_step(step).calls > 0,
            replies: StepReplies::new(scratch, step),
            renderer: Renderer::new(step, wire, endpoint, texts)?,
            schema: Checked::new(texts.schema).map_err(|problem| StageError::Prompt {
                key: format!("{step}.schema"),
                problem: problem.to_string(),
            })?,
            schema_name: texts.schema_name,
            generator: format!("{}/{}", wire.name(), endpoint.model),
            endpoint: endpoint.clone(),
            halt,
        })
    }

    /// Reads the key and opens the pool of connections; sends nothing.
    pub fn connect(&mut self) -> Result<(), StageError> {
        let halt = self.halt.clone();
        let answered = self.has_answered;
        let model = Model::new(self.step, self.wire, &self.endpoint, &self.tally, answered, halt)?;
        self.model = Some(model);
        Ok(())
    }

    /// Indexes the cached replies of all parts, so that no part repeats a request of another.
    pub fn index(&self) -> Result<(), StageError> {
        Ok(self.replies.index()?)
    }

    /// Returns true if the step is connected to an endpoint.
    pub fn is_live(&self) -> bool {
        self.model.is_some()
    }

    /// The step's name.
    pub fn step(&self) -> &'static str {
        self.step
    }

    /// Returns the tally of the run's cost.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The endpoint's configuration.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Hash of everything but the content that decides over an answer.
    pub fn prompt_hash(&self) -> &str {
        &self.renderer.prompt_hash
    }

    /// Provider and model.
    pub fn generator(&self) -> &str {
        &self.generator
    }

    /// The replies of a part.
    pub fn replies(&self, part: u32) -> Result<PartReplies, StageError> {
        Ok(self.replies.part(part)?)
    }

    /// Fills the template in. `images` are the ids of the images that go along.
    pub fn render(&self, data: &impl Serialize, images: &[&str]) -> Result<Rendered, StageError> {
        self.renderer.render(data, images)
    }

    /// Builds a request from a rendered prompt and its images.
    pub fn question(&self, rendered: Rendered, images: Vec<Piece>) -> Question {
        let Rendered { key, system, user } = rendered;
        let mut pieces = vec![Piece::Text(user)];
        pieces.extend(images);
        let ask = Ask {
            system,
            user: pieces,
            schema_name: self.schema_name,
            schema: self.schema.value(),
            max_tokens: self.endpoint.max_tokens,
            temperature: self.endpoint.temperature as f32,
            seed: u64::try_from(self.endpoint.seed).ok(),
        };
        Question { key, ask }
    }

    /// Sends all requests of a part. If one ends the run, those in flight are completed and their replies
    /// cached.
    pub async fn ask_all<T: DeserializeOwned>(
        &self,
        ctx: &Context,
        replies: &PartReplies,
        questions: impl Stream<Item = Result<Vec<Question>, StageError>>,
    ) -> Result<(), StageError> {
        let Some(model) = &self.model else { return Ok(()) };
        let fits = |text: &str| self.schema.read::<T>(text).is_ok();
        let ask = async |question| {
            let outcome = replies.ask(model, question, fits).await;
            ctx.progress.done(None);
            Ok(outcome?)
        };
        let asked = drive(&self.halt, model.concurrency(), questions, ask).await;
        replies.seal().await?;
        asked?;
        ctx.go_on()
    }

    /// Reads the cached reply to a request; returns the reason and detail if it failed.
    pub fn answer<T: DeserializeOwned>(
        &self,
        replies: &PartReplies,
        key: &str,
    ) -> Result<Result<T, (Reason, String)>, StageError> {
        let reply = match replies.outcome(key)? {
            Outcome::Reply(reply) => reply,
            Outcome::Failed(reason, detail) => return Ok(Err((reason, detail))),
            Outcome::Open => return Err(StageError::Interrupted),
        };
        Ok(match reply.ended {
            Ended::Said => self.schema.read(&reply.text).map_err(|unfit| match unfit {
                Unfit::NotJson(detail) => (Reason::ReplyNotJson, detail),
                Unfit::Schema(detail) => (Reason::ReplySchema, detail),
            }),
            Ended::Cut => Err((Reason::ReplyCut, String::new())),
            Ended::Refused => Err((Reason::Refused, reply.text)),
            Ended::Failed => Err((Reason::ReplyUnusable, reply.text)),
        })
    }
}

/// Asks all of what comes, so much at once. When one finds that no call makes sense any more, `halt` is
/// cancelled: those in flight are finished and kept, and no further one begins.
pub async fn drive<Q>(
    halt: &CancellationToken,
    at_once: usize,
    questions: impl Stream<Item = Result<Vec<Q>, StageError>>,
    ask: impl AsyncFn(Q) -> Result<(), StageError>,
) -> Result<(), StageError> {
    let ask = &ask;
    let mut asked = std::pin::pin!(
        questions
            .map_ok(|batch| stream::iter(batch).map(Ok::<_, StageError>))
            .try_flatten()
            .take_while(|_| std::future::ready(!halt.is_cancelled()))
            .map(|question| async move {
                let outcome = match question {
                    Ok(question) => ask(question).await,
                    Err(error) => Err(error),
                };
                outcome.inspect_err(|_| halt.cancel())
            })
            .buffer_unordered(at_once)
    );
    let mut failure: Option<StageError> = None;
    while let Some(outcome) = asked.next().await {
        match outcome {
            // Halted is what the others say once one has failed.
            Err(error) if failure.as_ref().is_none_or(StageError::is_interrupted) => {
                failure = Some(error);
            }
            _ => {}
        }
    }
    failure.map_or(Ok(()), Err)
}

/// A prompt, and the hash that is part of the key of every request made from it.
struct Renderer {
    step: &'static str,
    prompt: Prompt,
    prompt_hash: String,
}

impl Renderer {
    fn new(
        step: &'static str,
        wire: Wire,
        endpoint: &Endpoint,
        texts: &Texts<'_>,
    ) -> Result<Self, StageError> {
        let extra = match texts.demonstrations {
            "" => Vec::new(),
            text => vec![("demonstrations", text)],
        };
        let prompt = Prompt::new(step, texts.prompt, &extra).map_err(|problem| {
            StageError::Prompt { key: format!("{step}.prompt"), problem: problem.to_string() }
        })?;
        Ok(Self { step, prompt, prompt_hash: prompt_hash(step, wire, endpoint, texts) })
    }

    fn render(&self, data: &impl Serialize, images: &[&str]) -> Result<Rendered, StageError> {
        let rendered = self.prompt.render(data).map_err(|problem| StageError::Prompt {
            key: format!("{}.prompt", self.step),
            problem: problem.to_string(),
        });
        let (system, user) = rendered?;
        let parts = [&[self.prompt_hash.as_str(), &system, &user], images].concat();
        let mut key = Sha256::new();
        for part in parts {
            key.update((part.len() as u64).to_be_bytes());
            key.update(part);
        }
        Ok(Rendered { key: hex::encode(key.finalize()), system, user })
    }
}

/// Estimates the calls and tokens of the requests without a cached reply.
pub struct Forecaster {
    renderer: Renderer,
    replies: StepReplies,
    known: Option<(u32, KnownReplies)>,
    price: Price,
    max_tokens: u64,
    sum: Forecast,
}

impl Forecaster {
    /// Creates a forecaster that has counted nothing yet.
    pub fn new(
        config: &Config,
        run: &RunDir,
        step: &'static str,
        wire: Wire,
        endpoint: &Endpoint,
        texts: &Texts<'_>,
    ) -> Result<Self, StageError> {
        Ok(Self {
            renderer: Renderer::new(step, wire, endpoint, texts)?,
            replies: StepReplies::new(run.store().scratch(), step),
            known: None,
            price: Tally::new(&config.budget, Totals::default()).price(&endpoint.model),
            max_tokens: u64::from(endpoint.max_tokens),
            sum: Forecast::default(),
        })
    }

    /// Counts a request of a part, unless its reply is cached there.
    pub fn add(
        &mut self,
        part: u32,
        data: &impl Serialize,
        images: &[&str],
    ) -> Result<(), StageError> {
        let Rendered { key, system, user } = self.renderer.render(data, images)?;
        let known = match self.known.take() {
            Some(known) if known.0 == part => known,
            _ => (part, self.replies.known(part)?),
        };
        if !known.1.has(&key) {
            self.sum.calls += 1;
            self.sum.input += (system.len() + user.len()) as u64 / 4;
            self.sum.input += images.len() as u64 * IMAGE_TOKENS;
            self.sum.output += self.max_tokens;
        }
        self.known = Some(known);
        Ok(())
    }

    /// All of it.
    pub fn sum(self) -> Forecast {
        let usage = Usage { input: self.sum.input, output: self.sum.output };
        Forecast { cost: cost(self.price, usage), ..self.sum }
    }
}

/// Hash of prompt, demonstrations, schema, model and parameters: the same in every version.
pub fn prompt_hash(
    step: &'static str,
    wire: Wire,
    endpoint: &Endpoint,
    texts: &Texts<'_>,
) -> String {
    prompt_hash_as(&History::CURRENT, step, wire, endpoint, texts)
}

fn prompt_hash_as(
    history: &History,
    step: &'static str,
    wire: Wire,
    endpoint: &impl Serialize,
    texts: &Texts<'_>,
) -> String {
    let mut what = serde_json::to_value(endpoint).expect("a configuration is plain data");
    for key in Endpoint::THROUGHPUT_KEYS {
        what.as_object_mut().expect("an endpoint is a table").remove(key);
    }
    let section = history.hashed(&format!("{step}.endpoint"), what);
    let (_, what) = section.expect("every version has the section");
    hash(&[wire.name(), &what.to_string(), texts.prompt, texts.demonstrations, texts.schema])
}

/// A text for a model, and the schema of its answers.
pub struct Source {
    /// The text.
    pub text: String,
    /// JSON Schema; empty where the text is no prompt of its own.
    pub schema: &'static str,
}

/// The text that a key names: a file's, or one of those built in.
pub fn text_of(
    key: &'static str,
    path: &Path,
    texts: &'static [BuiltIn],
) -> Result<Source, StageError> {
    let named = built_in(texts, path)
        .map_err(|problem| StageError::Prompt { key: key.to_owned(), problem })?;
    if let Some(BuiltIn { text, schema, .. }) = named {
        return Ok(Source { text: (*text).to_owned(), schema });
    }
    let text = std::fs::read_to_string(path).map_err(|error| StageError::ConfigFile {
        key,
        path: path.to_owned(),
        problem: error.to_string(),
    })?;
    // A file of the user was written for the first schema, and cannot ask for fields of a later one.
    Ok(Source { text, schema: texts.first().map_or("", |first| first.schema) })
}

impl From<AskError> for StageError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Model(ModelError::Halted) => Self::Interrupted,
            AskError::Model(error) => Self::Model(error),
            AskError::Store(error) => Self::Store(error),
        }
    }
}

#[cfg(test)]
mod tests;
