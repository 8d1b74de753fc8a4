//! Verdicts, appended to a file as they are given; the last one of a judge about an item counts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::Utc;
use serde::{Deserialize, Serialize};

use super::JudgeError;
use crate::store::{Journal, Keyed, StoreError};

/// Verdict of a judge about an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// The first side is better.
    A,
    /// The second is.
    B,
    /// Neither is.
    Tie,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Hard to say.
    Unsure,
}

impl Verdict {
    /// Returns true if the verdict compares two sides.
    pub fn is_of_sides(self) -> bool {
        matches!(self, Self::A | Self::B | Self::Tie)
    }
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    item: String,
    judge: String,
    /// The verdict; `None` if the judge withdrew it.
    verdict: Option<Verdict>,
    /// RFC 3339, UTC.
    at: String,
}

impl Keyed for Line {
    fn key(&self) -> &str {
        &self.item
    }
}

/// Verdicts of all judges: by item, then by judge.
pub(super) type ByItem = BTreeMap<String, BTreeMap<String, Verdict>>;

/// The file of verdicts, open for one judge.
#[derive(Clone)]
pub(super) struct Verdicts(Arc<Open>);

struct Open {
    journal: Journal<Line>,
    judge: String,
    given: Mutex<ByItem>,
}

impl Verdicts {
    /// Opens or begins the file.
    pub fn open(path: &Path, judge: &str) -> Result<Self, JudgeError> {
        let journal = Journal::open(path)?;
        let given = Mutex::new(Self::read(path)?);
        Ok(Self(Arc::new(Open { journal, judge: judge.into(), given })))
    }

    /// All verdicts of a file; none where there is no file.
    pub fn read(path: &Path) -> Result<ByItem, JudgeError> {
        let mut given = ByItem::new();
        if path.exists() {
            Journal::for_each(path, |line: Line, _| take(&mut given, line))?;
        }
        Ok(given)
    }

    /// Records a verdict, or its withdrawal.
    pub async fn give(&self, item: &str, verdict: Option<Verdict>) -> Result<(), StoreError> {
        let at = Utc::now().to_rfc3339();
        let line = Line { item: item.into(), judge: self.0.judge.clone(), verdict, at };
        self.0.journal.append(&line)?;
        self.0.journal.sync().await?;
        take(&mut self.0.given.lock().expect("no holder of this lock panics"), line);
        Ok(())
    }

    /// Returns the verdict of this judge about an item.
    pub fn of(&self, item: &str) -> Option<Verdict> {
        let given = self.0.given.lock().expect("no holder of this lock panics");
        given.get(item)?.get(&self.0.judge).copied()
    }

    /// Returns the verdicts of all judges.
    pub fn all(&self) -> ByItem {
        self.0.given.lock().expect("no holder of this lock panics").clone()
    }
}

fn take(given: &mut ByItem, line: Line) {
    let of_item = given.entry(line.item).or_default();
    match line.verdict {
        Some(verdict) => of_item.insert(line.judge, verdict),
        None => of_item.remove(&line.judge),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn verdicts_outlive_the_process_and_can_be_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("judgements.jsonl");
        let (ann, bob) =
            (Verdicts::open(&path, "ann").unwrap(), Verdicts::open(&path, "bob").unwrap());
        ann.give("one", Some(Verdict::A)).await.unwrap();
        bob.give("one", Some(Verdict::B)).await.unwrap();
        ann.give("two", Some(Verdict::A)).await.unwrap();
        ann.give("two", None).await.unwrap();
        ann.give("three", Some(Verdict::A)).await.unwrap();
        ann.give("three", Some(Verdict::Tie)).await.unwrap();
        // A line that a kill cut short.
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"{\"item\": \"fo"))
            .unwrap();
        let again = Verdicts::open(&path, "ann").unwrap();
        let said = ["one", "two", "three", "four"].map(|item| again.of(item));
        assert_eq!(said, [Some(Verdict::A), None, Some(Verdict::Tie), None]);
        assert_eq!(again.all()["one"]["bob"], Verdict::B);
    }
}
