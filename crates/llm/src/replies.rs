//! Replies that were paid for, by the hash of what was asked: nothing is asked twice.
//!
//! `replies/<step>/part-00042.jsonl` in the run directory belongs to part 42 of the step's table.
//! `--redo`, `mine forget` and new gates leave it alone, so only what is new is asked then; `mine compact`
//! takes out what they say of what is forgotten, see [`super::notes`]. A reply that another part has is
//! copied, at no price: every part is written from its own file alone.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use magiclens_core::Reason;
use magiclens_store::{Journal, Keyed, Place, ShortKey, StoreError, short_key};
use serde::{Deserialize, Serialize};

use super::flights::{Claim, Flight, Flights, Landing};
use super::model::{Course, Model, ModelError, Question, Verdict};
use super::prompt::hash;
use super::tally::Totals;

/// Folder of all replies in a run directory.
pub const REPLIES: &str = "replies";

/// How a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// As it should.
    Said,
    /// At the limit of tokens.
    Cut,
    /// The model or the endpoint would not.
    Refused,
    /// No reply; only here because something was paid, or to know another time that nothing came back.
    Failed,
}

/// One reply, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// sha256 of prompt, schema, model, parameters and content.
    pub key: String,
    /// How it ended.
    pub ended: Ended,
    /// What the model said, or why it would not.
    pub text: String,
    /// What it took, all tries together.
    pub totals: Totals,
}

impl Keyed for Reply {
    fn key(&self) -> &str {
        &self.key
    }
}

/// The replies of one step, part by part.
pub struct StepReplies {
    flights: Arc<Flights>,
}

/// The replies of one part of one step.
pub struct PartReplies {
    journal: Journal<Reply>,
    part: u32,
    flights: Arc<Flights>,
    failures: Mutex<HashMap<String, (Reason, String)>>,
}

/// Which questions of a part have a reply.
pub struct KnownReplies(HashSet<ShortKey>);

impl KnownReplies {
    /// Whether this one has.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains(&short_key(key))
    }
}

/// Questions of a part that were looked at together: each is in one of the two, or has its reply.
pub struct Claims {
    /// To be asked by whoever claimed them.
    pub mine: Vec<Flight>,
    /// Asked by others now.
    pub theirs: Vec<(String, Landing)>,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A reply, kept.
    Reply(Reply),
    /// None, this time.
    Failed(Reason, String),
    /// Not asked yet.
    Open,
}

impl StepReplies {
    /// Reads nothing: parts know of each other what happens from now on.
    pub fn new(run_dir: &Path, step: &str) -> Self {
        Self { flights: Arc::new(Flights::new(&run_dir.join(REPLIES).join(step))) }
    }

    /// Reads what is there, so that parts find what others were answered in earlier runs.
    pub fn index(&self) -> Result<(), StoreError> {
        self.flights.index()
    }

    /// Finds which replies a part has; writes nothing.
    pub fn known(&self, part: u32) -> Result<KnownReplies, StoreError> {
        Ok(KnownReplies(self.flights.keys(part)?))
    }

    /// Opens the replies of a part.
    pub fn part(&self, part: u32) -> Result<PartReplies, StoreError> {
        let journal = Journal::open(&self.flights.path(part))?;
        let flights = Arc::clone(&self.flights);
        Ok(PartReplies { journal, part, flights, failures: Mutex::default() })
    }
}

impl PartReplies {
    /// Opens the replies of a part that knows of no other.
    pub fn open(run_dir: &Path, step: &str, part: u32) -> Result<Self, StoreError> {
        StepReplies::new(run_dir, step).part(part)
    }

    /// Whether a question has its reply here.
    pub fn is_known(&self, key: &str) -> bool {
        self.journal.contains(key)
    }

    /// Whether a question has its reply, here or in another part; then it is copied from there.
    pub fn has(&self, key: &str) -> Result<bool, StoreError> {
        if self.is_known(key) {
            return Ok(true);
        }
        let Some((part, place)) = self.flights.known(key) else { return Ok(false) };
        self.copy(key, part, place)
    }

    /// Keeps a reply that came by another way than [`Self::ask`].
    pub fn keep(&self, reply: &Reply) -> Result<(), StoreError> {
        let place = self.journal.append(reply)?;
        self.flights.landed(reply, self.part, place);
        Ok(())
    }

