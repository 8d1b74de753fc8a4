//! Vectors from an embeddings endpoint: first everything that has no kept reply is asked, in batches, then
//! rows are made of the replies alone.
//!
//! Every input has a reply of its own, whatever batch it went in, and whatever part it is of: an image that many
//! pages show is sent once. A batch that the endpoint turns down is
//! asked again in halves, so that one odd input costs nobody else its vector.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use futures::stream;
use tokio_util::sync::CancellationToken;

use super::occurrences::{Occurrence, Occurrences, Source};
use super::{Inputs, Outcome, STAGE};
use crate::config::{Config, Embed};
use crate::endpoint::{
    Ask, Claims, Ended, Forecast, IMAGE_TOKENS, Misfit, Model, Notes, Outcome as Kept, PartReplies,
    Piece, Question, StepReplies, Tally, Totals, Usage, Verdict, Wire, cost, hash, read_vector,
    spent, split_vectors,
};
use crate::record::Reason;
use crate::stages::asking::drive;
use crate::stages::context::{Context, StageError};
use crate::store::{Gatherer, RunDir, StoreError};

/// Descriptions that a forecast reads at a time.
const SAMPLE: usize = 200;

/// An endpoint with what is known of its vectors.
pub struct Asker {
    embed: Embed,
    tally: Tally,
    has_answered: bool,
    halt: CancellationToken,
    model: Option<Model>,
    notes: Notes,
    replies: StepReplies,
    widths: [OnceLock<usize>; 2],
}

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Image,
    Text,
}

/// The inputs of one request.
struct Call {
    kind: Kind,
    inputs: Vec<(String, Piece)>,
}

/// The replies of one part.
pub struct PartVectors {
    keys: Keys,
    replies: PartReplies,
}

/// What of the configuration decides over a vector, for the names that replies are kept under.
#[derive(Clone)]
struct Keys {
    model: String,
    images: &'static str,
    has_images: bool,
}

impl Asker {
    /// Puts everything together but the connection.
    pub fn new(ctx: &Context) -> Result<Self, StageError> {
        let local = ctx.run.store().local();
        Ok(Self {
            embed: ctx.config.embed.clone(),
            tally: Tally::new(&ctx.config.budget, spent(local, "")?),
            has_answered: spent(local, STAGE)?.calls > 0,
            halt: ctx.stop.child_token(),
            model: None,
            notes: Notes::new(local, STAGE),
            replies: StepReplies::new(local, STAGE),
            widths: [OnceLock::new(), OnceLock::new()],
        })
    }

    /// Reads the key and opens the pool of connections; sends nothing.
    pub fn connect(&mut self) -> Result<(), StageError> {
        let (wire, endpoint) =
            (Wire::Embeddings(self.embed.images), self.embed.endpoint.connection());
        let halt = self.halt.clone();
        let model = Model::new(STAGE, wire, &endpoint, &self.tally, self.has_answered, halt)?;
        self.model = Some(model);
        Ok(())
    }

    /// Finds the replies of all parts, so that no part asks what another was answered.
    pub fn index(&self) -> Result<(), StageError> {
        Ok(self.replies.index()?)
    }

    /// Asks what is not known yet of a part.
    pub async fn part(&self, ctx: &Context, source: &Source) -> Result<PartVectors, StageError> {
        let model = self.model.as_ref().expect("the endpoint is connected before any part");
        let replies = self.replies.part(source.part)?;
        let keys = Keys::of(&self.embed);
        let open = Open {
            ctx,
            keys: &keys,
            embed: &self.embed,
            replies: &replies,
            notes: &self.notes,
            gatherer: Gatherer::new(ctx.run.store(), &source.images),
            rows: source.occurrences(ctx.run.store()).await?,
            seen: HashSet::new(),
        };
        let calls = stream::try_unfold(open, |mut open| async {
            let calls = open.next().await?;
            Ok::<_, StageError>(calls.map(|calls| (calls, open)))
        });
        let ask = async |call| self.ask(model, &replies, call).await;
        let asked = drive(&self.halt, model.concurrency(), calls, ask).await;
        replies.seal().await?;
        asked?;
        ctx.go_on()?;
        Ok(PartVectors { keys, replies })
    }

