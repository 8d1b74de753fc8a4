//! Where shards lie: folders, run directories, and stores that fail or are counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::fixtures::*;
use crate::record::{ImageBytes, Split};
use crate::store::{FileInfo, Layout, Manifest, RowWriter, Store};
use crate::table::Triplet;
use crate::train::data::order::{Kind, Order};
use crate::train::data::read::Reader;
use crate::train::data::{Dataset, LoadOptions, Loader, Shards};

/// A store over HTTP in small: ranges come one by one, bytes are counted, and it can fail.
#[derive(Debug)]
struct Remote {
    files: LocalFileSystem,
    bytes: AtomicU64,
    failures: AtomicUsize,
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("remote")
    }
}

#[async_trait]
impl ObjectStore for Remote {
    async fn put_opts(&self, to: &Path, what: PutPayload, how: PutOptions) -> Result<PutResult> {
        self.files.put_opts(to, what, how).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.files.put_multipart_opts(to, how).await
    }

    async fn get_opts(&self, from: &Path, how: GetOptions) -> Result<GetResult> {
        let fails = self.failures.load(Ordering::SeqCst) > 0 && how.range.is_some();
        if fails && self.failures.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Err(Error::Generic { store: "remote", source: "connection reset".into() });
        }
        let got = self.files.get_opts(from, how).await?;
        self.bytes.fetch_add(got.range.end - got.range.start, Ordering::SeqCst);
        Ok(got)
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, how).await
    }
}

fn remote(folder: &std::path::Path) -> (Arc<Remote>, Dataset) {
    let files = LocalFileSystem::new_with_prefix(folder).unwrap();
    let remote = Remote { files, bytes: 0.into(), failures: 0.into() };
    let remote = Arc::new(remote);
    let shards = Shards::open_in(remote.clone(), "").unwrap();
    (remote, shards.split(Split::Train).unwrap())
}

#[test]
fn a_store_that_fails_for_a_moment_is_asked_again() {
    let folder = folder(&[vec![6, 6]], u64::from);
    let expected = batches(&train(folder.path()), &options(3, 6), 0, 4);
    let (remote, dataset) = remote(folder.path());
    remote.failures.store(2, Ordering::SeqCst);
    assert_eq!(batches(&dataset, &options(3, 6), 0, 4), expected);
    assert_eq!(remote.failures.load(Ordering::SeqCst), 0);
}

#[test]
fn a_store_that_keeps_failing_ends_the_run_with_its_reason() {
    let folder = folder(&[vec![6]], u64::from);
    let (remote, dataset) = remote(folder.path());
    remote.failures.store(1_000, Ordering::SeqCst);
    let mut loader = Loader::start(&dataset, &options(3, 6), prepare(), 0).unwrap();
    let error = loader.next().unwrap().unwrap_err().to_string();
    assert!(error.starts_with("shard a.parquet: "), "{error}");
    assert!(error.contains("connection reset"), "{error}");
    assert!(loader.next().is_none());
}

/// A data set of two row groups of four triplets, their images of 3 MiB each: beside them the gaps
/// that a store reads across do not matter.
fn large_images(folder: &std::path::Path) {
    let large = |image: &mut Option<ImageBytes>| {
        let bytes = &mut image.as_mut().unwrap().bytes;
        let mut padded = bytes.to_vec();
        padded.resize(3 << 20, 0);
        *bytes = padded.into();
    };
    let row = |number: u32| {
        let mut row = triplet(number, u64::from(number), None);
        large(&mut row.query_image);
        large(&mut row.target_image);
        row
    };
    let groups: Vec<Vec<Triplet>> = [0..4, 4..8].map(|numbers| numbers.map(row).collect()).to_vec();
    shard(&folder.join("a.parquet"), &groups);
}

#[test]
fn a_rank_reads_the_bytes_of_its_own_images_and_hardly_more() {
    let folder = tempfile::tempdir().unwrap();
    large_images(folder.path());
    let (remote, dataset) = remote(folder.path());
    let opened = remote.bytes.swap(0, Ordering::SeqCst);
    assert!(opened < 1 << 20, "{opened} bytes to open");
    for (world, prefetch_mib) in [(1, 0), (1, 1000), (2, 0), (2, 1000), (4, 1000)] {
        let options = LoadOptions { world, rank: world - 1, prefetch_mib, ..options(4, 8) };
        let order = Order::new([4, 4].into(), Kind::Once(8), 4, 2);
        let reader = Reader::new(dataset.clone(), options, order);
        let (send, mut raw) = tokio::sync::mpsc::channel(8);
        dataset.location().runtime().spawn(reader.run(0, send));
        let mut rows = 0;
        while let Some(batch) = raw.blocking_recv() {
            rows += batch.unwrap().rows.len();
        }
        assert_eq!(rows, 8 / world);
        let (own, read) = (rows as u64 * 2 * (3 << 20), remote.bytes.swap(0, Ordering::SeqCst));
        assert!(read >= own && read < own + (1 << 20), "{read} bytes for {own} of {world} ranks");
    }
}

