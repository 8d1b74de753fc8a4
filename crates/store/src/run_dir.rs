//! The content of a run directory beside its tables: configuration, seeds and other inputs, so that a rerun
//! needs only `--out`.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use magiclens_core::Tombstones;
use serde::{Deserialize, Serialize};

use super::remote::is_remote;
use super::table::{manifests_of, parts_of, sum};
use super::{
    Counts, Layout, Manifest, Row, RowWriter, SegmentEntry, Store, StoreError, WipSummary,
    read_rows,
};

/// The path of the kept configuration.
const RUN: &str = "run.json";

/// The path of the tombstones.
const TOMBSTONES: &str = "tombstones.json";

/// The path of the number of slices.
const SLICES: &str = "slices.json";

/// A run directory.
#[derive(Clone, Debug)]
pub struct RunDir {
    store: Store,
}

/// `run.json`. A field that is added later has a default, for the runs that lack it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The configuration of the last run that was given one, as TOML: whole, defaults too.
    pub config: String,
    /// Seed URLs, sorted.
    pub seeds: Vec<String>,
    /// WARC files by absolute path or URL, in the order given; part k of `pages` is of the k-th.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub archives: Vec<String>,
    /// Tables of images by absolute path, in the order given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
}

impl RunDir {
    /// Opens a run directory, creating it where needed.
    pub fn open(location: &str) -> Result<Self, StoreError> {
        Ok(Self { store: Store::open(location)? })
    }

    /// One in a store that is open already.
    pub fn within(store: Store) -> Self {
        Self { store }
    }

    /// Opens a run directory that something was kept in; makes none.
    pub async fn find(location: &str) -> Result<Option<Self>, StoreError> {
        let folder = location.strip_prefix("file://").unwrap_or(location);
        if !is_remote(location) && !Path::new(folder).join(RUN).is_file() {
            return Ok(None);
        }
        let dir = Self::open(location)?;
        Ok(dir.store.read(RUN).await?.is_some().then_some(dir))
    }

    /// The same with another folder for what grows by appending.
    pub fn with_scratch(self, scratch: &Path) -> Self {
        Self { store: self.store.with_scratch(scratch) }
    }

    /// Returns the configuration and inputs that were kept, if this directory was used before.
    pub async fn kept(&self) -> Result<Option<Kept>, StoreError> {
        let Some(text) = self.store.read(RUN).await? else { return Ok(None) };
        serde_json::from_slice(&text).map(Some).map_err(|error| StoreError::corrupt(RUN, error))
    }

