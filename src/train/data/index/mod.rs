//! All shards of a location by their footers: what is there, checked before the first step.
//!
//! Kept of a shard are its row groups' sizes, some 40 bytes each: 72,000 row groups for the paper's
//! 36.7M triplets. Footers are read again when a window needs them.

mod discover;

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::data_type::ByteArray;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use sha2::{Digest, Sha256};

use super::DataError;
use super::location::Location;
use super::shard::{Block, Columns, Fetch, footer, texts};
use crate::record::Split;
use discover::{Found, discover};

/// Shards that are opened at the same time.
const OPENED_AT_ONCE: usize = 32;
/// A row with less than this of an image has none: a null takes a few bits.
const LEAST_IMAGE_BYTES: u64 = 16;

/// A row group of a shard, with rows of one split.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Number of the shard in [`Shards`].
    pub shard: u32,
    /// Number of the row group in the shard.
    pub group: u32,
    /// Its rows, at least one.
    pub rows: u32,
    split: Split,
    /// Bytes of query and target images.
    image_bytes: u64,
    /// Bytes of hard negatives.
    hard_bytes: u64,
}

/// Every shard of a location, opened and checked.
#[derive(Clone, Debug)]
pub struct Shards {
    location: Location,
    files: Arc<[Found]>,
    groups: Arc<[Group]>,
    without_hard: Option<Path>,
}

impl Shards {
    /// Opens a folder of shards, a run directory of `mine`, one shard, or a URL of any of these
    /// (`s3://bucket/run`). Reads every footer; an error names the first shard that is corrupt,
    /// lacks a column or mixes splits. Not to be called from async code: it waits.
    pub fn open(location: &str) -> Result<Self, DataError> {
        Self::open_location(Location::open(location)?)
    }

    /// The same in a store that is open already.
    pub fn open_in(objects: Arc<dyn ObjectStore>, prefix: &str) -> Result<Self, DataError> {
        Self::open_location(Location::within(objects, prefix)?)
    }

    fn open_location(location: Location) -> Result<Self, DataError> {
        location.runtime().block_on(open(location.clone()))
    }

    /// The rows of one split; an error where there are none, or none with images.
    pub fn split(&self, split: Split) -> Result<Dataset, DataError> {
        let groups: Vec<Group> =
            self.groups.iter().filter(|group| group.split == split).cloned().collect();
        let empty =
            |wanted: String| DataError::Empty { location: self.location.name.to_string(), wanted };
        if groups.is_empty() {
            let shards = self.files.len();
            return Err(empty(format!("triplets of split {} in {shards} shards", split.as_str())));
        }
        let rows: u64 = groups.iter().map(|group| u64::from(group.rows)).sum();
        let bytes: u64 = groups.iter().map(|group| group.image_bytes).sum();
        if bytes < rows * 2 * LEAST_IMAGE_BYTES {
            let wanted = "images in its shards: they were exported without, run `mine rehydrate`";
            return Err(empty(wanted.into()));
        }
        let fingerprint = fingerprint(split, &self.files, &groups);
        Ok(Dataset { shards: self.clone(), groups: groups.into(), rows, fingerprint, split })
    }
}

/// The triplets of one split.
#[derive(Clone, Debug)]
pub struct Dataset {
    shards: Shards,
    groups: Arc<[Group]>,
    rows: u64,
    fingerprint: String,
    split: Split,
}

impl Dataset {
    /// How many triplets there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Which split they are of.
    pub fn split(&self) -> Split {
        self.split
    }

    /// Hash of the split's shards: names, sizes and row counts. A checkpoint keeps it, so that
    /// training does not go on over other data.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Bytes that the images of a triplet take in the shards, on average.
    pub fn image_bytes_a_row(&self, with_hard: bool) -> u64 {
        let bytes = |group: &Group| group.image_bytes + u64::from(with_hard) * group.hard_bytes;
        self.groups.iter().map(bytes).sum::<u64>().div_ceil(self.rows)
    }

    /// An error where hard negatives are wanted and some shard has no such column.
    pub(super) fn require_hard_negatives(&self) -> Result<(), DataError> {
        match &self.shards.without_hard {
            None => Ok(()),
            Some(shard) => Err(DataError::Column {
                shard: shard.to_string(),
                column: "hard_negatives".into(),
                problem: "is missing".into(),
            }),
        }
    }

