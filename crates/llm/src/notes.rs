//! What questions are about, so that their replies can be taken out: the hash that a reply is kept under
//! does not tell.
//!
//! `replies/<step>/about.notes` has a line for each question, written before it is asked: its key, and
//! ids of the groups and images that it shows something of. Each slice of a run has a file of its own.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use magiclens_core::Slice;
use magiclens_store::{Store, StoreError};
use serde::{Deserialize, Serialize};

use super::linked::remove_linked;
use super::replies::{Ended, REPLIES, Reply};

/// What a file of notes ends in.
const NOTES: &str = "notes";

/// Begins the key of what was paid for no reply.
const FAILED: &str = "failed-";

/// What is left of a reply has this key, which no question has.
const ERASED: &str = "erased";

/// The notes of one step.
pub struct Notes {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

/// One line.
#[derive(Serialize, Deserialize)]
struct Note {
    key: String,
    about: Vec<String>,
}

impl Notes {
    /// Opens nothing before there is a note.
    pub fn new(run_dir: &Path, step: &str, slice: Slice) -> Self {
        let name = match (slice.is_whole(), slice) {
            (true, _) => format!("about.{NOTES}"),
            (false, Slice { index, of }) => format!("about-{index}-of-{of}.{NOTES}"),
        };
        Self { path: run_dir.join(REPLIES).join(step).join(name), file: Mutex::default() }
    }

    /// Notes what a question is about; when this returns, a killed process does not lose it.
    pub fn add(&self, key: &str, about: &[&str]) -> Result<(), StoreError> {
        let about = about.iter().map(|&id| id.to_owned()).collect();
        let note = Note { key: key.to_owned(), about };
        let mut line = serde_json::to_vec(&note).expect("a note is plain data");
        line.push(b'\n');
        let mut file = self.file.lock().expect("no holder of this lock panics");
        let open = match &mut *file {
            Some(open) => open,
            None => file.insert(open(&self.path).map_err(at(&self.path))?),
        };
        open.write_all(&line).map_err(at(&self.path))
    }
}

/// A line that a kill cut short is ended, so that it spoils no other.
fn open(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last)?;
    }
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Takes out the replies to all questions that are about something that is gone, and to no other one;
/// what they took stays. Requests, images and results in files go with them.
pub async fn erase(store: &Store, is_gone: impl Fn(&str) -> bool) -> Result<(), StoreError> {
    match store.folder() {
        Some(folder) => erase_files(folder, is_gone),
        None => erase_objects(store, is_gone).await,
    }
}

fn erase_files(run_dir: &Path, is_gone: impl Fn(&str) -> bool) -> Result<(), StoreError> {
    for step in folders(&run_dir.join(REPLIES)) {
        let mut keys = GoneKeys::new(&is_gone);
        let notes = notes_files(&step);
        for pass in GoneKeys::PASSES {
            for path in &notes {
                each_line(path, |line| {
                    keys.read(pass, line);
                    Ok(())
                })
                .map_err(at(path))?;
            }
        }
        let keys = keys.keys;
        for path in lines_files(&step) {
            rewrite(&path, |line| erase_reply(line, &keys))?;
            // It says how long the file was.
            let _ = std::fs::remove_file(path.with_extension("sum.json"));
        }
        let batch = run_dir.join("batch").join(step.file_name().unwrap_or_default());
        remove_linked(&batch, &is_gone)?;
        for folder in [batch.join("results"), batch] {
            for path in lines_files(&folder) {
                rewrite(&path, |line| (!is_of(line, &keys)).then(|| line.to_vec()))?;
            }
        }
        for path in notes {
            rewrite(&path, |line| erase_note(line, &keys))?;
        }
    }
    Ok(())
}