    /// Keeps configuration and seeds for the next run.
    pub async fn keep(&self, kept: &Kept) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(kept).expect("kept settings are plain data");
        self.store.replace(RUN, text).await
    }

    /// Returns the number of slices of the last start, if it had slices.
    pub async fn slices(&self) -> Result<Option<u32>, StoreError> {
        let Some(text) = self.store.read(SLICES).await? else { return Ok(None) };
        serde_json::from_slice(&text).map(Some).map_err(|error| StoreError::corrupt(SLICES, error))
    }

    /// Notes how many slices there are.
    pub async fn keep_slices(&self, of: u32) -> Result<(), StoreError> {
        if self.slices().await? == Some(of) {
            return Ok(());
        }
        self.store.replace(SLICES, of.to_string().into_bytes()).await
    }

    /// Returns the tombstones.
    pub async fn tombstones(&self) -> Result<Tombstones, StoreError> {
        let Some(text) = self.store.read(TOMBSTONES).await? else {
            return Ok(Tombstones::default());
        };
        serde_json::from_slice(&text).map_err(|error| StoreError::corrupt(TOMBSTONES, error))
    }

    /// Takes back, for this run directory and for ever.
    pub async fn bury(&self, more: Tombstones) -> Result<Tombstones, StoreError> {
        let mut tombstones = self.tombstones().await?;
        tombstones.extend(more);
        let text = serde_json::to_vec_pretty(&tombstones).expect("tombstones are plain data");
        self.store.replace(TOMBSTONES, text).await?;
        Ok(tombstones)
    }

    /// Rewrites an output of a committed part if `is_hit` is true for the columns `N` of any row. Rows keep
    /// their numbers, so references to them stay valid, and `change` edits their content. Only for the
    /// removal of content. Returns the number of rows that changed.
    pub async fn rewrite<R: Row, N: Row>(
        &self,
        manifest: &Manifest,
        output: &str,
        is_hit: impl Fn(&N) -> bool,
        change: impl FnMut(&mut R) -> bool,
    ) -> Result<u64, StoreError> {
        let Some(file) = manifest.files.get(output) else { return Ok(0) };
        let mut rows = read_rows::<N>(&self.store, &file.path, 1024).await?;
        while let Some(batch) = rows.next().await? {
            if batch.iter().any(&is_hit) {
                return self.rewrite_file(&file.path, Layout::Part, change).await;
            }
        }
        Ok(0)
    }

    /// The same for the work in progress on a table.
    pub async fn rewrite_wip<E: SegmentEntry>(
        &self,
        table: &str,
        mut change: impl FnMut(&mut E) -> bool,
    ) -> Result<u64, StoreError> {
        let mut changed = 0;
        for (path, _) in self.store.list(&format!("{table}/wip")).await? {
            changed += self.rewrite_file(&path, Layout::Segment, &mut change).await?;
        }
        Ok(changed)
    }

    async fn rewrite_file<R: Row>(
        &self,
        path: &str,
        layout: Layout,
        mut change: impl FnMut(&mut R) -> bool,
    ) -> Result<u64, StoreError> {
        let mut changed = 0;
        let mut rows = read_rows::<R>(&self.store, path, 64).await?;
        let mut writer = RowWriter::create(&self.store, path.to_owned(), layout)?;
        while let Some(batch) = rows.next().await? {
            for mut row in batch {
                changed += u64::from(change(&mut row));
                writer.push(row).await?;
            }
        }
        if changed > 0 {
            // Put over the old file in one step.
            writer.close().await?;
        } else {
            writer.discard().await;
        }
        Ok(changed)
    }

    /// Removes files of a table that no manifest names: what killed processes left.
    pub async fn sweep(&self, table: &str) -> Result<(), StoreError> {
        let manifests = self.manifests(table).await?;
        let files = manifests.iter().flat_map(|manifest| manifest.files.values());
        let named: HashSet<&str> = files.map(|file| file.path.as_str()).collect();
        for folder in [table.to_owned(), format!("rejects/{table}"), format!("outbox/{table}")] {
            let path = |name: &String| format!("{folder}/{name}");
            // The names of files that are being written on local disk have a suffix after the extension.
            // Unfinished objects are in no listing.
            let is_stray =
                |name: &String| name.contains(".parquet") && !named.contains(path(name).as_str());
            if let Some(run_dir) = self.store.folder() {
                for name in local_names(&run_dir.join(&folder)).into_iter().filter(is_stray) {
                    let file = run_dir.join(path(&name));
                    std::fs::remove_file(&file)
                        .map_err(|error| StoreError::corrupt(file.display().to_string(), error))?;
                }
                continue;
            }
            for name in self.store.names(&folder).await?.into_iter().filter(is_stray) {
                self.store.delete(&path(&name)).await?;
            }
        }
        Ok(())
    }

    /// Returns the store that holds the tables.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// All committed parts of a table.
    pub async fn manifests(&self, table: &str) -> Result<Vec<Manifest>, StoreError> {
        manifests_of(&self.store, table).await
    }

    /// The numbers of a table's committed parts.
    pub async fn parts(&self, table: &str) -> Result<BTreeSet<u32>, StoreError> {
        parts_of(&self.store, table).await
    }

    /// The summed counts of a table's committed parts.
    pub async fn counts(&self, table: &str) -> Result<Counts, StoreError> {
        Ok(sum(&self.manifests(table).await?))
    }

    /// Returns true if a table was begun.
    pub async fn is_begun(&self, table: &str) -> Result<bool, StoreError> {
        Ok(self.store.read(&format!("{table}/stage.json")).await?.is_some())
    }

    /// Work in progress on a table's open parts.
    pub async fn wip(&self, table: &str) -> Result<WipSummary, StoreError> {
        WipSummary::of(&self.store, table).await
    }

    /// Removes a table for `--redo`: manifests first, so that nothing refers to a missing file, and
    /// its fingerprint last, so that a kill in between cannot mix old parts into a new table.
    pub async fn remove_table(&self, table: &str) -> Result<(), StoreError> {
        // By name only: a manifest that cannot be read is a reason to rebuild its table.
        for part in self.parts(table).await? {
            self.store.delete(&format!("{table}/part-{part:05}.json")).await?;
        }
        for folder in [format!("rejects/{table}"), format!("outbox/{table}"), table.to_owned()] {
            for (path, _) in self.store.list(&folder).await? {
                if !path.ends_with("stage.json") {
                    self.store.delete(&path).await?;
                }
            }
        }
        self.store.delete(&format!("{table}/stage.json")).await
    }
}