#[test]
fn a_shard_of_the_product_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().to_str().unwrap()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let path = "triplets/part-00000-0123.parquet".to_owned();
        let mut writer = RowWriter::<Triplet>::create(&store, path, Layout::Part).unwrap();
        for number in 0..1100 {
            writer.push(triplet(number, u64::from(number), hard_of(number))).await.unwrap();
        }
        writer.close().await.unwrap().unwrap();
    });
    let dataset = train(folder.path());
    let loader = Loader::in_order(&dataset, &options(500, 500), prepare(), None).unwrap();
    let batches: Vec<_> = loader.map(std::result::Result::unwrap).collect();
    assert_eq!(ids(&batches), (0..1100).map(id).collect::<Vec<_>>());
    assert!(batches.iter().all(|batch| batch.failures.is_empty()));
}

#[test]
fn of_a_run_directory_only_what_manifests_name_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let triplets = folder.path().join("triplets");
    let rows = |numbers: std::ops::Range<u32>| {
        vec![numbers.map(|number| triplet(number, 0, None)).collect::<Vec<_>>()]
    };
    shard(&triplets.join("part-00000-aa.parquet"), &rows(0..3));
    shard(&triplets.join("part-00001-bb.parquet"), &rows(3..5));
    shard(&triplets.join("part-00001-cc.parquet"), &rows(3..5));
    shard(&folder.path().join("rejects/part-00000-dd.parquet"), &rows(9..10));
    let manifest = |part: u32, name: &str, bytes: u64| {
        let file = FileInfo { path: format!("triplets/{name}"), rows: 0, bytes };
        let manifest = Manifest {
            table: "triplets".into(),
            part,
            files: [("rows".to_owned(), file)].into(),
            counts: Default::default(),
            passed_over: Default::default(),
            fingerprint: String::new(),
            software: String::new(),
        };
        let path = triplets.join(format!("part-{part:05}.json"));
        std::fs::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    };
    let size = |name: &str| std::fs::metadata(triplets.join(name)).unwrap().len();
    manifest(0, "part-00000-aa.parquet", size("part-00000-aa.parquet"));
    manifest(1, "part-00001-bb.parquet", size("part-00001-bb.parquet"));
    std::fs::write(triplets.join("stage.json"), "{}").unwrap();
    let by_run = train(folder.path());
    assert_eq!(by_run.rows(), 5);
    assert_eq!(train(&triplets).fingerprint(), by_run.fingerprint());
    let open = || Shards::open(triplets.to_str().unwrap()).unwrap_err().to_string();
    manifest(1, "part-00001-bb.parquet", 7);
    let text = open();
    assert!(text.starts_with("shard part-00001-bb.parquet: has "), "{text}");
    manifest(1, "part-00001-ee.parquet", 7);
    let text = "shard part-00001-ee.parquet: is named by its manifest and is not there";
    assert_eq!(open(), text);
}

#[test]
fn one_file_is_a_data_set_too_and_another_is_another() {
    let folder = folder(&[vec![3], vec![4]], u64::from);
    let (one, other) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
    let (one, other) = (train(&one), train(&other));
    assert_eq!((one.rows(), other.rows()), (3, 4));
    assert_ne!(one.fingerprint(), other.fingerprint());
    let then = options(2, 2).position(&one, 5);
    let error = then.check(&options(2, 2).position(&other, 5)).unwrap_err().to_string();
    assert!(error.starts_with("cannot go on from this checkpoint: its data set was "), "{error}");
}

#[test]
fn shards_may_be_links_as_in_the_cache_of_hugging_face() {
    let blobs = folder(&[vec![3]], u64::from);
    let snapshot = tempfile::tempdir().unwrap();
    let link = snapshot.path().join("train-00000-of-00001.parquet");
    std::os::unix::fs::symlink(blobs.path().join("a.parquet"), link).unwrap();
    let dataset = train(snapshot.path());
    assert_eq!(batches(&dataset, &options(3, 3), 0, 1)[0].rows, 3);
}
