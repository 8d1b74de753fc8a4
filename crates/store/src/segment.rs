//! Work in progress on a part: small sorted files that survive a kill and are merged at the commit.
//!
//! An entry is the outcome of one unit of work, under the key of that unit. Entries are pure
//! functions of their key, so two processes that did the same unit by mistake do no harm: the merge
//! keeps one.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, Field, FieldRef};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::part::nonce;
use super::rows::{Layout, Row, RowStream, RowWriter, read_rows};
use super::{Store, StoreError};

/// Rows of one segment in memory during a merge: rows can be whole images, and segments many.
const MERGE_ROWS: usize = 8;

/// The outcome of one unit of work.
pub trait SegmentEntry: Row {
    /// Returns the key of the entry, the column `key`: entries are merged in its order.
    fn key(&self) -> &str;
}

/// The segments of one part.
pub struct SegmentLog<E> {
    store: Store,
    folder: String,
    files: Vec<String>,
    pending: Vec<E>,
    pending_bytes: usize,
    pending_since: Option<Instant>,
}

/// Amount of work in progress of a part, read from file names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WipSummary {
    /// Segment files.
    pub segments: u64,
    /// Entries in them.
    pub entries: u64,
}

impl<E: SegmentEntry> SegmentLog<E> {
    pub(super) async fn open(store: &Store, folder: String) -> Result<Self, StoreError> {
        let files = store.list(&folder).await?.into_iter().map(|(path, _)| path).collect();
        let (store, pending) = (store.clone(), Vec::new());
        Ok(Self { store, folder, files, pending, pending_bytes: 0, pending_since: None })
    }

    /// The keys of all entries written so far.
    pub async fn keys(&self) -> Result<Vec<String>, StoreError> {
        let mut keys = Vec::new();
        for file in &self.files {
            let rows = read_rows::<KeyRow>(&self.store, file, 4096).await?.collect().await?;
            keys.extend(rows.into_iter().map(|row| row.key));
        }
        Ok(keys)
    }

    /// Calls `visit` with the columns of `N` of all entries written so far, in no order.
    pub async fn for_each<N: Row>(&self, mut visit: impl FnMut(N)) -> Result<(), StoreError> {
        for file in &self.files {
            let mut rows = read_rows::<N>(&self.store, file, 256).await?;
            while let Some(batch) = rows.next().await? {
                batch.into_iter().for_each(&mut visit);
            }
        }
        Ok(())
    }

    /// Adds an entry; writes a segment when `bytes` or `age` is reached.
    pub async fn push(&mut self, entry: E, bytes: usize, age: Duration) -> Result<(), StoreError> {
        self.pending_bytes += entry.weight();
        self.pending.push(entry);
        let since = *self.pending_since.get_or_insert_with(Instant::now);
        if self.pending_bytes >= bytes || since.elapsed() >= age {
            self.flush().await?;
        }
        Ok(())
    }

    /// Adds what comes until nothing more can come, and writes what is pending then.
    pub async fn keep(
        &mut self,
        mut entries: mpsc::Receiver<E>,
        bytes: usize,
        age: Duration,
    ) -> Result<(), StoreError> {
        while let Some(entry) = entries.recv().await {
            self.push(entry, bytes, age).await?;
        }
        self.flush().await
    }

    /// Writes what is pending.
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut entries = std::mem::take(&mut self.pending);
        (self.pending_bytes, self.pending_since) = (0, None);
        entries.sort_by(|a, b| a.key().cmp(b.key()));
        let path = format!("{}/seg-{}-{}.parquet", self.folder, nonce(), entries.len());
        let mut writer = RowWriter::create(&self.store, path.clone(), Layout::Segment)?;
        for entry in entries {
            writer.push(entry).await?;
        }
        writer.close().await?;
        self.files.push(path);
        Ok(())
    }

    /// All entries by key, each key once, in the memory of one batch a segment.
    pub async fn merge(&mut self) -> Result<Merge<E>, StoreError> {
        self.flush().await?;
        Merge::open(&self.store, &self.files).await
    }

    /// Removes the segments, once the part is committed.
    pub async fn clear(self) -> Result<(), StoreError> {
        for file in &self.files {
            self.store.delete(file).await?;
        }
        if self.files.is_empty() {
            return Ok(());
        }
        // Folders exist on local disk only; one that is not empty stays.
        let Some(run_dir) = self.store.folder() else { return Ok(()) };
        let folder = run_dir.join(&self.folder);
        if std::fs::remove_dir(&folder).is_ok() {
            let _ = folder.parent().map(std::fs::remove_dir);
        }
        Ok(())
    }
}

