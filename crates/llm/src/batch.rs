//! Questions and answers by file, in OpenAI's Batch format: a line is a request, or what became of one.
//!
//! `requests-00000.jsonl` and so on are written here, whole or not at all. What came back (output files
//! and error files, whatever their names and order) belongs into the folder `results`. A request file
//! is waited for until `results` has an answer to any line of it; what it then still lacks, or has as
//! failed, goes into the next request file.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use magiclens_store::StoreError;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::ask::{Answer, Ask, Format, Usage};
use super::estimate::IMAGE_TOKENS;
use super::openai::{Dialect, batch_line, read_batch_line};
use super::trouble::Trouble;

/// The files of one step.
pub struct BatchFiles {
    folder: PathBuf,
    max_requests: usize,
    max_bytes: usize,
    results: HashMap<Short, Places>,
    waiting: HashMap<Short, Usage>,
    /// Written by this process: of two equal questions one goes out.
    asked: HashSet<Short>,
    files: Vec<File>,
    next: u32,
    open: Option<Open>,
    written: u64,
}

/// What `results` has on a question.
pub enum Taken {
    /// An answer, whatever it is worth.
    Answer(Answer),
    /// It will never be answered: the endpoint's words, and whether it is for what the request shows.
    Skip(bool, String),
    /// It failed so often that it is given up.
    GivenUp(String),
    /// Nothing, and a file that was sent off has it.
    Waiting,
    /// Nothing: it has to be asked (again).
    Open,
}

/// Half of a key finds it.
type Short = [u8; 16];

#[derive(Clone, Copy, Default)]
struct Places {
    good: Option<(u32, u64)>,
    bad: Option<(u32, u64)>,
    failures: u32,
    lines: u32,
}

struct Open {
    file: BufWriter<File>,
    path: PathBuf,
    requests: usize,
    bytes: usize,
}

impl BatchFiles {
    /// Reads what was written and what came back.
    pub fn open(folder: &Path, max_requests: usize, max_bytes: usize) -> Result<Self, StoreError> {
        let results_folder = folder.join("results");
        std::fs::create_dir_all(&results_folder).map_err(at(&results_folder))?;
        let mut batch = Self {
            folder: folder.to_owned(),
            max_requests,
            max_bytes,
            results: HashMap::new(),
            waiting: HashMap::new(),
            asked: HashSet::new(),
            files: Vec::new(),
            next: 0,
            open: None,
            written: 0,
        };
        for path in lines_files(&results_folder)? {
            batch.index(&path)?;
        }
        let mut times_asked = HashMap::new();
        for path in lines_files(folder)? {
            batch.wait_for(&path, &mut times_asked)?;
        }
        Ok(batch)
    }

    /// Where requests are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where results belong.
    pub fn results_folder(&self) -> PathBuf {
        self.folder.join("results")
    }

    /// Requests that were sent off and have not come back.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What these may use, about: they are answered whether there is money left or not.
    pub fn away(&self) -> Usage {
        self.waiting.values().fold(Usage::default(), |sum, usage| Usage {
            input: sum.input + usage.input,
            output: sum.output + usage.output,
        })
    }

    /// Requests written by this process.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// What became of a question; `retries` is how often it may fail and be asked again.
    pub fn take(&mut self, key: &str, retries: usize) -> Result<Taken, StoreError> {
        let short = short(key);
        let places = self.results.get(&short).copied().unwrap_or_default();
        if let Some(place) = places.good.or(places.bad) {
            let line = self.line(place)?;
            let result = read_batch_line(&line, SystemTime::now()).map(|(_, result)| result);
            let failures = places.failures as usize;
            match result {
                Some(Ok(answer)) => return Ok(Taken::Answer(answer)),
                Some(Err(Trouble::Skip { refused, detail })) => {
                    return Ok(Taken::Skip(refused, detail));
                }
                Some(Err(trouble)) if failures > retries => {
                    return Ok(Taken::GivenUp(trouble.detail().to_owned()));
                }
                _ => {}
            }
        }
        let is_away = self.waiting.contains_key(&short) || self.asked.contains(&short);
        Ok(if is_away { Taken::Waiting } else { Taken::Open })
    }

