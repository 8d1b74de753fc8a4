//! Vectors from an embeddings endpoint: first everything that has no kept reply is asked, in batches, then
//! rows are made of the replies alone.
//!
//! Every input has a reply of its own, whatever batch it went in, and whatever part it is of: an image that
//! many pages show is sent once. A batch that the endpoint turns down, or hangs at, is
//! asked again in halves, so that one odd input costs nobody else its vector.

mod forecast;
mod open;
mod others;
mod widths;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::occurrences::{Occurrence, Source};
use super::{Outcome, STAGE};
use crate::config::Embed;
use crate::endpoint::{
    Ask, Claims, Ended, Model, ModelError, Notes, Outcome as Kept, PartReplies, Piece, Question,
    Spending, StepReplies, Tally, Totals, Verdict, Wire, hash, read_vector, split_vectors,
};
use crate::record::{ImageId, Reason};
use crate::stages::asking::drive;
use crate::stages::context::{Context, StageError};
use crate::store::{Gatherer, StoreError};
pub use forecast::forecast;
use open::{Open, Room, Wanted};
pub use others::STEP;
use widths::Widths;

/// Images that may be turned down, or hung at, each by itself, before one is taken.
const MAX_REFUSED: usize = 20;

/// An endpoint with what is known of its vectors.
pub struct Asker {
    embed: Embed,
    scratch: PathBuf,
    tally: Tally,
    has_answered: bool,
    halt: CancellationToken,
    model: Option<Model>,
    notes: Notes,
    replies: StepReplies,
    widths: [Widths; 2],
    room: Room,
    refused_images: AtomicUsize,
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
    /// What images take of the room, given back once all of their batch are done.
    room: Option<Arc<OwnedSemaphorePermit>>,
    /// Whether the endpoint hung at a batch that these were of.
    has_hung: bool,
}

