//! Replies of a run in an object store: files grow by appending, which objects cannot.
//!
//! Replies and notes are appended to files in a scratch folder of this machine, as they are in a local
//! run directory. What was appended is put into the store every few seconds as an object of its own:
//! `replies/describe/part-00042.jsonl` becomes `replies/describe/part-00042/<writer>-<from byte>.jsonl`.
//! A process begins by putting what one before it left in the scratch folder, and by reading the replies
//! of its own parts; so a killed process loses nothing, and a lost machine what came since the last put.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt, stream};
use magiclens_core::Slice;
use magiclens_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::replies::{REPLIES, Reply};
use super::spending::part_of;
use super::tally::Totals;

/// Names the generation in force.
const CURRENT: &str = "current";

/// What was put so far, beside the files.
const LEDGER: &str = "ledger.json";

/// Bytes of one put, at most.
const MOST: u64 = 32 << 20;

/// Objects that are read at the same time.
const READS_AT_ONCE: usize = 16;

/// Puts what is appended into the store.
pub struct Mirror {
    store: Store,
    folder: PathBuf,
    ledger: Mutex<Ledger>,
}

#[derive(Default, Serialize, Deserialize)]
struct Ledger {
    /// Names that no other process uses.
    writer: String,
    files: BTreeMap<String, Put>,
}

/// How far a file is put.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Put {
    bytes: u64,
    /// What this writer's replies took.
    totals: Totals,
}

impl Mirror {
    /// Puts what is left over in `scratch`, then reads the replies of a slice's parts.
    pub async fn open(store: &Store, scratch: &Path, slice: Slice) -> Result<Self, StoreError> {
        std::fs::create_dir_all(scratch).map_err(at(scratch))?;
        let current = scratch.join(CURRENT);
        let before = std::fs::read_to_string(&current).ok().map(|name| scratch.join(name));
        if let Some(folder) = &before {
            Self::of(store, folder)?.push().await?;
        }
        let writer = format!("{:016x}", RandomState::new().hash_one(scratch));
        let folder = scratch.join(format!("replies-{writer}"));
        std::fs::create_dir_all(&folder).map_err(at(&folder))?;
        let files = pull(store, &folder, slice).await?;
        let mirror = Self {
            store: store.clone(),
            folder: folder.clone(),
            ledger: Mutex::new(Ledger { writer: writer.clone(), files }),
        };
        mirror.save(&*mirror.ledger.lock().await)?;
        // From here on it is the one that counts.
        replace(&current, format!("replies-{writer}").as_bytes())?;
        if let Some(folder) = before {
            std::fs::remove_dir_all(&folder).map_err(at(&folder))?;
        }
        Ok(mirror)
    }

    fn of(store: &Store, folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(LEDGER);
        let text = std::fs::read(&path).map_err(at(&path))?;
        let ledger = serde_json::from_slice(&text)
            .map_err(|error| StoreError::corrupt(path.display().to_string(), error))?;
        Ok(Self { store: store.clone(), folder: folder.to_owned(), ledger: Mutex::new(ledger) })
    }

    /// Where files are appended to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts what was appended since the last time.
    pub async fn push(&self) -> Result<(), StoreError> {
        let mut ledger = self.ledger.lock().await;
        for name in appended(&self.folder) {
            while self.push_some(&name, &mut ledger).await? {}
        }
        Ok(())
    }

    /// A put that is not noted in the ledger is made again under the same name.
    async fn push_some(&self, name: &str, ledger: &mut Ledger) -> Result<bool, StoreError> {
        let Put { bytes: from, mut totals } = ledger.files.get(name).copied().unwrap_or_default();
        let path = self.folder.join(name);
        let text = whole_lines(&path, from).map_err(at(&path))?;
        if text.is_empty() {
            return Ok(false);
        }
        let (folder, end) = name.rsplit_once('.').expect("appended files have an extension");
        if end == "jsonl" {
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                if let Ok(reply) = serde_json::from_slice::<Reply>(line) {
                    totals.add(&reply.totals);
                }
            }
            let sum = serde_json::to_vec(&totals).expect("totals are plain data");
            self.store.replace(&format!("{folder}/{}.spent.json", ledger.writer), sum).await?;
        }
        let bytes = from + text.len() as u64;
        let object = format!("{folder}/{}-{from:012}.{end}", ledger.writer);
        self.store.replace(&object, text).await?;
        ledger.files.insert(name.to_owned(), Put { bytes, totals });
        self.save(ledger)?;
        Ok(true)
    }

    fn save(&self, ledger: &Ledger) -> Result<(), StoreError> {
        let text = serde_json::to_vec(ledger).expect("a ledger is plain data");
        replace(&self.folder.join(LEDGER), &text)
    }
}

/// Writes the replies that the store has of a slice's parts into files.
async fn pull(
    store: &Store,
    folder: &Path,
    slice: Slice,
) -> Result<BTreeMap<String, Put>, StoreError> {
    let mut segments: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, _) in store.list(REPLIES).await? {
        let Some((of, _)) = path.rsplit_once('/').filter(|(_, name)| name.ends_with(".jsonl"))
        else {
            continue;
        };
        let name = format!("{of}.jsonl");
        if part_of(&name).is_some_and(|part| slice.owns(part)) {
            segments.entry(name).or_default().push(path);
        }
    }
    let mut files = BTreeMap::new();
    for (name, paths) in segments {
        let path = folder.join(&name);
        std::fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(at(&path))?;
        let mut file = File::create(&path).map_err(at(&path))?;
        let reads = stream::iter(paths.iter().map(|path| store.read(path)));
        let mut reads = reads.buffered(READS_AT_ONCE);
        let mut bytes = 0;
        while let Some(text) = reads.try_next().await? {
            let text = text.unwrap_or_default();
            std::io::Write::write_all(&mut file, &text).map_err(at(&path))?;
            bytes += text.len() as u64;
        }
        files.insert(name, Put { bytes, totals: Totals::default() });
    }
    Ok(files)
}