    /// Writes a request. An id is unique in the files that one process writes: services turn down files
    /// with one twice.
    pub fn ask(
        &mut self,
        key: &str,
        ask: &Ask,
        model: &str,
        format: Format,
    ) -> Result<(), StoreError> {
        if !self.asked.insert(short(key)) {
            return Ok(());
        }
        let mut line = batch_line(key, ask, model, format, Dialect::default());
        line.push(b'\n');
        let is_full = self.open.as_ref().is_some_and(|open| {
            open.requests >= self.max_requests || open.bytes + line.len() > self.max_bytes
        });
        if is_full {
            self.close()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let path = self.folder.join(format!("requests-{:05}.jsonl", self.next));
                let file = File::create(part_path(&path)).map_err(at(&path))?;
                let file = BufWriter::new(file);
                self.open.insert(Open { file, path, requests: 0, bytes: 0 })
            }
        };
        open.file.write_all(&line).map_err(at(&open.path))?;
        open.requests += 1;
        open.bytes += line.len();
        self.written += 1;
        Ok(())
    }

    /// Puts the file in work in its place.
    pub fn close(&mut self) -> Result<(), StoreError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let path = open.path;
        let file = open.file.into_inner().map_err(|error| at(&path)(error.into_error()))?;
        file.sync_all().map_err(at(&path))?;
        std::fs::rename(part_path(&path), &path).map_err(at(&path))?;
        self.next += 1;
        Ok(())
    }

    /// Finds the places of a result file's lines. A good line beats one that failed.
    fn index(&mut self, path: &Path) -> Result<(), StoreError> {
        let file = File::open(path).map_err(at(path))?;
        let number = u32::try_from(self.files.len()).expect("far fewer files");
        let mut offset = 0;
        each_line(&file, path, |line| {
            if let Some((id, result)) = read_batch_line(line, SystemTime::now()) {
                let places = self.results.entry(short(&id)).or_default();
                places.lines += 1;
                match result {
                    Ok(_) => places.good = Some((number, offset)),
                    Err(_) => {
                        places.bad = Some((number, offset));
                        places.failures += 1;
                    }
                }
            }
            offset += line.len() as u64;
        })?;
        self.files.push(file);
        Ok(())
    }

    /// Notes the requests of a file of ours that nothing has come back of.
    fn wait_for(
        &mut self,
        path: &Path,
        times_asked: &mut HashMap<Short, u32>,
    ) -> Result<(), StoreError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.strip_prefix("requests-").and_then(|rest| rest.split('.').next());
        let Some(number) = number.and_then(|number| number.parse::<u32>().ok()) else {
            return Ok(());
        };
        self.next = self.next.max(number + 1);
        let mut sent = Vec::new();
        let file = File::open(path).map_err(at(path))?;
        each_line(&file, path, |line| {
            if let Ok(Sent { custom_id, body }) = serde_json::from_slice(line) {
                let output = body.max_tokens.or(body.max_completion_tokens).unwrap_or_default();
                sent.push((short(&custom_id), Usage { input: tokens_of(line), output }));
            }
        })?;
        // What failed and was asked again has had a line before this file came back.
        let mut is_back = false;
        for (id, _) in &sent {
            let times = times_asked.entry(*id).or_default();
            *times += 1;
            is_back |= self.results.get(id).is_some_and(|places| places.lines >= *times);
        }
        for (id, usage) in sent {
            if is_back {
                self.waiting.remove(&id);
            } else {
                self.waiting.insert(id, usage);
            }
        }
        Ok(())
    }

    fn line(&mut self, (file, offset): (u32, u64)) -> Result<Vec<u8>, StoreError> {
        let mut file = &self.files[file as usize];
        let error = at(&self.folder);
        file.seek(SeekFrom::Start(offset)).map_err(&error)?;
        let mut line = Vec::new();
        BufReader::new(file).read_until(b'\n', &mut line).map_err(&error)?;
        Ok(line)
    }
}

/// A line of ours.
#[derive(Deserialize)]
struct Sent {
    custom_id: String,
    #[serde(default)]
    body: SentBody,
}

#[derive(Default, Deserialize)]
struct SentBody {
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
}

/// About the tokens that a line of ours takes: an image as many as any other, however long it is in base64.
fn tokens_of(line: &[u8]) -> u64 {
    let line = String::from_utf8_lossy(line);
    let mut pieces = line.split(r#"{"url":""#);
    let mut bytes = pieces.next().map_or(0, str::len);
    let mut images = 0;
    for piece in pieces {
        images += 1;
        bytes += piece.find('"').map_or(0, |end| piece.len() - end);
    }
    bytes as u64 / 4 + images * IMAGE_TOKENS
}

/// Files of lines in a folder, by name.
fn lines_files(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = std::fs::read_dir(folder).map_err(at(folder))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect();
    paths.sort();
    Ok(paths)
}

fn each_line(file: &File, path: &Path, mut visit: impl FnMut(&[u8])) -> Result<(), StoreError> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(at(path))? == 0 {
            return Ok(());
        }
        visit(&line);
    }
}

fn short(key: &str) -> Short {
    let digest = Sha256::digest(key);
    digest[..16].try_into().expect("16 bytes of 32")
}

