//! Candidates for near-duplicates by way of executors: a plan for each table, in buckets of its key.
//!
//! Executors read the hashes themselves, from `images`, and search whole buckets. What each bucket was
//! made of is held against the hashes here, and each pair against its two hashes; that pairs are missing
//! from a bucket that was made of the right hashes is all that would not be seen.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, FieldRef, UInt64Type};
use datafusion::common::{DataFusionError, ScalarValue, exec_datafusion_err};
use datafusion::functions_aggregate::expr_fn::array_agg;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarUDF, Volatility, create_udf};
use datafusion::prelude::{DataFrame, col, lit};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::cluster::ImageRow;
use crate::similarity::near::{
    Bucket, Crowded, Cut, Limits, MAX_RADIUS, NearError, Neighbours, Pairs, Room, within,
};
use crate::store::{Function, Manifest, Plan, Row, RowCount, Session, StoreError};
use crate::table::columns::required;

/// Hashes that a bucket has, about.
const BUCKET_HASHES: usize = 8192;

/// How the search can fail.
#[derive(Debug, Error)]
pub enum SpreadError {
    /// In this process.
    #[error(transparent)]
    Near(#[from] NearError),
    /// On the executors.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The hashes of images as plans have them.
pub struct Spread {
    session: Session,
    /// Hashes of the images, in column `phash`.
    images: DataFrame,
}

impl Spread {
    /// Over the images that a condition lets through.
    pub async fn new(
        session: Session,
        images: &[Manifest],
        condition: Expr,
    ) -> Result<Self, StoreError> {
        let images = session.table::<ImageRow>("images", images, "rows").await?;
        let images = images.filter(condition)?.select_columns(&["phash"])?;
        Ok(Self { session, images })
    }

    /// What [`neighbours`](crate::similarity::near::neighbours) finds among the hashes of these images.
    pub async fn neighbours(
        &self,
        hashes: &[u64],
        radius: u32,
        limits: Limits,
        room: Room,
    ) -> Result<Neighbours, SpreadError> {
        let bits = (hashes.len() / BUCKET_HASHES).next_power_of_two().ilog2().clamp(4, 24);
        let fixed = hashes.len() as u64 / 8 + (1 << bits) * size_of::<Contents>() as u64;
        within(room.search, fixed + Room::LEAST)?;
        let (mut pairs, crowded) = (Pairs::new(room.search - fixed), Crowded::none(hashes.len()));
        for (table, cut) in Cut::all(radius, bits).enumerate() {
            let contents = contents(&cut, hashes);
            let buckets = contents.iter().filter(|contents| contents.hashes > 0).count();
            let plan = Plan {
                rows: self.found(table, [radius, bits], limits, crowded.count() > 0)?,
                key: &["bucket"],
                count: RowCount::Is(buckets as u64),
            };
            let check = |found: &Found| found.check(&cut, &contents, hashes);
            let mut found = self.session.checked(&plan, &check).await?;
            while let Some(batch) = found.next().await? {
                for found in batch {
                    found.put(hashes, &mut pairs, &crowded)?;
                }
            }
        }
        Ok(Neighbours::from_pairs(pairs, hashes.len(), crowded.count(), room.result)?)
    }

    /// Rows of [`Found`], one a bucket.
    fn found(
        &self,
        table: usize,
        [radius, bits]: [u32; 2],
        Limits { run, window }: Limits,
        every: bool,
    ) -> Result<DataFrame, StoreError> {
        let call = |function: &ScalarUDF, first: Expr, numbers: &[i64]| {
            let cut = [i64::from(radius), i64::from(bits), table as i64];
            let numbers = cut.iter().chain(numbers).map(|&number| lit(number));
            function.call([first].into_iter().chain(numbers).collect())
        };
        let [bucket, pairs] = [near_bucket_function(), near_pairs_function()];
        let limits = [run as i64, window as i64, i64::from(every)];
        let hashes = vec![col("phash"), call(&bucket, col("phash"), &[]).alias("bucket")];
        let buckets = self
            .images
            .clone()
            .select(hashes)?
            .aggregate(vec![col("bucket")], vec![array_agg(col("phash")).alias("hashes")])?;
        let found = call(&pairs, col("hashes"), &limits).alias("found");
        Ok(buckets.select(vec![col("bucket"), found])?)
    }
}

/// What is known of a bucket without the executors.
#[derive(Clone, Copy, Default)]
struct Contents {
    hashes: u64,
    sum: u64,
}

fn contents(cut: &Cut, hashes: &[u64]) -> Vec<Contents> {
    let mut buckets = vec![Contents::default(); cut.buckets()];
    for &hash in hashes {
        let bucket = &mut buckets[cut.bucket(hash) as usize];
        bucket.hashes += 1;
        bucket.sum = bucket.sum.wrapping_add(hash);
    }
    buckets
}

/// A row of such a plan.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    bucket: u32,
    /// [`Bucket::to_words`].
    found: Vec<u64>,
}

impl Found {
    fn check(&self, cut: &Cut, contents: &[Contents], hashes: &[u64]) -> Result<(), String> {
        let fault = |problem| Err(format!("bucket {} {problem}", self.bucket));
        let Some(expected) = contents.get(self.bucket as usize) else {
            return fault("is none");
        };
        let Some(found) = Bucket::of_words(&self.found) else {
            return fault("is not whole");
        };
        let is_known = |hash: u64| hashes.binary_search(&hash).is_ok();
        let expected = (expected.hashes, expected.sum);
        cut.fault(self.bucket, &found, expected, is_known).map_or(Ok(()), fault)
    }

