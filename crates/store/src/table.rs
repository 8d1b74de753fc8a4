//! The parts of one table.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use futures::{StreamExt, TryStreamExt, stream};

use magiclens_core::Reject;

use super::rows::{Row, RowStream, read_rows};
use super::segment::SegmentEntry;
use super::{Counts, Fingerprint, Manifest, Mismatch, PartWriter, SegmentLog, Store, StoreError};

/// A table of the run directory, open for reading and committing parts.
#[derive(Debug)]
pub struct Table<R> {
    store: Store,
    name: &'static str,
    fingerprint: String,
    older_format: Option<u64>,
    row: PhantomData<fn() -> R>,
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        let (store, fingerprint) = (self.store.clone(), self.fingerprint.clone());
        let &Self { name, older_format, .. } = self;
        Self { store, name, fingerprint, older_format, row: PhantomData }
    }
}

impl<R: Row> Table<R> {
    /// Opens a table for work under a fingerprint: its first user fixes it, a later one that
    /// differs gets the difference. Parts bear the fingerprint that the table was begun with, also where an
    /// older version began it in an older format.
    pub async fn open(
        store: &Store,
        name: &'static str,
        fingerprint: &Fingerprint,
    ) -> Result<Result<Self, Mismatch>, StoreError> {
        let path = format!("{name}/stage.json");
        let text = serde_json::to_vec_pretty(fingerprint).expect("a fingerprint is plain data");
        let (mut begun_with, mut older_format) = (fingerprint.hash(), None);
        if !store.create(&path, text).await? {
            let committed = Fingerprint::of_table(store, name).await?.unwrap_or_default();
            if let Some(mismatch) = fingerprint.differs_from(&committed) {
                return Ok(Err(mismatch));
            }
            begun_with = fingerprint.hash_begun_with(&committed);
            older_format = committed.older_format();
        }
        let (store, fingerprint) = (store.clone(), begun_with);
        Ok(Ok(Self { store, name, fingerprint, older_format, row: PhantomData }))
    }

    /// Begins a part.
    pub fn part<O: Row>(&self, part: u32) -> Result<PartWriter<R, O>, StoreError> {
        PartWriter::create(self.clone(), part)
    }

    /// Opens the work in progress on a part.
    pub async fn segments<E: SegmentEntry>(&self, part: u32) -> Result<SegmentLog<E>, StoreError> {
        SegmentLog::open(&self.store, self.wip_folder(part)).await
    }

    /// Removes segments that a kill left behind between a part's commit and their removal.
    pub async fn discard_segments(&self, part: u32) -> Result<(), StoreError> {
        for (path, _) in self.store.list(&self.wip_folder(part)).await? {
            self.store.delete(&path).await?;
        }
        Ok(())
    }

    /// The manifest of a part, if it is committed.
    pub async fn manifest(&self, part: u32) -> Result<Option<Manifest>, StoreError> {
        let path = self.manifest_path(part);
        let Some(text) = self.store.read(&path).await? else { return Ok(None) };
        let manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|error| StoreError::corrupt(path.clone(), error))?;
        if manifest.fingerprint != self.fingerprint {
            let problem = "was committed under another configuration, run with --redo";
            return Err(StoreError::corrupt(path, problem));
        }
        Ok(Some(manifest))
    }

    /// All committed manifests by part number.
    pub async fn manifests(&self) -> Result<Vec<Manifest>, StoreError> {
        manifests_of(&self.store, self.name).await
    }

    /// The parts that are committed, by number.
    pub async fn parts(&self) -> Result<BTreeSet<u32>, StoreError> {
        parts_of(&self.store, self.name).await
    }

    /// Rows of a committed part's output, `batch_rows` at a time; `T` may have fewer columns.
    pub async fn read<T: Row>(
        &self,
        manifest: &Manifest,
        output: &str,
        batch_rows: usize,
    ) -> Result<Option<RowStream<T>>, StoreError> {
        match manifest.files.get(output) {
            Some(file) => Ok(Some(read_rows(&self.store, &file.path, batch_rows).await?)),
            None => Ok(None),
        }
    }

    /// The version of the format that an older version began it in.
    pub fn older_format(&self) -> Option<u64> {
        self.older_format
    }

    /// Returns the name of the table, which is that of its folder.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the store that holds the table.
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn wip_folder(&self, part: u32) -> String {
        format!("{}/wip/part-{part:05}", self.name)
    }

    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(super) fn manifest_path(&self, part: u32) -> String {
        manifest_path(self.name, part)
    }
}

/// Manifests that are read at the same time.
const READS_AT_ONCE: usize = 32;

/// The number of the part that a manifest of this name commits.
fn part_of(name: &str) -> Option<u32> {
    name.strip_prefix("part-")?.strip_suffix(".json")?.parse().ok()
}

/// The parts of a table that are committed.
pub(super) async fn parts_of(store: &Store, name: &str) -> Result<BTreeSet<u32>, StoreError> {
    Ok(store.names(name).await?.iter().filter_map(|name| part_of(name)).collect())
}

/// All committed manifests of a table by part number, whatever they were made with.
pub(super) async fn manifests_of(store: &Store, name: &str) -> Result<Vec<Manifest>, StoreError> {
    let read = |part: u32| async move {
        let path = manifest_path(name, part);
        let text = store.read(&path).await?.unwrap_or_default();
        serde_json::from_slice(&text).map_err(|error| StoreError::corrupt(path, error))
    };
    let parts = parts_of(store, name).await?;
    stream::iter(parts.into_iter().map(read)).buffered(READS_AT_ONCE).try_collect().await
}

fn manifest_path(table: &str, part: u32) -> String {
    format!("{table}/part-{part:05}.json")
}

/// Sums the counts of parts.
pub(super) fn sum(manifests: &[Manifest]) -> Counts {
    let mut total = Counts::default();
    manifests.iter().for_each(|manifest| total.add(&manifest.counts));
    total
}

/// A part writer without a second output.
pub type PlainPart<R> = PartWriter<R, Reject>;