impl WipSummary {
    /// Reads the file names below a table's `wip` folder.
    pub async fn of(store: &Store, table: &str) -> Result<Self, StoreError> {
        let mut summary = Self::default();
        for (path, _) in store.list(&format!("{table}/wip")).await? {
            let stem = path.trim_end_matches(".parquet");
            if let Some(entries) = stem.rsplit('-').next().and_then(|n| n.parse::<u64>().ok()) {
                summary.segments += 1;
                summary.entries += entries;
            }
        }
        Ok(summary)
    }
}

/// Sorted segments merged into one sorted stream.
pub struct Merge<E> {
    cursors: Vec<Cursor<E>>,
    heads: BinaryHeap<Reverse<(String, usize)>>,
    last: Option<String>,
}

struct Cursor<E> {
    rows: RowStream<E>,
    batch: VecDeque<E>,
    entry: PhantomData<E>,
}

impl<E: SegmentEntry> Merge<E> {
    async fn open(store: &Store, files: &[String]) -> Result<Self, StoreError> {
        let mut merge = Self { cursors: Vec::new(), heads: BinaryHeap::new(), last: None };
        for file in files {
            let rows = read_rows(store, file, MERGE_ROWS).await?;
            merge.cursors.push(Cursor { rows, batch: VecDeque::new(), entry: PhantomData });
            merge.refill(merge.cursors.len() - 1).await?;
        }
        Ok(merge)
    }

    /// The next entry by key.
    pub async fn next(&mut self) -> Result<Option<E>, StoreError> {
        while let Some(Reverse((key, cursor))) = self.heads.pop() {
            let entry = self.cursors[cursor].batch.pop_front().expect("a head has an entry");
            self.refill(cursor).await?;
            if self.last.as_ref() != Some(&key) {
                self.last = Some(key);
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    async fn refill(&mut self, index: usize) -> Result<(), StoreError> {
        let cursor = &mut self.cursors[index];
        while cursor.batch.is_empty() {
            let Some(rows) = cursor.rows.next().await? else { return Ok(()) };
            cursor.batch = rows.into();
        }
        let key = cursor.batch[0].key().to_owned();
        self.heads.push(Reverse((key, index)));
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct KeyRow {
    key: String,
}

impl Row for KeyRow {
    fn fields() -> Vec<FieldRef> {
        vec![Arc::new(Field::new("key", DataType::Utf8, false))]
    }

    fn weight(&self) -> usize {
        self.key.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Entry {
        key: String,
        value: u32,
    }

    impl Row for Entry {
        fn fields() -> Vec<FieldRef> {
            let mut fields = KeyRow::fields();
            fields.push(Arc::new(Field::new("value", DataType::UInt32, false)));
            fields
        }

        fn weight(&self) -> usize {
            100
        }
    }

    impl SegmentEntry for Entry {
        fn key(&self) -> &str {
            &self.key
        }
    }

    async fn log(folder: &std::path::Path) -> SegmentLog<Entry> {
        let store = Store::open(folder.to_str().unwrap()).unwrap();
        SegmentLog::open(&store, "t/wip/part-00000".into()).await.unwrap()
    }

    async fn merged(log: &mut SegmentLog<Entry>) -> Vec<Entry> {
        let mut merge = log.merge().await.unwrap();
        let mut all = Vec::new();
        while let Some(entry) = merge.next().await.unwrap() {
            all.push(entry);
        }
        all
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(16))]
        #[test]
        fn a_merge_is_sorted_and_holds_each_key_once(
            numbers in proptest::collection::vec(0u32..50, 0..120), chunk in 1usize..20,
        ) {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let folder = tempfile::tempdir().unwrap();
                for numbers in numbers.chunks(40) {
                    // Each chunk is another process on the same part.
                    let mut log = log(folder.path()).await;
                    for &value in numbers {
                        let entry = Entry { key: format!("{value:03}"), value };
                        log.push(entry, chunk * 100, Duration::MAX).await.unwrap();
                    }
                    log.flush().await.unwrap();
                }
                let mut log = log(folder.path()).await;
                let mut expected = numbers.clone();
                expected.sort();
                expected.dedup();
                let found: Vec<u32> = merged(&mut log).await.iter().map(|e| e.value).collect();
                assert_eq!(found, expected);
            });
        }
    }

    #[tokio::test]
    async fn what_was_flushed_outlives_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = log(folder.path()).await;
        for value in 0..3 {
            let entry = Entry { key: value.to_string(), value };
            first.push(entry, 200, Duration::MAX).await.unwrap();
        }
        drop(first);
        let second = log(folder.path()).await;
        assert_eq!(second.keys().await.unwrap(), ["0", "1"]);
        let summary = WipSummary::of(&second.store, "t").await.unwrap();
        assert_eq!(summary, WipSummary { segments: 1, entries: 2 });
        let store = second.store.clone();
        second.clear().await.unwrap();
        assert_eq!(WipSummary::of(&store, "t").await.unwrap(), WipSummary::default());
    }
}