    /// Adds what was found, which has passed the check.
    fn put(&self, hashes: &[u64], pairs: &mut Pairs, crowded: &Crowded) -> Result<(), NearError> {
        let found = Bucket::of_words(&self.found).expect("checked");
        let index = |hash| hashes.binary_search(&hash).expect("checked");
        found.crowded.iter().for_each(|&hash| crowded.mark(index(hash)));
        for [a, b] in found.pairs {
            pairs.push(index(a), index(b))?;
        }
        Ok(())
    }
}

impl Row for Found {
    fn fields() -> Vec<FieldRef> {
        let words = DataType::new_list(DataType::UInt64, true);
        vec![required("bucket", DataType::UInt32), required("found", words)]
    }

    fn weight(&self) -> usize {
        8 + self.found.len() * 8
    }
}

/// Returns the functions that these plans call, for executors.
pub fn functions() -> Vec<Function> {
    vec![Arc::new(near_bucket_function()), Arc::new(near_pairs_function())]
}

/// Bucket of a hash, by the hash and the three numbers of [`cut`].
fn near_bucket_function() -> ScalarUDF {
    let arguments = [vec![DataType::UInt64], vec![DataType::Int64; 3]].concat();
    let returned = DataType::UInt32;
    create_udf("near_bucket", arguments, returned, Volatility::Immutable, Arc::new(near_bucket))
}

/// Pairs within a bucket, by its hashes, the numbers of [`cut`], the limits, and 1 if all hashes are searched.
fn near_pairs_function() -> ScalarUDF {
    let hashes = DataType::new_list(DataType::UInt64, true);
    let arguments = [vec![hashes.clone()], vec![DataType::Int64; 6]].concat();
    create_udf("near_pairs", arguments, hashes, Volatility::Immutable, Arc::new(near_pairs))
}

fn near_bucket(arguments: &[ColumnarValue]) -> Result<ColumnarValue, DataFusionError> {
    let cut = cut(arguments)?;
    let hashes = column(arguments)?;
    let hashes = hashes.as_primitive::<UInt64Type>();
    let buckets =
        UInt32Array::from_iter_values(hashes.values().iter().map(|&hash| cut.bucket(hash)));
    Ok(ColumnarValue::Array(Arc::new(buckets)))
}

fn near_pairs(arguments: &[ColumnarValue]) -> Result<ColumnarValue, DataFusionError> {
    let cut = cut(arguments)?;
    let [run, window, every] = [4, 5, 6].map(|at| number(arguments, at));
    let limits = Limits { run: run? as usize, window: window? as usize };
    let every = every? > 0;
    let lists = column(arguments)?;
    let found = lists.as_list::<i32>().iter().map(|list| {
        let list = list.unwrap_or_else(|| Arc::new(UInt64Array::from(Vec::<u64>::new())));
        let hashes = list.as_primitive::<UInt64Type>().values().to_vec();
        Some(cut.search(hashes, limits, every).to_words().into_iter().map(Some))
    });
    let found = ListArray::from_iter_primitive::<UInt64Type, _, _>(found);
    Ok(ColumnarValue::Array(Arc::new(found)))
}

/// The first argument of a function.
fn column(arguments: &[ColumnarValue]) -> Result<ArrayRef, DataFusionError> {
    let first = arguments.first().ok_or_else(|| exec_datafusion_err!("no argument"))?;
    first.to_array(1)
}

/// The table that a function's second to fourth argument say.
fn cut(arguments: &[ColumnarValue]) -> Result<Cut, DataFusionError> {
    let [radius, bits, table] = [1, 2, 3].map(|at| number(arguments, at));
    let (radius, bits) = (radius? as u32, bits? as u32);
    let cut = Cut::all(radius.min(MAX_RADIUS), bits.min(32)).nth(table? as usize);
    cut.ok_or_else(|| exec_datafusion_err!("there is no such table"))
}

fn number(arguments: &[ColumnarValue], at: usize) -> Result<i64, DataFusionError> {
    match arguments.get(at) {
        Some(ColumnarValue::Scalar(ScalarValue::Int64(Some(number)))) => Ok(*number),
        other => Err(exec_datafusion_err!("argument {at} is {other:?} and no number")),
    }
}

#[cfg(feature = "cluster")]
#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use magiclens_testing::hashes::{Random, planted};
    use tokio::net::TcpListener;
    use tokio::runtime::{Builder, Runtime};