/// The replies of one part.
pub struct PartVectors {
    keys: Keys,
    replies: PartReplies,
    /// Numbers of a vector, by kind.
    widths: [Option<usize>; 2],
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
        let scratch = ctx.run.store().scratch();
        let spending = Spending::of_files(scratch)?;
        Ok(Self {
            embed: ctx.config.embed.clone(),
            scratch: scratch.to_owned(),
            tally: Tally::new(&ctx.budget, spending.of(ctx.slice)),
            has_answered: spending.of_step(STAGE).calls > 0,
            halt: ctx.stop.child_token(),
            model: None,
            notes: Notes::new(scratch, STAGE, ctx.slice),
            replies: StepReplies::new(scratch, STAGE),
            widths: Default::default(),
            room: Room::new(ctx.config.embed.image_bytes),
            refused_images: AtomicUsize::new(0),
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
        let asked = self.ask_all(ctx, model, source, (&keys, &replies), Wanted::New).await;
        replies.seal().await?;
        asked?;
        if self.widths.iter().any(Widths::are_mixed) {
            let asked = self.ask_all(ctx, model, source, (&keys, &replies), Wanted::Odd).await;
            replies.seal().await?;
            asked?;
        }
        ctx.go_on()?;
        Ok(PartVectors { keys, replies, widths: [0, 1].map(|kind| self.widths[kind].usual()) })
    }

    /// Asks all of a part that is wanted.
    async fn ask_all(
        &self,
        ctx: &Context,
        model: &Model,
        source: &Source,
        (keys, replies): (&Keys, &PartReplies),
        wanted: Wanted,
    ) -> Result<(), StageError> {
        let open = Open {
            ctx,
            keys,
            embed: &self.embed,
            replies,
            notes: &self.notes,
            widths: &self.widths,
            room: &self.room,
            wanted,
            gatherer: Gatherer::new(ctx.run.store(), &source.images),
            rows: source.occurrences(ctx.run.store()).await?,
            seen: HashSet::new(),
            seeds: [0; 2],
        };
        let calls = stream::try_unfold(open, |mut open| async {
            let calls = open.next().await?;
            Ok::<_, StageError>(calls.map(|calls| (calls, open)))
        });
        let ask = async |call| match wanted {
            Wanted::New => self.ask(model, replies, call).await,
            Wanted::Odd => self.ask_now(model, replies, call).await,
        };
        drive(&self.halt, model.concurrency(), calls, ask).await
    }

    /// Asks until each input has its vector, or a reason why not. What another part asks now is waited
    /// for, once nothing of this call is held that another could wait for.
    async fn ask(
        &self,
        model: &Model,
        replies: &PartReplies,
        call: Call,
    ) -> Result<(), StageError> {
        let Call { kind, inputs: mut rest, room, has_hung } = call;
        while !rest.is_empty() {
            let Claims { mine, theirs } =
                replies.claim(rest.iter().map(|(key, _)| key.as_str()))?;
            let is_mine = |key: &str| mine.iter().any(|flight| flight.key() == key);
            let (inputs, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|(key, _)| is_mine(key));
            if !inputs.is_empty() {
                let call = Call { kind, inputs, room: room.clone(), has_hung };
                self.ask_now(model, replies, call).await?;
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
            let widths = &self.widths[call.kind as usize];
            let is_noted = AtomicBool::new(false);
            let split = |text: &str| {
                split_vectors(text, keys.len(), |found| {
                    // Tries of one call are one voice.
                    if !is_noted.swap(true, Ordering::Relaxed) {
                        widths.note(found.iter().copied());
                    }
                    widths.expected(found)
                })
            };
            // What is given up in the end has had all its tries by itself.
            let (question, is_part) = (call.question(), call.has_hung && keys.len() > 1);
            let asked = replies.ask_each(model, question, &keys, is_part, split).await?;
            let Some(verdict) = asked else { continue };
            if keys.len() > 1 && is_of_one(&verdict) {
                let has_hung = matches!(verdict, Verdict::Failed { has_hung: true, .. });
                open.extend(Call { has_hung, ..call }.halves());
                continue;
            }
            if call.kind == Kind::Image && is_of_one(&verdict) {
                self.none_but_refusals(&verdict)?;
            }
            for key in &keys {
                note(replies, key, &verdict)?;
            }
        }
        Ok(())
    }

    /// Ends the run where image after image is turned down, or hung at, and none was ever taken: the
    /// endpoint may well answer texts, and know nothing else.
    fn none_but_refusals(&self, verdict: &Verdict) -> Result<(), StageError> {
        let refused = self.refused_images.fetch_add(1, Ordering::Relaxed) + 1;
        if refused < MAX_REFUSED || self.widths[Kind::Image as usize].usual().is_some() {
            return Ok(());
        }
        let (Verdict::Reply { text: detail, .. } | Verdict::Failed { detail, .. }) = verdict;
        let problem = format!(
            "the endpoint took none of the first {refused} images, sent as {:?}; set \"none\" where it \
             knows texts only (last: {detail})",
            self.embed.images.as_str()
        );
        Err(ModelError::Setup { key: "embed.images".to_owned(), problem }.into())
    }
}

/// Whether one input alone may be to blame.
fn is_of_one(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Reply { .. } => true,
        Verdict::Failed { reason, has_hung, .. } => {
            *has_hung || matches!(reason, Reason::HttpClientError | Reason::ReplyUnusable)
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
        Verdict::Failed { reason, detail, .. } => {
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
        [Self { inputs: second, room: self.room.clone(), ..self }, self]
    }
}

impl Keys {
    fn of(embed: &Embed) -> Self {
        let (images, model) = (embed.images.as_str(), embed.endpoint.model.clone());
        Self { model, images, has_images: images != "none" }
    }

    fn image(&self, occurrence: &Occurrence) -> String {
        self.image_id(&occurrence.image_id)
    }

    fn image_id(&self, id: &ImageId) -> String {
        hash(&["embeddings", &self.model, "image", self.images, id.as_str()])
    }

    fn text(&self, occurrence: &Occurrence) -> String {
        hash(&["embeddings", &self.model, "text", &occurrence.text])
    }
}

impl PartVectors {
    /// The vectors of a batch, from the replies.
    pub fn of(&self, batch: &[Occurrence]) -> Result<Vec<(Outcome, Outcome)>, StageError> {
        let both = |occurrence| {
            let image = match self.keys.has_images {
                true => self.vector(Kind::Image, &self.keys.image(occurrence))?,
                false => Ok(Vec::new()),
            };
            Ok((image, self.vector(Kind::Text, &self.keys.text(occurrence))?))
        };
        batch.iter().map(both).collect()
    }

    fn vector(&self, kind: Kind, key: &str) -> Result<Outcome, StageError> {
        let vector = vector_of(&self.replies, key)?;
        let expected = self.widths[kind as usize].unwrap_or_default();
        Ok(vector.and_then(|vector| match vector.len() {
            width if width == expected => Ok(vector),
            found => {
                let detail =
                    format!("an embedding of {found} numbers, where others have {expected}");
                Err((Reason::ReplyUnusable, detail))
            }
        }))
    }
}

/// The vector that is kept under a key, or why there is none.
fn vector_of(replies: &PartReplies, key: &str) -> Result<Outcome, StageError> {
    let reply = match replies.outcome(key)? {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A vector that was paid for is found under its name of 25d6a2e.
    #[test]
    fn replies_are_kept_under_the_names_of_25d6a2e() {
        let keys = Keys { model: "m".into(), images: "infinity", has_images: true };
        let image = keys.image_id(&ImageId::of_digest(&[0; 32]));
        assert_eq!(image, "629b65e6130298188075d178482c242f");
    }
}