/// The same in the segments that a [`mirror`](super::mirror) has put: each is written again in its place.
async fn erase_objects(store: &Store, is_gone: impl Fn(&str) -> bool) -> Result<(), StoreError> {
    let mut steps: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, _) in store.list(REPLIES).await? {
        let step = path.split('/').nth(1).unwrap_or_default().to_owned();
        steps.entry(step).or_default().push(path);
    }
    for paths in steps.into_values() {
        let mut keys = GoneKeys::new(&is_gone);
        let ends_in = |end: &'static str| paths.iter().filter(move |path| path.ends_with(end));
        for pass in GoneKeys::PASSES {
            for path in ends_in(NOTES) {
                let text = store.read(path).await?.unwrap_or_default();
                text.split_inclusive(|byte| *byte == b'\n').for_each(|line| keys.read(pass, line));
            }
        }
        let keys = keys.keys;
        for path in ends_in("jsonl") {
            rewrite_object(store, path, |line| erase_reply(line, &keys)).await?;
        }
        for path in ends_in(NOTES) {
            rewrite_object(store, path, |line| erase_note(line, &keys)).await?;
        }
    }
    Ok(())
}

async fn rewrite_object(
    store: &Store,
    path: &str,
    keep: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<(), StoreError> {
    let text = store.read(path).await?.unwrap_or_default();
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let kept: Vec<u8> = lines.filter_map(keep).flatten().collect();
    if kept == text { Ok(()) } else { store.replace(path, kept).await }
}

/// Keys of questions of which each note says that they are about something that is gone.
struct GoneKeys<'a> {
    is_gone: &'a dyn Fn(&str) -> bool,
    keys: HashSet<String>,
}

impl<'a> GoneKeys<'a> {
    /// First those that any note says it of, then less those that another note says otherwise of.
    const PASSES: [bool; 2] = [true, false];

    fn new(is_gone: &'a dyn Fn(&str) -> bool) -> Self {
        Self { is_gone, keys: HashSet::new() }
    }

    fn read(&mut self, is_of_gone: bool, line: &[u8]) {
        let Ok(Note { key, about }) = serde_json::from_slice(line) else { return };
        match about.iter().any(|id| (self.is_gone)(id)) {
            true if is_of_gone => drop(self.keys.insert(key)),
            false if !is_of_gone => drop(self.keys.remove(&key)),
            _ => {}
        }
    }
}

fn erase_note(line: &[u8], keys: &HashSet<String>) -> Option<Vec<u8>> {
    let note = serde_json::from_slice::<Note>(line).ok()?;
    (!keys.contains(&note.key)).then(|| line.to_vec())
}

/// What is kept of a line of replies. One that a kill cut short says nothing that counts.
fn erase_reply(line: &[u8], keys: &HashSet<String>) -> Option<Vec<u8>> {
    let mut reply = serde_json::from_slice::<Reply>(line).ok()?;
    if !keys.contains(reply.key.strip_prefix(FAILED).unwrap_or(&reply.key)) {
        return Some(line.to_vec());
    }
    ERASED.clone_into(&mut reply.key);
    (reply.ended, reply.text) = (Ended::Failed, String::new());
    let mut line = serde_json::to_vec(&reply).expect("a reply is plain data");
    line.push(b'\n');
    Some(line)
}

#[derive(Deserialize)]
struct Id {
    custom_id: String,
}

/// Whether a line of a batch file is a request or a result of these.
fn is_of(line: &[u8], keys: &HashSet<String>) -> bool {
    serde_json::from_slice(line).is_ok_and(|Id { custom_id }| keys.contains(&custom_id))
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Files of notes, in a step's folder.
fn notes_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|end| end == NOTES)).collect()
}

/// Files of lines, those in work included.
fn lines_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.is_file() && path.to_string_lossy().contains(".jsonl")).collect()
}