    /// Asks, and keeps the reply, or what was paid for none, before anything else happens. What has its
    /// reply by then is not asked, and what another asks now is waited for.
    pub async fn ask(
        &self,
        model: &Model,
        question: Question,
        fits: impl Fn(&str) -> bool,
    ) -> Result<(), AskError> {
        let Some(flight) = self.depart(&question.key).await? else { return Ok(()) };
        let mut course = self.course(&question.key);
        let verdict = model.ask(&question, fits, &mut course).await;
        let totals = course.totals;
        let outcome = match verdict {
            Err(error) => {
                self.keep_paid(&question.key, error.to_string(), course, model)?;
                return Err(error.into());
            }
            Ok(Verdict::Reply { ended, text }) => {
                let reply = Reply { key: question.key, ended, text, totals };
                self.keep(&reply)?;
                Outcome::Reply(reply)
            }
            Ok(Verdict::Failed { reason, detail, .. }) => {
                self.keep_paid(&question.key, detail.clone(), course, model)?;
                self.fail(&question.key, reason, &detail);
                Outcome::Failed(reason, detail)
            }
        };
        flight.land(outcome);
        Ok(())
    }

    /// Takes a question to ask it; none once it has an outcome.
    async fn depart(&self, key: &str) -> Result<Option<Flight>, StoreError> {
        loop {
            let Claims { mut mine, theirs } = self.claim([key])?;
            if let Some(flight) = mine.pop() {
                return Ok(Some(flight));
            }
            for (key, landing) in theirs {
                if self.follow(&key, landing).await? {
                    return Ok(None);
                }
            }
            if self.is_known(key) {
                return Ok(None);
            }
        }
    }

    /// Takes of several questions those that are nobody's and have no reply.
    pub fn claim<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> Result<Claims, StoreError> {
        let mut claims = Claims { mine: Vec::new(), theirs: Vec::new() };
        for key in keys {
            match self.flights.claim(key) {
                Claim::Known(part, place)
                    if self.is_known(key) || self.copy(key, part, place)? => {}
                // Its file is gone, or it is of another key with the same short one.
                Claim::Known(..) => {
                    return Err(StoreError::corrupt("replies", format!("no reply at {key}")));
                }
                Claim::Theirs(landing) => claims.theirs.push((key.to_owned(), landing)),
                // The index may have had no room for it.
                Claim::Mine(_) if self.is_known(key) => {}
                Claim::Mine(flight) => claims.mine.push(flight),
            }
        }
        Ok(claims)
    }

    /// Waits for what becomes of a question that is asked elsewhere, and takes it over; false where
    /// nothing became of it.
    pub async fn follow(&self, key: &str, mut landing: Landing) -> Result<bool, StoreError> {
        let landed = landing.wait_for(Option::is_some).await;
        let Some(outcome) = landed.ok().and_then(|outcome| outcome.clone()) else {
            return Ok(false);
        };
        match outcome {
            Outcome::Reply(reply) if !self.is_known(key) => self.keep_copy(reply)?,
            Outcome::Failed(reason, detail) => self.fail(key, reason, &detail),
            _ => {}
        }
        Ok(true)
    }

    fn copy(&self, key: &str, part: u32, place: Place) -> Result<bool, StoreError> {
        match self.flights.reply(part, place, key)? {
            Some(reply) => self.keep_copy(reply).map(|()| true),
            None => Ok(false),
        }
    }

    /// What the reply took is counted where it was asked.
    fn keep_copy(&self, reply: Reply) -> Result<(), StoreError> {
        self.journal.append(&Reply { totals: Totals::default(), ..reply }).map(drop)
    }

    /// How a call begins: whether nothing came back of it in an earlier run.
    fn course(&self, key: &str) -> Course {
        let has_stalled = self.journal.contains(&stalled(key));
        Course { has_stalled, ..Course::default() }
    }