fn part_path(path: &Path) -> PathBuf {
    path.with_extension("jsonl.part")
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> StoreError {
    let path = path.display().to_string();
    move |error| StoreError::corrupt(path.clone(), error)
}

#[cfg(test)]
mod tests {
    use super::super::ask::Piece;
    use super::super::ask::tests::sample;
    use super::*;

    fn open(folder: &Path) -> BatchFiles {
        BatchFiles::open(folder, 2, 10_000).unwrap()
    }

    fn result(id: &str, status: u16) -> String {
        let body = match status {
            200 => serde_json::json!({
                "choices": [{"finish_reason": "stop", "message": {"content": id}}],
            }),
            _ => serde_json::json!({"error": {"message": "upstream failed"}}),
        };
        let response = serde_json::json!({"status_code": status, "body": body});
        serde_json::json!({"custom_id": id, "response": response}).to_string() + "\n"
    }

    #[test]
    fn requests_go_out_in_files_and_come_back_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut batch = open(folder);
        for key in ["a", "b", "c", "d", "e"] {
            assert!(matches!(batch.take(key, 1).unwrap(), Taken::Open));
            batch.ask(key, &sample(), "m", Format::JsonSchema).unwrap();
        }
        batch.close().unwrap();
        assert_eq!((batch.written(), lines_files(folder).unwrap().len()), (5, 3));
        assert_eq!(batch.away(), Usage::default());

        let mut batch = open(folder);
        assert_eq!(batch.waiting(), 5);
        let Usage { input, output } = batch.away();
        assert_eq!(output, 5 * u64::from(sample().max_tokens));
        // Each has two images.
        assert!((500..1000).contains(&(input - 10 * IMAGE_TOKENS)), "{input}");
        assert!(matches!(batch.take("a", 1).unwrap(), Taken::Waiting));

        // The second file comes back with a failure and a loss, the first one not yet.
        std::fs::write(folder.join("results/x.jsonl"), result("d", 500) + "not a line\n").unwrap();
        let mut batch = open(folder);
        assert_eq!(batch.waiting(), 3);
        assert!(matches!(batch.take("a", 1).unwrap(), Taken::Waiting));
        for key in ["c", "d"] {
            assert!(matches!(batch.take(key, 1).unwrap(), Taken::Open));
            batch.ask(key, &sample(), "m", Format::JsonSchema).unwrap();
        }
        batch.close().unwrap();

        let text = result("d", 500) + &result("c", 200) + &result("b", 200) + &result("a", 200);
        std::fs::write(folder.join("results/later.jsonl"), text).unwrap();
        let mut batch = open(folder);
        assert_eq!(batch.waiting(), 1, "the file of e is still away");
        for key in ["a", "b", "c"] {
            let taken = batch.take(key, 1).unwrap();
            assert!(matches!(taken, Taken::Answer(Answer::Said { text, .. }) if text == key));
        }
        let taken = batch.take("d", 1).unwrap();
        assert!(matches!(taken, Taken::GivenUp(why) if why.contains("upstream failed")));
        assert!(matches!(batch.take("d", 2).unwrap(), Taken::Open));
        assert!(matches!(batch.take("e", 1).unwrap(), Taken::Waiting));
    }

    #[test]
    fn an_id_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut batch = open(folder.path());
        for key in ["a", "b", "a", "c", "a"] {
            batch.ask(key, &sample(), "m", Format::Text).unwrap();
            assert!(matches!(batch.take(key, 0).unwrap(), Taken::Waiting));
        }
        batch.close().unwrap();
        assert_eq!((batch.written(), open(folder.path()).waiting()), (3, 3));
    }

    #[test]
    fn images_that_are_away_count_as_images() {
        let of = |user: Vec<Piece>| {
            let folder = tempfile::tempdir().unwrap();
            let mut batch = BatchFiles::open(folder.path(), 2, 1 << 20).unwrap();
            batch.ask("a", &Ask { user, ..sample() }, "m", Format::Text).unwrap();
            batch.close().unwrap();
            open(folder.path()).away().input
        };
        let text = || Piece::Text(r#"alt: {"url":"x"}"#.into());
        let words = of(vec![text()]);
        assert!(words < IMAGE_TOKENS, "{words}");
        for image in [Piece::image(vec![0xff; 60_000].into()), Piece::Link("file:///a".into())] {
            let both = of(vec![text(), image]);
            let expected = words + IMAGE_TOKENS;
            assert!((expected..expected + 50).contains(&both), "{both}, not {expected}");
        }
    }

    #[test]
    fn a_file_that_was_cut_short_is_not_sent_off() {
        let folder = tempfile::tempdir().unwrap();
        let mut batch = open(folder.path());
        batch.ask("a", &sample(), "m", Format::Text).unwrap();
        drop(batch);
        let mut batch = open(folder.path());
        assert!(matches!(batch.take("a", 0).unwrap(), Taken::Open));
    }
}