/// Writes a file again with what `keep` keeps of each line, if that is not all of it.
fn rewrite(path: &Path, keep: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Result<(), StoreError> {
    let anew = path.with_extension("anew");
    let (mut out, mut differs) = (BufWriter::new(File::create(&anew).map_err(at(&anew))?), false);
    each_line(path, |line| {
        let kept = keep(line);
        differs |= kept.as_deref() != Some(line);
        kept.map_or(Ok(()), |kept| out.write_all(&kept))
    })
    .map_err(at(path))?;
    let file = out.into_inner().map_err(|error| at(&anew)(error.into_error()))?;
    if !differs {
        return std::fs::remove_file(&anew).map_err(at(&anew));
    }
    file.sync_all().map_err(at(&anew))?;
    std::fs::rename(&anew, path).map_err(at(path))
}

/// Nothing is in a file that is not there.
fn each_line(
    path: &Path,
    mut visit: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let Ok(file) = File::open(path) else { return Ok(()) };
    let (mut reader, mut line) = (BufReader::with_capacity(1 << 16, file), Vec::new());
    while reader.read_until(b'\n', &mut line)? > 0 {
        visit(&line)?;
        line.clear();
    }
    Ok(())
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> StoreError {
    let path = path.display().to_string();
    move |error| StoreError::corrupt(path.clone(), error)
}

#[cfg(test)]
mod tests {
    use super::super::replies::PartReplies;
    use super::super::spending::Spending;
    use super::super::tally::Totals;
    use super::*;

    fn key(n: u32) -> String {
        format!("{n:08x}{:056}", 0)
    }

    fn reply(n: u32, failed: &str) -> Reply {
        let totals = Totals { calls: 1, input: 10, output: 2, cost: 0.5 };
        let (key, text) = (format!("{failed}{}", key(n)), format!("text {n};"));
        Reply { key, ended: Ended::Said, text, totals }
    }

    #[tokio::test]
    async fn what_is_taken_out_stays_paid_for() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let replies = PartReplies::open(dir, "describe", 0).unwrap();
        let notes = Notes::new(dir, "describe", Slice::WHOLE);
        for n in 0..5 {
            notes.add(&key(n), &[&format!("group {n}"), "image"]).unwrap();
            replies.keep(&reply(n, "")).unwrap();
        }
        replies.keep(&reply(1, FAILED)).unwrap();
        // Another page says the same of the same.
        Notes::new(dir, "describe", Slice { index: 1, of: 2 }).add(&key(2), &["group 9"]).unwrap();
        drop((replies, notes));
        let batch = dir.join("batch/describe/results");
        std::fs::create_dir_all(&batch).unwrap();
        let line = |n| format!("{{\"custom_id\": \"{}\", \"text\": \"text {n};\"}}\n", key(n));
        std::fs::write(batch.join("r.jsonl"), line(0) + &line(1)).unwrap();
        std::fs::write(batch.parent().unwrap().join("requests-00000.jsonl.part"), line(1)).unwrap();
        let images = batch.parent().unwrap().join("images");
        std::fs::create_dir(&images).unwrap();
        for name in ["image.jpeg", "group 1.png"] {
            std::fs::write(images.join(name), "").unwrap();
        }
        for _ in 0..2 {
            let store = Store::open(dir.to_str().unwrap()).unwrap();
            erase(&store, |id| ["group 1", "group 2"].contains(&id)).await.unwrap();
            let text = |path: &str| std::fs::read_to_string(dir.join(path)).unwrap();
            let kept = text("replies/describe/part-00000.jsonl");
            let has = [0, 1, 2, 3, 4].map(|n| kept.contains(&format!("text {n};")));
            assert_eq!(has, [true, false, true, true, true]);
            assert!(!text("replies/describe/about.notes").contains("group 1"));
            assert_eq!(text("batch/describe/results/r.jsonl"), line(0));
            assert_eq!(text("batch/describe/requests-00000.jsonl.part"), "");
            let left = std::fs::read_dir(&images).unwrap().map(|file| file.unwrap().file_name());
            assert_eq!(left.collect::<Vec<_>>(), ["image.jpeg"]);
            let replies = PartReplies::open(dir, "describe", 0).unwrap();
            let known = [0, 1, 2, 3, 4].map(|n| replies.is_known(&key(n)));
            assert_eq!(known, [true, false, true, true, true]);
            assert_eq!(Spending::of_files(dir).unwrap().all().calls, 6);
        }
    }

    #[test]
    fn a_line_cut_short_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replies/s/about.notes");
        let notes = || Notes::new(folder.path(), "s", Slice::WHOLE);
        notes().add("a", &["1"]).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"key\":\"").unwrap();
        notes().add("b", &["1"]).unwrap();
        let mut keys = GoneKeys::new(&|id| id == "1");
        each_line(&path, |line| {
            keys.read(true, line);
            Ok(())
        })
        .unwrap();
        assert_eq!(keys.keys, ["a", "b"].map(str::to_owned).into());
    }
}