    /// Asks about several things in one call, and keeps the reply to each under its own key: `split`
    /// gives one for each of `keys`, or says what is wrong. Gives back why there is none; only what was
    /// paid is kept then, so that they can be asked again. `is_part` as in [`Course`].
    pub async fn ask_each<E: std::fmt::Display>(
        &self,
        model: &Model,
        question: Question,
        keys: &[String],
        is_part: bool,
        split: impl Fn(&str) -> Result<Vec<String>, E>,
    ) -> Result<Option<Verdict>, AskError> {
        let mut course = Course { is_part, ..self.course(&question.key) };
        let verdict = model.ask(&question, |text| split(text).is_ok(), &mut course).await;
        let verdict = match verdict {
            Ok(Verdict::Reply { ended: Ended::Said, text }) => match split(&text) {
                Ok(texts) => {
                    for (key, text) in keys.iter().zip(texts) {
                        let (key, ended) = (key.clone(), Ended::Said);
                        // What the call took is counted once.
                        let totals = std::mem::take(&mut course.totals);
                        self.keep(&Reply { key, ended, text, totals })?;
                    }
                    return Ok(None);
                }
                Err(problem) => {
                    let (reason, detail) = (Reason::ReplyUnusable, problem.to_string());
                    Verdict::Failed { reason, detail, has_hung: false }
                }
            },
            Ok(verdict) => verdict,
            Err(error) => {
                self.keep_paid(&question.key, error.to_string(), course, model)?;
                return Err(error.into());
            }
        };
        let (Verdict::Reply { text: detail, .. } | Verdict::Failed { detail, .. }) = &verdict;
        self.keep_paid(&question.key, detail.clone(), course, model)?;
        Ok(Some(verdict))
    }

    /// Notes that there is no reply, this time.
    pub fn fail(&self, key: &str, reason: Reason, detail: &str) {
        let mut failures = self.failures.lock().expect("no holder of this lock panics");
        failures.insert(key.to_owned(), (reason, detail.to_owned()));
    }

    /// Keeps what was paid for no reply, and that nothing came back, under names that no question has.
    /// An endpoint that never answered says nothing of its questions.
    fn keep_paid(
        &self,
        key: &str,
        text: String,
        course: Course,
        model: &Model,
    ) -> Result<(), StoreError> {
        let note = stalled(key);
        if course.has_stalled && model.has_answered() && !self.journal.contains(&note) {
            let (text, totals) = (String::new(), Totals::default());
            self.journal.append(&Reply { key: note, ended: Ended::Failed, text, totals })?;
        }
        if course.totals.calls > 0 {
            let (key, totals) = (format!("failed-{key}"), course.totals);
            self.journal.append(&Reply { key, ended: Ended::Failed, text, totals })?;
        }
        Ok(())
    }

    /// What became of a question.
    pub fn outcome(&self, key: &str) -> Result<Outcome, StoreError> {
        if let Some(reply) = self.journal.get(key)? {
            return Ok(Outcome::Reply(reply));
        }
        let failures = self.failures.lock().expect("no holder of this lock panics");
        let failed = failures.get(key).cloned();
        Ok(failed.map_or(Outcome::Open, |(reason, detail)| Outcome::Failed(reason, detail)))
    }

    /// Puts everything on the disk, and a sum beside it, so that nobody has to add it up again.
    pub async fn seal(&self) -> Result<(), StoreError> {
        self.journal.sync().await?;
        let path = self.flights.path(self.part);
        let summed = tokio::task::spawn_blocking(move || Sum::write(&path)).await;
        summed.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

/// The name under which it is noted that nothing came back of a question.
fn stalled(key: &str) -> String {
    hash(&["stalled", key])
}

/// Why asking had to end.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The endpoint, the budget or Ctrl-C.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A reply could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the replies of a file took, up to a length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sum {
    bytes: u64,
    totals: Totals,
}

impl Sum {
    fn read(path: &Path) -> Result<Self, StoreError> {
        let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let mut totals = Totals::default();
        Journal::<Reply>::for_each(path, |reply, _| totals.add(&reply.totals))?;
        Ok(Self { bytes, totals })
    }

    /// Adds up a file and writes the sum beside it.
    fn write(path: &Path) -> Result<(), StoreError> {
        let text = serde_json::to_vec(&Self::read(path)?).expect("a sum is plain data");
        let path = sum_path(path);
        std::fs::write(&path, text)
            .map_err(|error| StoreError::corrupt(path.display().to_string(), error))
    }