    pub(super) fn location(&self) -> &Location {
        &self.shards.location
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The path and size of a shard.
    pub(super) fn file(&self, shard: u32) -> (Path, u64) {
        let file = &self.shards.files[shard as usize];
        (file.path.clone(), file.size)
    }
}

async fn open(location: Location) -> Result<Shards, DataError> {
    let files = discover(&location).await?;
    if files.is_empty() {
        let wanted = "triplet shards (*.parquet) in it".into();
        return Err(DataError::Empty { location: location.name.to_string(), wanted });
    }
    let opened = stream::iter(files.iter().cloned().zip(0..))
        // A task each, so that footers are parsed on all threads of the runtime.
        .map(|(file, shard)| tokio::spawn(groups(location.objects.clone(), file, shard)))
        .buffered(OPENED_AT_ONCE)
        .map(|task| task.unwrap_or_else(|error| Err(DataError::Stopped(error.to_string()))));
    let opened: Vec<(Vec<Group>, bool)> = opened.try_collect().await?;
    let lacks = opened.iter().position(|(_, has_hard)| !has_hard);
    let without_hard = lacks.map(|shard| files[shard].path.clone());
    let groups: Vec<Group> = opened.into_iter().flat_map(|(groups, _)| groups).collect();
    Ok(Shards { location, files: files.into(), groups: groups.into(), without_hard })
}

/// The row groups of one shard, and whether it has a column for hard negatives.
async fn groups(
    objects: Arc<dyn ObjectStore>,
    file: Found,
    shard: u32,
) -> Result<(Vec<Group>, bool), DataError> {
    let mut fetch = Fetch::new(objects.clone(), file.path.clone(), file.size);
    let footer = footer(&mut fetch).await?;
    let columns =
        Columns::find(footer.file_metadata().schema_descr()).map_err(|(column, problem)| {
            DataError::Column { shard: file.path.to_string(), column, problem }
        })?;
    let splits = splits(&objects, &file, &footer, &columns).await?;
    let mut groups = Vec::with_capacity(splits.len());
    for (group, split) in splits {
        let metadata = footer.row_group(group as usize);
        let bytes = |leaf: usize| metadata.column(leaf).compressed_size().unsigned_abs();
        groups.push(Group {
            shard,
            group,
            rows: u32::try_from(metadata.num_rows())
                .map_err(|error| DataError::shard(&file.path, error))?,
            split,
            image_bytes: bytes(columns.query) + bytes(columns.target),
            hard_bytes: columns.hard.map_or(0, bytes),
        });
    }
    Ok((groups, columns.hard.is_some()))
}

/// The row groups with rows, each with its split.
async fn splits(
    objects: &Arc<dyn ObjectStore>,
    file: &Found,
    footer: &ParquetMetaData,
    columns: &Columns,
) -> Result<Vec<(u32, Split)>, DataError> {
    let mut splits = Vec::new();
    for (group, metadata) in (0..).zip(footer.row_groups()) {
        if metadata.num_rows() == 0 {
            continue;
        }
        let names = match noted_splits(metadata, columns.split) {
            Some(names) => names,
            None => read_splits(objects, file, group, metadata.num_rows()).await?,
        };
        let split = match names.as_slice() {
            [name] => Split::ALL.into_iter().find(|split| split.as_str() == name),
            _ => None,
        };
        let problem = || {
            let names = names.join(" and ");
            format!("row group {group} has split {names}, one of train, val and test is expected")
        };
        splits.push((group, split.ok_or_else(|| DataError::shard(&file.path, problem()))?));
    }
    Ok(splits)
}

/// The least and the greatest name in the column's statistics, once where they are the same.
fn noted_splits(group: &RowGroupMetaData, leaf: usize) -> Option<Vec<String>> {
    let Some(Statistics::ByteArray(statistics)) = group.column(leaf).statistics() else {
        return None;
    };
    let is_whole = statistics.min_is_exact()
        && statistics.max_is_exact()
        && statistics.null_count_opt() == Some(0);
    let name = |value: &ByteArray| value.as_utf8().ok().map(str::to_owned);
    let mut names = vec![name(statistics.min_opt()?)?, name(statistics.max_opt()?)?];
    names.dedup();
    is_whole.then_some(names)
}

/// The names in the column itself, for writers that keep no statistics.
async fn read_splits(
    objects: &Arc<dyn ObjectStore>,
    file: &Found,
    group: u32,
    rows: i64,
) -> Result<Vec<String>, DataError> {
    let blocks = Block::open(objects.clone(), file.path.clone(), file.size, &[group]).await?;
    let rows: Vec<u32> = (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect();
    let mut names = std::collections::BTreeSet::new();
    for block in &blocks {
        let batch = block.read(&[block.columns().split], &rows).await?;
        let column = texts(&batch, "split")
            .ok_or_else(|| DataError::shard(&file.path, "column split is not text"))?;
        names.extend(column.iter().map(|name| name.unwrap_or("null").to_owned()));
    }
    Ok(names.into_iter().collect())
}

fn fingerprint(split: Split, files: &[Found], groups: &[Group]) -> String {
    let mut hash = Sha256::new();
    hash.update(split.as_str());
    for group in groups {
        let Found { path, size } = &files[group.shard as usize];
        let name = path.filename().unwrap_or_default();
        hash.update(format!("\n{name} {size} {} {}", group.group, group.rows));
    }
    hex::encode(&hash.finalize()[..16])
}
