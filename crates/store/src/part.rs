//! Writing and committing one part: rows, rejects and an optional second output together.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use magiclens_core::Reject;

use super::rows::{Layout, Row, RowWriter};
use super::{Counts, Manifest, Store, StoreError, Table};

/// A part in the making. Dropped without a commit it leaves nothing that a reader sees.
pub struct PartWriter<R: Row, O: Row = Reject> {
    table: Table<R>,
    part: u32,
    nonce: String,
    rows: RowWriter<R>,
    rejects: RowWriter<Reject>,
    outbox: Option<RowWriter<O>>,
    counts: Counts,
    passed_over: BTreeMap<String, u64>,
}

impl<R: Row, O: Row> PartWriter<R, O> {
    pub(super) fn create(table: Table<R>, part: u32) -> Result<Self, StoreError> {
        let nonce = nonce();
        let name = table.name();
        let store = table.store();
        let rows = RowWriter::create(store, file_path(name, part, &nonce), Layout::Part)?;
        let rejects_folder = format!("rejects/{name}");
        let rejects =
            RowWriter::create(store, file_path(&rejects_folder, part, &nonce), Layout::Part)?;
        let (counts, passed_over) = (Counts::default(), BTreeMap::new());
        Ok(Self { table, part, nonce, rows, rejects, outbox: None, counts, passed_over })
    }

    /// Adds a row.
    pub async fn push(&mut self, row: R) -> Result<(), StoreError> {
        self.counts.output += 1;
        self.rows.push(row).await
    }

    /// Adds a reject.
    pub async fn reject(&mut self, reject: Reject) -> Result<(), StoreError> {
        self.counts.reject(reject.reason);
        self.rejects.push(reject).await
    }

    /// Notes what the input held beside records for this table, by kind.
    pub fn pass_over(&mut self, counts: BTreeMap<String, u64>) {
        self.passed_over = counts;
    }

    /// Adds a row of the second output.
    pub async fn send(&mut self, row: O) -> Result<(), StoreError> {
        let writer = match &mut self.outbox {
            Some(writer) => writer,
            None => {
                let folder = format!("outbox/{}", self.table.name());
                let path = file_path(&folder, self.part, &self.nonce);
                let writer = RowWriter::create(self.table.store(), path, Layout::Part)?;
                self.outbox.insert(writer)
            }
        };
        writer.push(row).await
    }

    /// Commits the part if in = out + rejected + failed and no process committed it before. Returns the
    /// manifest in effect, which may be that of the other process.
    pub async fn commit(mut self, input: u64) -> Result<Manifest, StoreError> {
        self.counts.input = input;
        if !self.counts.conserved() {
            return Err(StoreError::Conservation {
                table: self.table.name().into(),
                part: self.part,
                input,
                accounted: self.counts.accounted(),
            });
        }
        let mut files = BTreeMap::new();
        files.extend(self.rows.close().await?.map(|file| ("rows".into(), file)));
        files.extend(self.rejects.close().await?.map(|file| ("rejects".into(), file)));
        if let Some(outbox) = self.outbox {
            files.extend(outbox.close().await?.map(|file| ("outbox".into(), file)));
        }
        let manifest = Manifest {
            table: self.table.name().into(),
            part: self.part,
            files,
            counts: self.counts,
            passed_over: self.passed_over,
            fingerprint: self.table.fingerprint().into(),
            software: env!("CARGO_PKG_VERSION").into(),
        };
        put(&self.table, manifest).await
    }
}

async fn put<R: Row>(table: &Table<R>, manifest: Manifest) -> Result<Manifest, StoreError> {
    let store: &Store = table.store();
    let path = table.manifest_path(manifest.part);
    let text = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain data");
    if store.create(&path, text).await? {
        return Ok(manifest);
    }
    let winner = table.manifest(manifest.part).await?;
    let winner = winner.ok_or_else(|| StoreError::corrupt(path, "was committed and is gone"))?;
    // An answer that was lost on its way is asked for again: the manifest there may be this very one.
    if winner != manifest {
        for file in manifest.files.values() {
            store.delete(&file.path).await?;
        }
    }
    Ok(winner)
}

fn file_path(folder: &str, part: u32, nonce: &str) -> String {
    format!("{folder}/part-{part:05}-{nonce}.parquet")
}

/// Names that no two writers share, so that the loser of a commit deletes only its own files.
pub(super) fn nonce() -> String {
    let random = RandomState::new().hash_one(std::process::id());
    format!("{random:016x}")
}