    /// The sum beside the file where it is of the file's length; else the file is read.
    fn of(path: &Path) -> Result<Self, StoreError> {
        let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let kept = std::fs::read(sum_path(path)).ok();
        let kept = kept.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        kept.filter(|sum| sum.bytes == bytes).map_or_else(|| Self::read(path), Ok)
    }
}

fn sum_path(path: &Path) -> PathBuf {
    path.with_extension("sum.json")
}

/// What all replies of a file took.
pub(super) fn spent_of_file(path: &Path) -> Result<Totals, StoreError> {
    Ok(Sum::of(path)?.totals)
}

#[cfg(test)]
mod tests {
    use super::super::spending::Spending;
    use super::*;

    fn reply(n: u32, ended: Ended) -> Reply {
        let totals = Totals { calls: 1, input: 10, output: 2, cost: 0.5 };
        Reply { key: format!("{n:08x}{:056}", 0), ended, text: "x".into(), totals }
    }

    #[tokio::test]
    async fn spending_is_the_sum_of_all_replies_sealed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        for (step, part) in [("describe", 0), ("describe", 1), ("instruct", 0)] {
            let replies = PartReplies::open(folder.path(), step, part).unwrap();
            for n in 0..3 {
                replies.keep(&reply(n, Ended::Said)).unwrap();
            }
            if part == 0 {
                replies.seal().await.unwrap();
                replies.keep(&reply(9, Ended::Failed)).unwrap();
            }
        }
        let spending = Spending::of_files(folder.path()).unwrap();
        assert_eq!((spending.all().calls, spending.of_step("describe").calls), (11, 7));
        let of_instruct = spending.of_step("instruct");
        assert_eq!(of_instruct, Totals { calls: 4, input: 40, output: 8, cost: 2.0 });
        assert_eq!(spending.of_step("no such step"), Totals::default());
    }

    #[test]
    fn parts_copy_what_others_were_answered_at_no_price() {
        let folder = tempfile::tempdir().unwrap();
        let step = StepReplies::new(folder.path(), "describe");
        let (one, other) = (step.part(0).unwrap(), step.part(1).unwrap());
        let (said, failed) = (reply(1, Ended::Said), reply(2, Ended::Failed));
        one.keep(&said).unwrap();
        one.keep(&failed).unwrap();
        assert!(other.has(&said.key).unwrap() && !other.has(&failed.key).unwrap());
        let copied = Reply { totals: Totals::default(), ..said.clone() };
        assert_eq!(other.outcome(&said.key).unwrap(), Outcome::Reply(copied.clone()));
        // The next process reads where they lie.
        let step = StepReplies::new(folder.path(), "describe");
        let third = step.part(2).unwrap();
        assert!(!third.has(&said.key).unwrap());
        step.index().unwrap();
        assert!(third.has(&said.key).unwrap() && !third.has(&failed.key).unwrap());
        assert_eq!(third.outcome(&said.key).unwrap(), Outcome::Reply(copied));
        assert_eq!(Spending::of_files(folder.path()).unwrap().all().calls, 2);
    }

    #[tokio::test]
    async fn a_question_in_flight_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let step = StepReplies::new(folder.path(), "describe");
        let parts = [0, 1].map(|part| step.part(part).unwrap());
        let (a, b) = (reply(1, Ended::Said), reply(2, Ended::Said));
        let keys = [a.key.as_str(), b.key.as_str()];
        let mut claims = parts[0].claim(keys).unwrap();
        assert_eq!((claims.mine.len(), claims.theirs.len()), (2, 0));
        let others = parts[1].claim(keys).unwrap();
        assert_eq!((others.mine.len(), others.theirs.len()), (0, 2));
        let mut follow = others.theirs.into_iter().map(|(key, landing)| {
            let part = &parts[1];
            async move { part.follow(&key, landing).await.unwrap() }
        });
        let (of_a, of_b) = (follow.next().unwrap(), follow.next().unwrap());
        let land = async {
            // The second one first: it is given up, and may be asked by whoever wants to.
            drop(claims.mine.pop());
            parts[0].keep(&a).unwrap();
            claims.mine.pop().unwrap().land(Outcome::Reply(a.clone()));
        };
        assert_eq!(tokio::join!(of_a, of_b, land), (true, false, ()));
        assert!(parts[1].is_known(&a.key) && !parts[1].is_known(&b.key));
        assert_eq!(parts[1].claim(keys).unwrap().mine.len(), 1);
    }
}
