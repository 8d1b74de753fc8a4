//! Records that were paid for: each is in the file before it counts, one line of JSON after another.
//!
//! Appending is one write to the operating system, so kill -9 loses nothing that was appended, and a
//! lost machine at most what came since the last [`Journal::sync`]. A line that a kill cut short is
//! passed over. Only where each record lies is held in memory. The disk is waited for on a thread of
//! its own: a slow one holds up neither those who append nor the runtime that they run on.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use super::StoreError;

/// Longest that an appended record may stay in the system's cache.
const SYNC_EVERY: Duration = Duration::from_secs(20);

/// A record with the name it is found by.
pub trait Keyed: Serialize + DeserializeOwned {
    /// sha256 of what was asked, hex.
    fn key(&self) -> &str;
}

/// One append-only file of records; the last one of a key counts.
pub struct Journal<R> {
    path: PathBuf,
    inner: Mutex<Inner>,
    disk: Disk,
    record: PhantomData<fn() -> R>,
}

struct Inner {
    file: Arc<File>,
    length: u64,
    places: HashMap<ShortKey, Place>,
    synced: Instant,
}

/// Waits for a file's disk.
type Sync = dyn Fn(&File) -> std::io::Result<()> + Send + std::marker::Sync;

/// Synchronization of the file with the disk.
#[derive(Clone)]
struct Disk {
    every: Duration,
    sync: Arc<Sync>,
    /// Error of a sync in the background, reported by the next operation.
    problem: Arc<Mutex<Option<std::io::Error>>>,
}

/// Position of a record in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    offset: u64,
    length: u32,
}

/// Key of the index: half of a sha256. The record that it finds holds the whole key.
pub type ShortKey = [u8; 16];

impl<R: Keyed> Journal<R> {
    /// Opens or creates a file, and reads it once to build the index.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Disk::new(SYNC_EVERY, File::sync_data))
    }

    fn open_with(path: &Path, disk: Disk) -> Result<Self, StoreError> {
        let error = |error: std::io::Error| StoreError::corrupt(path.display().to_string(), error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(error)?;
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(path).map_err(error)?;
        let (mut places, mut length, mut is_whole) = (HashMap::new(), 0, true);
        for_each_line(&file, |line, offset| {
            is_whole = line.last() == Some(&b'\n');
            length = offset + line.len() as u64;
            if let Some(record) = parse::<R>(line).filter(|_| is_whole) {
                places.insert(short_key(record.key()), Place { offset, length: line.len() as u32 });
            }
        })
        .map_err(error)?;
        if !is_whole {
            (&file).write_all(b"\n").map_err(error)?;
            length += 1;
        }
        let inner = Inner { file: Arc::new(file), length, places, synced: Instant::now() };
        Ok(Self { path: path.to_owned(), inner: Mutex::new(inner), disk, record: PhantomData })
    }

    /// Returns true if a record with this key exists.
    pub fn contains(&self, key: &str) -> bool {
        self.lock().places.contains_key(&short_key(key))
    }

    /// The record of a key.
    pub fn get(&self, key: &str) -> Result<Option<R>, StoreError> {
        let inner = self.lock();
        let Some(&place) = inner.places.get(&short_key(key)) else { return Ok(None) };
        let record = read(&inner.file, place).map_err(|error| self.error(error))?;
        Ok(record.filter(|record: &R| record.key() == key))
    }

    /// The record at a place of a file that may be in use; none where it is of another key.
    pub fn get_at(path: &Path, place: Place, key: &str) -> Result<Option<R>, StoreError> {
        let record = File::open(path).and_then(|file| read(&file, place));
        let record = record.map_err(|error| StoreError::corrupt(path.display().to_string(), error));
        Ok(record?.filter(|record: &R| record.key() == key))
    }

    /// Appends a record: when this returns, a killed process does not lose it. Says where it lies.
    pub fn append(&self, record: &R) -> Result<Place, StoreError> {
        self.disk.check().map_err(|error| self.error(error))?;
        let mut line = serde_json::to_vec(record).expect("records are plain data");
        line.push(b'\n');
        let mut inner = self.lock();
        (&*inner.file).write_all(&line).map_err(|error| self.error(error))?;
        let place = Place { offset: inner.length, length: line.len() as u32 };
        inner.places.insert(short_key(record.key()), place);
        inner.length += line.len() as u64;
        if inner.synced.elapsed() >= self.disk.every {
            inner.synced = Instant::now();
            let file = Arc::clone(&inner.file);
            drop(inner);
            self.disk.sync_soon(file);
        }
        Ok(place)
    }

    /// Waits until everything appended is on the disk.
    pub async fn sync(&self) -> Result<(), StoreError> {
        let (disk, file) = (self.disk.clone(), Arc::clone(&self.lock().file));
        let synced = tokio::task::spawn_blocking(move || (disk.sync)(&file)).await;
        let synced = synced.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        synced.and_then(|()| self.disk.check()).map_err(|error| self.error(error))
    }

    /// Calls `visit` with every whole record of a file and its place, those that a later one replaced
    /// included.
    pub fn for_each(path: &Path, mut visit: impl FnMut(R, Place)) -> Result<(), StoreError> {
        let error = |error: std::io::Error| StoreError::corrupt(path.display().to_string(), error);
        let file = File::open(path).map_err(error)?;
        for_each_line(&file, |line, offset| {
            let place = Place { offset, length: line.len() as u32 };
            if let Some(record) = parse(line) {
                visit(record, place);
            }
        })
        .map_err(error)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of this lock panics")
    }

    fn error(&self, error: std::io::Error) -> StoreError {
        StoreError::corrupt(self.path.display().to_string(), error)
    }
}

