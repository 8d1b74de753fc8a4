//! What the two stages that ask a model share: a prompt, a schema, a model, and the order of work.
//!
//! A part is worked on twice. First every question without a kept reply is asked, in whatever order
//! answers come; then the part is written from the kept replies alone, in the order of its rows. So a
//! part is a pure function of its input and its replies, and a killed run asks nothing twice.

use std::path::Path;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::context::{Context, StageError};
use crate::config::{Config, Endpoint};
use crate::endpoint::{
    Ask, AskError, Checked, Ended, Forecast, IMAGE_TOKENS, Model, ModelError, Outcome, PartReplies,
    Piece, Prompt, Question, Tally, Totals, Unfit, Usage, Wire, cost, hash, spent,
};
use crate::record::Reason;
use crate::store::{Manifest, Row, RunDir, read_rows};

/// Rows that a forecast looks at.
const SAMPLE: usize = 200;

/// A step that asks a model.
pub struct Asking {
    step: &'static str,
    wire: Wire,
    model: Option<Model>,
    tally: Tally,
    has_answered: bool,
    prompt: Prompt,
    schema: Checked,
    schema_name: &'static str,
    endpoint: Endpoint,
    prompt_hash: String,
    generator: String,
    halt: CancellationToken,
}

/// The texts that a step is made of.
pub struct Texts<'a> {
    /// The template.
    pub prompt: &'a str,
    /// Demonstrations that the template takes in; empty where it has none.
    pub demonstrations: &'a str,
    /// JSON Schema of the answer.
    pub schema: &'a str,
    /// The schema's name for the endpoint.
    pub schema_name: &'static str,
}

/// A question without its images.
pub struct Rendered {
    /// The hash that replies are kept under.
    pub key: String,
    system: String,
    user: String,
}

impl Asking {
    /// Puts a step together without an endpoint: questions can be rendered, and answers read.
    pub fn new(
        ctx: &Context,
        step: &'static str,
        wire: Wire,
        endpoint: &Endpoint,
        texts: &Texts<'_>,
    ) -> Result<Self, StageError> {
        let tally = Tally::new(&ctx.config.budget, spent(ctx.run.store().local(), "")?);
        let halt = ctx.stop.child_token();
        Ok(Self {
            step,
            wire,
            model: None,
            tally,
            has_answered: spent(ctx.run.store().local(), step)?.calls > 0,
            prompt: prompt(step, texts)?,
            schema: Checked::new(texts.schema).map_err(|problem| StageError::Prompt {
                key: format!("{step}.schema"),
                problem: problem.to_string(),
            })?,
            schema_name: texts.schema_name,
            prompt_hash: prompt_hash(wire, endpoint, texts),
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

    /// Whether there is an endpoint that answers now.
    pub fn is_live(&self) -> bool {
        self.model.is_some()
    }

    /// What the run spends.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The endpoint's configuration.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Hash of everything but the content that decides over an answer.
    pub fn prompt_hash(&self) -> &str {
        &self.prompt_hash
    }

    /// Provider and model.
    pub fn generator(&self) -> &str {
        &self.generator
    }

    /// The replies of a part.
    pub fn replies(&self, ctx: &Context, part: u32) -> Result<PartReplies, StageError> {
        Ok(PartReplies::open(ctx.run.store().local(), self.step, part)?)
    }

    /// Fills the template in. `images` are the ids of the images that go along.
    pub fn render(&self, data: &impl Serialize, images: &[&str]) -> Result<Rendered, StageError> {
        let (system, user) = render(&self.prompt, self.step, data)?;
        let parts = [&[self.prompt_hash.as_str(), &system, &user], images].concat();
        let mut key = Sha256::new();
        for part in parts {
            key.update((part.len() as u64).to_be_bytes());
            key.update(part);
        }
        Ok(Rendered { key: hex::encode(key.finalize()), system, user })
    }

    /// A question with its images.
    pub fn question(&self, rendered: Rendered, images: Vec<Bytes>) -> Question {
        let Rendered { key, system, user } = rendered;
        let mut pieces = vec![Piece::Text(user)];
        pieces.extend(images.into_iter().map(Piece::image));
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

    /// Asks all questions of a part. When one finds that no call makes sense any more, those in
    /// flight are finished and kept.
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
        replies.seal()?;
        asked?;
        ctx.go_on()
    }

    /// The kept answer to a question, read; or why there is none.
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

/// What the rest of a step takes, about. `images` go along with each question; `data` is what the
/// template sees of a row.
#[expect(clippy::too_many_arguments, reason = "all of what a step is made of, once")]
pub async fn forecast_of<R: Row>(
    config: &Config,
    run: &RunDir,
    step: &'static str,
    input: &[Manifest],
    endpoint: &Endpoint,
    texts: &Texts<'_>,
    images: u64,
    data: impl Fn(&R) -> serde_json::Value,
) -> Result<Forecast, StageError> {
    let prompt = prompt(step, texts)?;
    let (mut sampled, mut bytes) = (0, 0);
    for file in input.iter().filter_map(|part| part.files.get("rows")) {
        let mut rows = read_rows::<R>(run.store(), &file.path, SAMPLE).await?;
        for row in rows.next().await?.unwrap_or_default() {
            let (system, user) = render(&prompt, step, &data(&row))?;
            sampled += 1;
            bytes += (system.len() + user.len()) as u64;
        }
        if sampled >= SAMPLE as u64 {
            break;
        }
    }
    let rows: u64 = input.iter().map(|part| part.rows("rows")).sum();
    let calls = rows.saturating_sub(spent(run.store().local(), step)?.calls);
    let each = Usage {
        input: bytes / sampled.max(1) / 4 + images * IMAGE_TOKENS,
        output: u64::from(endpoint.max_tokens),
    };
    let all = Usage { input: each.input * calls, output: each.output * calls };
    let price = Tally::new(&config.budget, Totals::default()).price(&endpoint.model);
    Ok(Forecast { calls, input: all.input, output: all.output, cost: cost(price, all) })
}

fn render(
    prompt: &Prompt,
    step: &str,
    data: &impl Serialize,
) -> Result<(String, String), StageError> {
    prompt.render(data).map_err(|problem| StageError::Prompt {
        key: format!("{step}.prompt"),
        problem: problem.to_string(),
    })
}

fn prompt(step: &str, texts: &Texts<'_>) -> Result<Prompt, StageError> {
    let extra = match texts.demonstrations {
        "" => Vec::new(),
        text => vec![("demonstrations", text)],
    };
    Prompt::new(step, texts.prompt, &extra).map_err(|problem| StageError::Prompt {
        key: format!("{step}.prompt"),
        problem: problem.to_string(),
    })
}

/// Hash of prompt, demonstrations, schema, model and parameters.
pub fn prompt_hash(wire: Wire, endpoint: &Endpoint, texts: &Texts<'_>) -> String {
    let mut what = serde_json::to_value(endpoint).expect("a configuration is plain data");
    for key in Endpoint::THROUGHPUT_KEYS {
        what.as_object_mut().expect("an endpoint is a table").remove(key);
    }
    hash(&[wire.name(), &what.to_string(), texts.prompt, texts.demonstrations, texts.schema])
}

/// The text of a file that the configuration names, or the one built in.
pub fn text_of(key: &'static str, path: &Path, built_in: &str) -> Result<String, StageError> {
    if path.as_os_str().is_empty() {
        return Ok(built_in.to_owned());
    }
    std::fs::read_to_string(path).map_err(|error| StageError::ConfigFile {
        key,
        path: path.to_owned(),
        problem: error.to_string(),
    })
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
