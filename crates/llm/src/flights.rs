//! What the parts of a step know of each other's questions: what one has asked, or is asking now, no other
//! asks again.
//!
//! A question that is asked is a flight; whoever has the same one waits for it to land. What has landed
//! is found by its place in a part's file. The index of places is bounded: past it a question that two
//! parts share may be asked by both, which costs its price and nothing else.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use magiclens_store::{Journal, Place, ShortKey, StoreError, short_key};
use tokio::sync::watch;

use super::replies::{Ended, Outcome, Reply};

/// Replies whose places are known, at most: some 20 MB.
const MOST_KNOWN: usize = 450_000;

/// The replies of a step, in files of its parts, and the questions that are in flight.
pub struct Flights {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<ShortKey, (u32, Place)>,
    in_flight: HashMap<String, Landing>,
}

/// Tells what became of a question that somebody else asks; closed where nothing did.
pub type Landing = watch::Receiver<Option<Outcome>>;

/// Whose a question is.
pub enum Claim {
    /// It has a reply already, in a part's file.
    Known(u32, Place),
    /// Another asks it.
    Theirs(Landing),
    /// The one who asks for it is to ask it.
    Mine(Flight),
}

/// A question that is asked now. Dropped before it landed, whoever waits for it may ask it.
pub struct Flight {
    flights: Arc<Flights>,
    key: String,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Flights {
    /// Nothing is known yet of `folder`.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), state: Mutex::default() }
    }

    /// The file of a part.
    pub fn path(&self, part: u32) -> PathBuf {
        self.folder.join(format!("part-{part:05}.jsonl"))
    }

    /// Reads where the replies of all parts lie.
    pub fn index(&self) -> Result<(), StoreError> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Ok(()) };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("part-"));
            let number = number.and_then(|rest| rest.strip_suffix(".jsonl"));
            let Some(Ok(part)) = number.map(str::parse) else { continue };
            if self.state().known.len() >= MOST_KNOWN {
                break;
            }
            Journal::<Reply>::for_each(&self.path(part), |reply, place| {
                self.landed(&reply, part, place);
            })?;
        }
        Ok(())
    }

    /// The replies that a part has, whether it was begun or not.
    pub fn keys(&self, part: u32) -> Result<HashSet<ShortKey>, StoreError> {
        let (path, mut keys) = (self.path(part), HashSet::new());
        if path.exists() {
            Journal::<Reply>::for_each(&path, |reply, _| {
                keys.insert(short_key(&reply.key));
            })?;
        }
        Ok(keys)
    }

    /// Notes where a reply lies.
    pub fn landed(&self, reply: &Reply, part: u32, place: Place) {
        let mut state = self.state();
        if reply.ended != Ended::Failed && state.known.len() < MOST_KNOWN {
            state.known.insert(short_key(&reply.key), (part, place));
        }
    }

    /// Where a reply lies, if it is known.
    pub fn known(&self, key: &str) -> Option<(u32, Place)> {
        self.state().known.get(&short_key(key)).copied()
    }

    /// The reply at a place.
    pub fn reply(&self, part: u32, place: Place, key: &str) -> Result<Option<Reply>, StoreError> {
        Journal::get_at(&self.path(part), place, key)
    }

    /// Takes a question, unless it has a reply or another has taken it.
    pub fn claim(self: &Arc<Self>, key: &str) -> Claim {
        let mut state = self.state();
        if let Some(&(part, place)) = state.known.get(&short_key(key)) {
            return Claim::Known(part, place);
        }
        if let Some(landing) = state.in_flight.get(key) {
            return Claim::Theirs(landing.clone());
        }
        let (outcome, landing) = watch::channel(None);
        state.in_flight.insert(key.to_owned(), landing);
        Claim::Mine(Flight { flights: Arc::clone(self), key: key.to_owned(), outcome })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl Flight {
    /// The question.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Tells those who wait what became of the question.
    pub fn land(self, outcome: Outcome) {
        self.outcome.send_replace(Some(outcome));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.state().in_flight.remove(&self.key);
    }
}