    /// Asks until each input has its vector, or a reason why not. What another part asks now is waited
    /// for, once nothing of this call is held that another could wait for.
    async fn ask(
        &self,
        model: &Model,
        replies: &PartReplies,
        call: Call,
    ) -> Result<(), StageError> {
        let Call { kind, inputs: mut rest } = call;
        while !rest.is_empty() {
            let Claims { mine, theirs } =
                replies.claim(rest.iter().map(|(key, _)| key.as_str()))?;
            let is_mine = |key: &str| mine.iter().any(|flight| flight.key() == key);
            let (inputs, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|(key, _)| is_mine(key));
            if !inputs.is_empty() {
                self.ask_now(model, replies, Call { kind, inputs }).await?;
            }
            for flight in mine {
                let outcome = replies.outcome(flight.key())?;
                flight.land(outcome);
            }
            rest = Vec::new();
            for (key, landing) in theirs {
                if !replies.follow(&key, landing).await? {
                    rest.extend(others.iter().find(|(other, _)| *other == key).cloned());
                }
            }
        }
        Ok(())
    }

    async fn ask_now(
        &self,
        model: &Model,
        replies: &PartReplies,
        call: Call,
    ) -> Result<(), StageError> {
        let mut open = vec![call];
        while let Some(call) = open.pop() {
            let keys: Vec<String> = call.inputs.iter().map(|(key, _)| key.clone()).collect();
            let width = &self.widths[call.kind as usize];
            let split = |text: &str| {
                let lines = split_vectors(text, keys.len(), width.get().copied())?;
                // The first answer that fits says how long the others are to be.
                if let Some(vector) = lines.first().and_then(|line| read_vector(line)) {
                    width.get_or_init(|| vector.len());
                }
                Ok::<_, Misfit>(lines)
            };
            let Some(verdict) = replies.ask_each(model, call.question(), &keys, split).await?
            else {
                continue;
            };
            if keys.len() > 1 && is_of_one(&verdict) {
                open.extend(call.halves());
                continue;
            }
            for key in &keys {
                note(replies, key, &verdict)?;
            }
        }
        Ok(())
    }
}

/// Whether one input alone may be to blame.
fn is_of_one(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Reply { .. } => true,
        Verdict::Failed { reason, .. } => {
            matches!(reason, Reason::HttpClientError | Reason::ReplyUnusable)
        }
    }
}

/// A refusal is final and kept; everything else may be asked another time.
fn note(replies: &PartReplies, key: &str, verdict: &Verdict) -> Result<(), StoreError> {
    match verdict {
        Verdict::Reply { text, .. } => {
            let (key, text, totals) = (key.to_owned(), text.clone(), Totals::default());
            replies.keep(&crate::endpoint::Reply { key, ended: Ended::Refused, text, totals })
        }
        Verdict::Failed { reason, detail } => {
            replies.fail(key, *reason, detail);
            Ok(())
        }
    }
}

impl Call {
    fn question(&self) -> Question {
        let keys: Vec<&str> = self.inputs.iter().map(|(key, _)| key.as_str()).collect();
        let ask = Ask {
            system: String::new(),
            user: self.inputs.iter().map(|(_, piece)| piece.clone()).collect(),
            schema_name: "none",
            schema: Arc::default(),
            max_tokens: 0,
            temperature: 0.0,
            seed: None,
        };
        Question { key: hash(&keys), ask }
    }

    /// The second half first: the last one in is the next one out.
    fn halves(mut self) -> [Self; 2] {
        let second = self.inputs.split_off(self.inputs.len() / 2);
        [Self { kind: self.kind, inputs: second }, self]
    }
}

impl Keys {
    fn of(embed: &Embed) -> Self {
        let (images, model) = (embed.images.as_str(), embed.endpoint.model.clone());
        Self { model, images, has_images: images != "none" }
    }

    fn image(&self, occurrence: &Occurrence) -> String {
        let id = occurrence.image_id.as_str();
        hash(&["embeddings", &self.model, "image", self.images, id])
    }

    fn text(&self, occurrence: &Occurrence) -> String {
        hash(&["embeddings", &self.model, "text", &occurrence.text])
    }
}

/// What of a part has no reply yet.
struct Open<'a> {
    ctx: &'a Context,
    keys: &'a Keys,
    embed: &'a Embed,
    replies: &'a PartReplies,
    notes: &'a Notes,
    gatherer: Gatherer,
    rows: Occurrences,
    seen: HashSet<String>,
}