impl Disk {
    fn new(
        every: Duration,
        sync: impl Fn(&File) -> std::io::Result<()> + Send + std::marker::Sync + 'static,
    ) -> Self {
        Self { every, sync: Arc::new(sync), problem: Arc::default() }
    }

    /// Syncs on a thread that may block; without a runtime the calling thread may.
    fn sync_soon(&self, file: Arc<File>) {
        let disk = self.clone();
        let sync = move || {
            if let Err(error) = (disk.sync)(&file) {
                *disk.problem.lock().expect("no holder of this lock panics") = Some(error);
            }
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(sync)),
            Err(_) => sync(),
        }
    }

    fn check(&self) -> std::io::Result<()> {
        self.problem.lock().expect("no holder of this lock panics").take().map_or(Ok(()), Err)
    }
}

/// The short form of a key, whether it is a sha256 or not.
pub fn short_key(key: &str) -> ShortKey {
    let mut short = [0; 16];
    if hex::decode_to_slice(key.get(..32).unwrap_or_default(), &mut short).is_err() {
        let bytes = key.as_bytes();
        let length = bytes.len().min(16);
        short[..length].copy_from_slice(&bytes[..length]);
    }
    short
}

fn read<R: Keyed>(file: &File, place: Place) -> std::io::Result<Option<R>> {
    let mut line = vec![0; place.length as usize];
    file.read_exact_at(&mut line, place.offset)?;
    Ok(parse(&line))
}

fn parse<R: Keyed>(line: &[u8]) -> Option<R> {
    serde_json::from_slice(line).ok()
}

fn for_each_line(file: &File, mut visit: impl FnMut(&[u8], u64)) -> std::io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut line, mut offset) = (Vec::new(), 0);
    loop {
        line.clear();
        match reader.read_until(b'\n', &mut line)? {
            0 => return Ok(()),
            length => {
                visit(&line, offset);
                offset += length as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Record {
        key: String,
        text: String,
    }

    impl Keyed for Record {
        fn key(&self) -> &str {
            &self.key
        }
    }

    fn record(n: u32, text: &str) -> Record {
        Record { key: format!("{n:08x}{:056}", 0), text: text.to_owned() }
    }

    #[test]
    fn records_outlive_the_process_and_a_torn_line_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replies/part-00000.jsonl");
        let journal = Journal::open(&path).unwrap();
        for n in 0..100 {
            journal.append(&record(n, &"x".repeat(n as usize))).unwrap();
        }
        journal.append(&record(7, "again\nand again")).unwrap();
        drop(journal);
        let whole = std::fs::metadata(&path).unwrap().len();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"key\":\"ff").unwrap();
        for _ in 0..2 {
            let journal = Journal::<Record>::open(&path).unwrap();
            assert_eq!(journal.get(&record(99, "").key).unwrap().unwrap().text.len(), 99);
            assert_eq!(journal.get(&record(7, "").key).unwrap().unwrap().text, "again\nand again");
            assert_eq!(journal.get(&record(1000, "").key).unwrap(), None);
            journal.append(&record(5000, "new")).unwrap();
            assert_eq!(journal.get(&record(5000, "").key).unwrap(), Some(record(5000, "new")));
        }
        assert!(std::fs::metadata(&path).unwrap().len() > whole);
        let mut count = 0;
        Journal::<Record>::for_each(&path, |_, _| count += 1).unwrap();
        assert_eq!(count, 103);
    }

    #[tokio::test]
    async fn a_slow_disk_holds_nobody_up_and_its_errors_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let (go, wait) = std::sync::mpsc::channel::<std::io::Result<()>>();
        let wait = Mutex::new(wait);
        let sync = move |_: &File| wait.lock().unwrap().recv().unwrap_or(Ok(()));
        let disk = Disk::new(Duration::ZERO, sync);
        let journal = Journal::open_with(&folder.path().join("j"), disk).unwrap();
        // Each record is due to be synced, and the disk never completes a sync. All appends on this one
        // thread return nevertheless.
        for n in 0..20 {
            journal.append(&record(n, "x")).unwrap();
        }
        assert_eq!(journal.get(&record(19, "").key).unwrap(), Some(record(19, "x")));
        (0..20).for_each(|_| go.send(Ok(())).unwrap());
        go.send(Err(std::io::Error::other("no space"))).unwrap();
        drop(go);
        let told = loop {
            if let Err(error) = journal.sync().await {
                break error;
            }
        };
        assert!(told.to_string().contains("no space"), "{told}");
    }

    proptest::proptest! {
        #[test]
        fn a_file_of_anything_opens_and_takes_records(bytes: Vec<u8>) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("j");
            std::fs::write(&path, &bytes).unwrap();
            let journal = Journal::<Record>::open(&path).unwrap();
            journal.append(&record(1, "kept")).unwrap();
            drop(journal);
            let journal = Journal::<Record>::open(&path).unwrap();
            assert_eq!(journal.get(&record(1, "").key).unwrap(), Some(record(1, "kept")));
        }
    }
}