/// Names of what lies in a folder, where there is one.
fn local_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, FieldRef};
    use magiclens_core::{Reason, Reject};

    use super::super::table::PlainPart;
    use super::super::{FORMAT_VERSION, Fingerprint, Table};
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Number {
        n: u64,
    }

    impl Row for Number {
        fn fields() -> Vec<FieldRef> {
            vec![Arc::new(Field::new("n", DataType::UInt64, false))]
        }

        fn weight(&self) -> usize {
            8
        }
    }

    async fn table(store: &Store, depth: u32) -> Table<Number> {
        let fingerprint = Fingerprint::new().with("crawl.max_depth", depth);
        Table::open(store, "numbers", &fingerprint).await.unwrap().unwrap()
    }

    async fn write(table: &Table<Number>, part: u32, n: u64) -> Result<Manifest, StoreError> {
        let mut writer: PlainPart<Number> = table.part(part).unwrap();
        for n in 0..n {
            writer.push(Number { n }).await.unwrap();
        }
        writer.reject(Reject::new("http://x/", Reason::Ad, "")).await.unwrap();
        writer.commit(n + 1).await
    }

    #[tokio::test]
    async fn racing_writers_commit_a_part_once_and_leave_no_stray_file() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path().to_str().unwrap()).unwrap();
        let table = table(run.store(), 3).await;
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let table = table.clone();
                tokio::spawn(async move { write(&table, 7, 1000).await.unwrap() })
            })
            .collect();
        let mut manifests = Vec::new();
        for racer in racers {
            manifests.push(racer.await.unwrap());
        }
        manifests.dedup();
        assert_eq!(manifests.len(), 1, "every racer reports the one commit that counts");
        let files = run.store().list("numbers").await.unwrap();
        assert_eq!(files.len(), 3, "stage.json, one manifest, one file: {files:?}");
        let rows = table.read::<Number>(&manifests[0], "rows", 64).await.unwrap().unwrap();
        let rows = rows.collect().await.unwrap();
        assert_eq!(rows, (0..1000).map(|n| Number { n }).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_part_that_lost_a_record_is_not_committed() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path().to_str().unwrap()).unwrap();
        let table = table(run.store(), 3).await;
        let writer: PlainPart<Number> = table.part(0).unwrap();
        let error = writer.commit(1).await.unwrap_err().to_string();
        assert_eq!(error, "numbers part 0: 1 records in, but 0 accounted for");
        assert_eq!(run.manifests("numbers").await.unwrap(), []);
    }

    #[tokio::test]
    async fn another_configuration_is_refused_until_the_table_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path().to_str().unwrap()).unwrap();
        write(&table(run.store(), 3).await, 0, 5).await.unwrap();
        let other = Fingerprint::new().with("crawl.max_depth", 4);
        let mismatch = Table::<Number>::open(run.store(), "numbers", &other).await.unwrap();
        assert_eq!(mismatch.unwrap_err().key, "crawl.max_depth");
        run.remove_table("numbers").await.unwrap();
        assert_eq!(run.store().list("").await.unwrap(), []);
        let fresh = table(run.store(), 4).await;
        assert_eq!(fresh.manifests().await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_part_left_over_from_another_configuration_is_never_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path().to_str().unwrap()).unwrap();
        write(&table(run.store(), 3).await, 0, 5).await.unwrap();
        run.store().delete("numbers/stage.json").await.unwrap();
        let error = table(run.store(), 4).await.manifest(0).await.unwrap_err().to_string();
        assert!(error.contains("--redo"), "{error}");
    }

    /// Begins the table as another version did, in another format.
    async fn begun_in(store: &Store, format: u32) {
        let text = format!("{{\"keys\": {{\"crawl.max_depth\": 3, \"table format\": {format}}}}}");
        assert!(store.create("numbers/stage.json", text.into_bytes()).await.unwrap());
    }

    #[tokio::test]
    async fn a_table_of_an_older_format_is_gone_on_with_and_one_of_a_later_format_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path().to_str().unwrap()).unwrap();
        begun_in(run.store(), 0).await;
        let old = table(run.store(), 3).await;
        assert_eq!(old.older_format(), Some(0));
        let first = write(&old, 0, 5).await.unwrap();
        let again = table(run.store(), 3).await;
        let second = write(&again, 1, 5).await.unwrap();
        assert_eq!(first.fingerprint, second.fingerprint);
        assert_eq!(again.manifest(0).await.unwrap(), Some(first));
        run.remove_table("numbers").await.unwrap();
        assert_eq!(table(run.store(), 3).await.older_format(), None, "made anew in today's");
        run.remove_table("numbers").await.unwrap();
        begun_in(run.store(), FORMAT_VERSION + 1).await;
        let fingerprint = Fingerprint::new().with("crawl.max_depth", 3);
        let refused = Table::<Number>::open(run.store(), "numbers", &fingerprint).await.unwrap();
        assert!(refused.unwrap_err().is_of_later_version());
    }
}