impl Open<'_> {
    /// The next requests; none at the end.
    async fn next(&mut self) -> Result<Option<Vec<Call>>, StageError> {
        while let Some(rows) = self.rows.next(self.embed.batch).await? {
            let mut calls = Vec::new();
            let texts: Vec<_> = rows.iter().map(|row| (self.keys.text(row), row)).collect();
            let texts = self.unknown(texts)?;
            for (key, row) in &texts {
                self.notes.add(key, &[&row.group_id])?;
            }
            let texts = texts.into_iter();
            let texts = texts.map(|(key, row)| (key, Piece::Text(row.text.clone())));
            calls.extend(cut(Kind::Text, texts.collect(), self.embed.batch));
            let images = self.images(&rows).await?;
            let at_once = self.embed.images.at_once(self.embed.batch);
            calls.extend(cut(Kind::Image, images, at_once));
            self.ctx.progress.add_done(rows.len() as u64);
            if !calls.is_empty() {
                return Ok(Some(calls));
            }
        }
        Ok(None)
    }

    async fn images(&mut self, rows: &[Occurrence]) -> Result<Vec<(String, Piece)>, StageError> {
        if !self.keys.has_images {
            return Ok(Vec::new());
        }
        let images: Vec<_> = rows.iter().map(|row| (self.keys.image(row), row)).collect();
        let images = self.unknown(images)?;
        // A vector of an image is of nothing that a page says.
        for (key, row) in &images {
            self.notes.add(key, &[row.image_id.as_str()])?;
        }
        let mut files = self.gatherer.gather(images.iter().map(|(_, row)| row.place)).await?;
        let piece = |(key, row): (String, &Occurrence)| match files.remove(&row.place) {
            Some(bytes) => Ok((key, Piece::image(bytes))),
            None => {
                Err(StoreError::corrupt("images", format!("no image at {:?}", row.place)).into())
            }
        };
        images.into_iter().map(piece).collect()
    }

    /// Those that were neither answered nor queued.
    fn unknown<'r>(
        &mut self,
        all: Vec<(String, &'r Occurrence)>,
    ) -> Result<Vec<(String, &'r Occurrence)>, StoreError> {
        let mut unknown = Vec::new();
        for (key, row) in all {
            if !self.replies.has(&key)? && self.seen.insert(key.clone()) {
                unknown.push((key, row));
            }
        }
        Ok(unknown)
    }
}

/// Requests of at most so many inputs.
fn cut(kind: Kind, mut inputs: Vec<(String, Piece)>, most: usize) -> Vec<Call> {
    let mut calls = Vec::new();
    while !inputs.is_empty() {
        let rest = inputs.split_off(most.min(inputs.len()));
        calls.push(Call { kind, inputs });
        inputs = rest;
    }
    calls
}

impl PartVectors {
    /// The vectors of a batch, from the replies.
    pub fn of(&self, batch: &[Occurrence]) -> Result<Vec<(Outcome, Outcome)>, StageError> {
        let both = |occurrence| {
            let image = match self.keys.has_images {
                true => self.vector(&self.keys.image(occurrence))?,
                false => Ok(Vec::new()),
            };
            Ok((image, self.vector(&self.keys.text(occurrence))?))
        };
        batch.iter().map(both).collect()
    }

    fn vector(&self, key: &str) -> Result<Outcome, StageError> {
        let reply = match self.replies.outcome(key)? {
            Kept::Reply(reply) => reply,
            Kept::Failed(reason, detail) => return Ok(Err((reason, detail))),
            Kept::Open => return Err(StageError::Interrupted),
        };
        if reply.ended != Ended::Said {
            return Ok(Err((Reason::Refused, reply.text)));
        }
        let vector = read_vector(&reply.text);
        let problem = || StoreError::corrupt("replies/embed", format!("{key} is no vector"));
        Ok(Ok(vector.ok_or_else(problem)?))
    }
}

/// What calls and tokens the rest of the stage takes, about.
pub async fn forecast(
    config: &Config,
    run: &RunDir,
    inputs: &Inputs,
) -> Result<Forecast, StageError> {
    let embed = &config.embed;
    let (keys, replies) = (Keys::of(embed), StepReplies::new(run.store().local(), STAGE));
    let (mut calls, mut input) = (0, 0);
    for at in 0..inputs.descriptions.len().min(inputs.groups.len()) {
        let Some(source) = Source::new(inputs, at) else { continue };
        let (known, mut seen) = (replies.known(source.part)?, HashSet::new());
        let mut is_new = |key: String| !known.has(&key) && seen.insert(key);
        let (mut texts, mut images) = (0_u64, 0_u64);
        let mut rows = source.occurrences(run.store()).await?;
        while let Some(batch) = rows.next(SAMPLE).await? {
            for row in batch {
                if is_new(keys.text(&row)) {
                    texts += 1;
                    input += row.text.len() as u64 / 4 + 1;
                }
                images += u64::from(keys.has_images && is_new(keys.image(&row)));
            }
        }
        input += images * IMAGE_TOKENS;
        let requests = |inputs: u64, at_once: usize| inputs.div_ceil(at_once.max(1) as u64);
        calls += requests(texts, embed.batch) + requests(images, embed.images.at_once(embed.batch));
    }
    let price = Tally::new(&config.budget, Totals::default()).price(&embed.endpoint.model);
    let cost = cost(price, Usage { input, output: 0 });
    Ok(Forecast { calls, input, output: 0, cost })
}
