//! Replies that were paid for, by the hash of what was asked: nothing is asked twice.
//!
//! `replies/<step>/part-00042.jsonl` in the run directory belongs to part 42 of the step's table.
//! `--redo`, `mine forget` and new gates leave it alone, so only what is new is asked then.
//! `mine compact` takes out what they say of what is forgotten, see [`super::notes`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::model::{Model, ModelError, Question, Verdict};
use super::tally::Totals;
use crate::record::Reason;
use crate::store::{Journal, Keyed, StoreError};

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
    /// No reply; only here because something was paid.
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

/// The replies of one part of one step.
pub struct PartReplies {
    journal: Journal<Reply>,
    path: PathBuf,
    failures: Mutex<HashMap<String, (Reason, String)>>,
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

impl PartReplies {
    /// Opens the replies of a part.
    pub fn open(run_dir: &Path, step: &str, part: u32) -> Result<Self, StoreError> {
        let path = run_dir.join(REPLIES).join(step).join(format!("part-{part:05}.jsonl"));
        let (journal, failures) = (Journal::open(&path)?, Mutex::default());
        Ok(Self { journal, path, failures })
    }

    /// Whether a question has its reply.
    pub fn is_known(&self, key: &str) -> bool {
        self.journal.contains(key)
    }

    /// Keeps a reply that came by another way than [`Self::ask`].
    pub fn keep(&self, reply: &Reply) -> Result<(), StoreError> {
        self.journal.append(reply)
    }

    /// Asks, and keeps the reply, or what was paid for none, before anything else happens.
    pub async fn ask(
        &self,
        model: &Model,
        question: Question,
        fits: impl Fn(&str) -> bool,
    ) -> Result<(), AskError> {
        let mut totals = Totals::default();
        match model.ask(&question, fits, &mut totals).await {
            Err(error) => {
                self.keep_paid(&question.key, error.to_string(), totals)?;
                return Err(error.into());
            }
            Ok(Verdict::Reply { ended, text }) => {
                let reply = Reply { key: question.key, ended, text, totals };
                self.journal.append(&reply)?;
            }
            Ok(Verdict::Failed { reason, detail }) => {
                self.keep_paid(&question.key, detail.clone(), totals)?;
                self.fail(&question.key, reason, &detail);
            }
        }
        Ok(())
    }

    /// Asks about several things in one call, and keeps the reply to each under its own key: `split`
    /// gives one for each of `keys`, or says what is wrong. Gives back why there is none; only what was
    /// paid is kept then, so that they can be asked again.
    pub async fn ask_each<E: std::fmt::Display>(
        &self,
        model: &Model,
        question: Question,
        keys: &[String],
        split: impl Fn(&str) -> Result<Vec<String>, E>,
    ) -> Result<Option<Verdict>, AskError> {
        let mut totals = Totals::default();
        let verdict = match model.ask(&question, |text| split(text).is_ok(), &mut totals).await {
            Ok(Verdict::Reply { ended: Ended::Said, text }) => match split(&text) {
                Ok(texts) => {
                    for (key, text) in keys.iter().zip(texts) {
                        let (key, ended) = (key.clone(), Ended::Said);
                        // What the call took is counted once.
                        let totals = std::mem::take(&mut totals);
                        self.journal.append(&Reply { key, ended, text, totals })?;
                    }
                    return Ok(None);
                }
                Err(problem) => {
                    Verdict::Failed { reason: Reason::ReplyUnusable, detail: problem.to_string() }
                }
            },
            Ok(verdict) => verdict,
            Err(error) => {
                self.keep_paid(&question.key, error.to_string(), totals)?;
                return Err(error.into());
            }
        };
        let (Verdict::Reply { text: detail, .. } | Verdict::Failed { detail, .. }) = &verdict;
        self.keep_paid(&question.key, detail.clone(), totals)?;
        Ok(Some(verdict))
    }

    /// Notes that there is no reply, this time.
    pub fn fail(&self, key: &str, reason: Reason, detail: &str) {
        let mut failures = self.failures.lock().expect("no holder of this lock panics");
        failures.insert(key.to_owned(), (reason, detail.to_owned()));
    }

    /// Keeps what was paid for no reply, under a name that no question has.
    fn keep_paid(&self, key: &str, text: String, totals: Totals) -> Result<(), StoreError> {
        if totals.calls == 0 {
            return Ok(());
        }
        let key = format!("failed-{key}");
        self.journal.append(&Reply { key, ended: Ended::Failed, text, totals })
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
    pub fn seal(&self) -> Result<(), StoreError> {
        self.journal.sync()?;
        let sum = Sum::read(&self.path)?;
        let text = serde_json::to_vec(&sum).expect("a sum is plain data");
        let path = sum_path(&self.path);
        std::fs::write(&path, text)
            .map_err(|error| StoreError::corrupt(path.display().to_string(), error))
    }
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
        Journal::<Reply>::for_each(path, |reply| totals.add(&reply.totals))?;
        Ok(Self { bytes, totals })
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

/// What all replies of a step took; of all steps where `step` is empty.
pub fn spent(run_dir: &Path, step: &str) -> Result<Totals, StoreError> {
    let mut totals = Totals::default();
    let folder = run_dir.join(REPLIES).join(step);
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(totals) };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            let name = entry.file_name();
            totals.add(&spent(
                run_dir,
                format!("{step}/{}", name.to_string_lossy()).trim_start_matches('/'),
            )?);
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            totals.add(&Sum::of(&path)?.totals);
        }
    }
    Ok(totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(n: u32, ended: Ended) -> Reply {
        let totals = Totals { calls: 1, input: 10, output: 2, cost: 0.5 };
        Reply { key: format!("{n:08x}{:056}", 0), ended, text: "x".into(), totals }
    }

    #[test]
    fn spending_is_the_sum_of_all_replies_sealed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        for (step, part) in [("describe", 0), ("describe", 1), ("instruct", 0)] {
            let replies = PartReplies::open(folder.path(), step, part).unwrap();
            for n in 0..3 {
                replies.keep(&reply(n, Ended::Said)).unwrap();
            }
            if part == 0 {
                replies.seal().unwrap();
                replies.keep(&reply(9, Ended::Failed)).unwrap();
            }
        }
        assert_eq!(spent(folder.path(), "").unwrap().calls, 11);
        assert_eq!(spent(folder.path(), "describe").unwrap().calls, 7);
        let of_instruct = spent(folder.path(), "instruct").unwrap();
        assert_eq!(of_instruct, Totals { calls: 4, input: 40, output: 8, cost: 2.0 });
        assert_eq!(spent(folder.path(), "no such step").unwrap(), Totals::default());
    }
}