    use super::super::cluster::{ImageRow, is_of_use, takes_part};
    use super::super::leaders::Distinct;
    use super::*;
    use crate::config::{self, Config};
    use crate::similarity::near::neighbours;
    use crate::stages::context::open_table;
    use crate::store::{Engine, Executor, Fingerprint, PlainPart, RunDir, Table};
    use crate::table::IMAGES;

    const RADIUS: u32 = 3;
    const ROOM: Room = Room { search: 1 << 30, result: 1 << 30 };

    /// Plans are read by functions that call themselves as deep as plans are nested.
    fn runtime() -> Runtime {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).thread_stack_size(16 << 20).enable_all().build().unwrap()
    }

    /// Images of which some are no use, with hashes all over and, from a third on, in few blocks.
    fn images() -> Vec<ImageRow> {
        let (mut random, ad) = (Random(5), (300, 250));
        let hashes = planted(6000, 900, 60, 2, 9).into_iter().enumerate();
        let hash =
            |(i, hash): (usize, u64)| if i % 3 == 0 { hash & 0xFFFF_0000_003F } else { hash };
        let image = |hash| {
            let sizes =
                [(640, 480), (480, 640), ad, (640, 120), (640, 160), (641, 160), (160, 641)];
            let (width, height) = sizes[random.below(sizes.len())];
            let url = ["", "http://a.example/"][usize::from(random.below(9) > 0)].to_owned();
            let entropy = [0.5, 1.0, 4.0, 5.5, f32::NAN][random.below(5)];
            ImageRow { url, width, height, entropy, phash: hash, ..ImageRow::default() }
        };
        hashes.map(hash).map(image).collect()
    }

    /// A run with two parts of `images`, and the hashes of those of use.
    async fn prepared(run: &RunDir, config: &Config) -> (Vec<Manifest>, Distinct) {
        let nothing = Fingerprint::new();
        let table: Table<ImageRow> = open_table(run, IMAGES, "fetch", &nothing).await.unwrap();
        let (images, mut manifests) = (images(), Vec::new());
        let is_used = |image: &&ImageRow| takes_part(image, &config.group);
        let hashes: Vec<u64> = images.iter().filter(is_used).map(|image| image.phash).collect();
        assert!(hashes.len() > 1000 && hashes.len() < images.len() / 2, "{}", hashes.len());
        for (number, images) in (0..).zip(images.chunks(3500)) {
            let mut part: PlainPart<ImageRow> = table.part(number).unwrap();
            for image in images {
                let (phash256, colour_layout) = (vec![0; 32], vec![0; 192]);
                part.push(ImageRow { phash256, colour_layout, ..image.clone() }).await.unwrap();
            }
            manifests.push(part.commit(images.len() as u64).await.unwrap());
        }
        (manifests, Distinct::new(hashes))
    }

    async fn executor(run: &RunDir, config: &Config) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let executor = Executor::open(run.store(), config, functions()).unwrap();
        tokio::spawn(executor.serve(listener));
        address
    }

    async fn spread(
        condition: Option<Expr>,
        limits: Limits,
    ) -> (Result<Neighbours, SpreadError>, Neighbours) {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path().to_str().unwrap()).unwrap();
        let mut config = Config::default();
        let (manifests, distinct) = prepared(&run, &config).await;
        let mut urls = Vec::new();
        for _ in 0..2 {
            let address = executor(&run, &config).await;
            urls.push(format!("http://{address}").parse().unwrap());
        }
        config.store.engine = config::Engine::Executors(urls);
        config.store.engine_tries = 1;
        let engine = Engine::open(&config).unwrap();
        let memory = config.store.plan_memory_bytes;
        let session = Session::new(run.store(), memory).unwrap().on(engine);
        let condition = condition.unwrap_or_else(|| is_of_use(&config.group));
        let spread = Spread::new(session, &manifests, condition).await.unwrap();
        let found = spread.neighbours(distinct.hashes(), RADIUS, limits, ROOM).await;
        (found, neighbours(distinct.hashes(), RADIUS, limits, ROOM).unwrap())
    }

    #[test]
    fn executors_find_what_one_process_finds() {
        for limits in [Limits::default(), Limits { run: 30, window: 3 }] {
            let (found, expected) = runtime().block_on(spread(None, limits));
            assert_eq!(expected.capped > 0, limits.run == 30);
            assert!((0..1000).map(|i| expected.of(i).len()).sum::<usize>() > 100);
            assert!(found.unwrap() == expected);
        }
    }

    #[test]
    fn buckets_of_other_hashes_are_refused() {
        let all = spread(Some(col("url").not_eq(lit(""))), Limits::default());
        let error = runtime().block_on(all).0.unwrap_err().to_string();
        assert!(error.contains("was made of other hashes, after 1 tries"), "{error}");
    }

    #[test]
    fn what_is_no_bucket_is_refused() {
        let hashes = [5, 1 << 40];
        let cut = Cut::all(RADIUS, 4).next().unwrap();
        let contents = contents(&cut, &hashes);
        let bucket = cut.bucket(5);
        let right = cut.search(vec![5], Limits::default(), false).to_words();
        let check = |bucket, found: &[u64]| {
            Found { bucket, found: found.to_vec() }.check(&cut, &contents, &hashes)
        };
        assert_eq!(check(bucket, &right), Ok(()));
        assert_eq!(check(16, &right), Err("bucket 16 is none".into()));
        assert_eq!(check(bucket, &right[1..]), Err(format!("bucket {bucket} is not whole")));
        let other = check(bucket ^ 1, &right).unwrap_err();
        assert!(other.ends_with("was made of other hashes"), "{other}");
    }
}