/// Files of replies and notes below a folder, by path.
fn appended(folder: &Path) -> Vec<String> {
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut names = Vec::new();
    for step in entries(&folder.join(REPLIES)) {
        for file in entries(&step.path()) {
            let (step, file) = (step.file_name(), file.file_name());
            let name = format!("{REPLIES}/{}/{}", step.to_string_lossy(), file.to_string_lossy());
            if name.ends_with(".jsonl") || name.ends_with(".notes") {
                names.push(name);
            }
        }
    }
    names.sort();
    names
}

/// What a file has from a byte on, cut at the end of a line.
fn whole_lines(path: &Path, from: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    (&mut file).take(MOST).read_to_end(&mut text)?;
    match text.iter().rposition(|byte| *byte == b'\n') {
        Some(last) => text.truncate(last + 1),
        // One line may be longer than what is put at a time; a torn one is none yet.
        None => {
            std::io::BufReader::new(file).read_until(b'\n', &mut text)?;
            if text.last() != Some(&b'\n') {
                text.clear();
            }
        }
    }
    Ok(text)
}

fn replace(path: &Path, text: &[u8]) -> Result<(), StoreError> {
    let aside = path.with_extension("anew");
    std::fs::write(&aside, text).map_err(at(&aside))?;
    std::fs::rename(&aside, path).map_err(at(path))
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> StoreError {
    let path = path.display().to_string();
    move |error| StoreError::corrupt(path.clone(), error)
}

#[cfg(test)]
mod tests {
    use super::super::replies::{Ended, PartReplies};
    use super::super::spending::Spending;
    use super::*;

    fn reply(n: u32) -> Reply {
        let totals = Totals { calls: 1, input: 10, output: 2, cost: 0.5 };
        Reply { key: format!("{n:08x}{:056}", 0), ended: Ended::Said, text: "x".into(), totals }
    }

    fn keep(mirror: &Mirror, part: u32, numbers: std::ops::Range<u32>) {
        let replies = PartReplies::open(mirror.folder(), "describe", part).unwrap();
        numbers.for_each(|n| replies.keep(&reply(n)).unwrap());
    }

    fn knows(mirror: &Mirror, part: u32) -> u32 {
        let replies = PartReplies::open(mirror.folder(), "describe", part).unwrap();
        (0..100).map(|n| u32::from(replies.is_known(&reply(n).key))).sum()
    }

    #[tokio::test]
    async fn replies_come_back_on_another_machine_each_paid_for_once() {
        // Objects of a folder are objects too.
        let (run, one, other) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        let store = Store::open(run.path().to_str().unwrap()).unwrap();
        let all = Slice::WHOLE;
        let mirror = Mirror::open(&store, one.path(), all).await.unwrap();
        keep(&mirror, 0, 0..10);
        mirror.push().await.unwrap();
        mirror.push().await.unwrap();
        keep(&mirror, 0, 10..12);
        keep(&mirror, 1, 20..23);
        mirror.push().await.unwrap();
        // Killed before the last put: the next process on this machine puts it.
        keep(&mirror, 1, 30..40);
        drop(mirror);
        let elsewhere = Mirror::open(&store, other.path(), all).await.unwrap();
        assert_eq!([0, 1].map(|part| knows(&elsewhere, part)), [12, 3]);
        let again = Mirror::open(&store, one.path(), all).await.unwrap();
        assert_eq!([0, 1].map(|part| knows(&again, part)), [12, 13]);
        keep(&again, 0, 50..51);
        again.push().await.unwrap();
        let slice = Slice { index: 1, of: 2 };
        let half = Mirror::open(&store, other.path(), slice).await.unwrap();
        assert_eq!([0, 1].map(|part| knows(&half, part)), [0, 13]);
        let spent = Spending::of_objects(&store).await.unwrap();
        assert_eq!((spent.all().calls, spent.of(slice).calls), (26, 13));
    }

    #[tokio::test]
    async fn a_put_that_was_not_noted_is_made_again_in_its_place() {
        let (run, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::open(run.path().to_str().unwrap()).unwrap();
        let mirror = Mirror::open(&store, scratch.path(), Slice::WHOLE).await.unwrap();
        keep(&mirror, 0, 0..5);
        let ledger = std::fs::read(mirror.folder().join(LEDGER)).unwrap();
        mirror.push().await.unwrap();
        std::fs::write(mirror.folder().join(LEDGER), ledger).unwrap();
        keep(&mirror, 0, 5..6);
        drop(mirror);
        let mirror = Mirror::open(&store, scratch.path(), Slice::WHOLE).await.unwrap();
        assert_eq!(knows(&mirror, 0), 6);
        assert_eq!(Spending::of_objects(&store).await.unwrap().all().calls, 6);
    }

    #[test]
    fn a_line_that_is_not_whole_is_left_for_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(whole_lines(&path, 0).unwrap(), b"one\ntwo\n");
        assert_eq!(whole_lines(&path, 8).unwrap(), b"");
    }
}
