//! `mine export --format webdataset`: the shards of a run as tar files that WebDataset reads.
//!
//! A sample is the files of one triplet, side by side under its id: `….query.jpg`, `….target.jpg`,
//! `….negative0.jpg` and so on where there are hard negatives, the instruction as `….txt`, and all that is known
//! of it as `….json`. Each Parquet shard is one tar file, so that shuffling within shards is what it was.
//!
//! Every image is called `.jpg`, whatever it is: readers want samples with equal keys, and decoders look at the
//! bytes. `query_path` and `target_path` in the JSON have the names that fit.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::RunError;
use super::status::existing;
use crate::record::{ImageBytes, Split};
use crate::stages::context::StageError;
use crate::store::{Store, StoreError, TarWriter, read_rows};
use crate::table::{TRIPLETS, Triplet};

/// Rows in memory at a time.
const ROWS: usize = 64;

/// Index of the tar files and their shards; an indexed tar file is not written again.
const INDEX: &str = "shards.json";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Shard {
    path: String,
    split: Split,
    samples: u64,
    bytes: u64,
    /// The Parquet file: its name changes with its content.
    source: String,
}

/// Writes the committed triplets of a run to `to`, else to `webdataset/` in it.
pub async fn webdataset(
    run: &str,
    to: Option<&str>,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let dir = existing(run).await?;
    let default = format!("{}/webdataset", dir.store().location());
    let to = Store::open(to.unwrap_or(&default))?;
    let mut before = index(&to).await?;
    let (mut shards, mut numbers) = (Vec::new(), BTreeMap::<Split, usize>::new());
    for manifest in dir.manifests(TRIPLETS).await? {
        let Some(file) = manifest.files.get("rows") else { continue };
        if stop.is_cancelled() {
            return Err(StageError::Interrupted.into());
        }
        let known = before.iter().find(|shard| shard.source == file.path);
        let split = match known {
            Some(shard) => shard.split,
            None => split_of(dir.store(), &file.path).await?,
        };
        let number = numbers.entry(split).or_default();
        let path = format!("{}-{number:06}.tar", split.as_str());
        *number += 1;
        let shard = match known.filter(|shard| shard.path == path) {
            Some(shard) => shard.clone(),
            None => {
                // What the index says of a file must hold while the file is put over.
                before.retain(|shard| shard.path != path);
                put_index(&to, &before).await?;
                let (samples, bytes) = write(dir.store(), &file.path, &to, &path, stop).await?;
                let shard = Shard { path, split, samples, bytes, source: file.path.clone() };
                before.push(shard.clone());
                put_index(&to, &before).await?;
                shard
            }
        };
        shards.push(shard);
    }
    finish(&to, &before, &shards).await?;
    let samples: u64 = shards.iter().map(|shard| shard.samples).sum();
    tracing::info!(samples, shards = shards.len(), folder = to.location(), "webdataset");
    Ok(())
}

/// Removes tar files of shards that are no more.
async fn finish(to: &Store, before: &[Shard], shards: &[Shard]) -> Result<(), StoreError> {
    put_index(to, shards).await?;
    let paths: BTreeSet<_> = shards.iter().map(|shard| &shard.path).collect();
    for gone in before.iter().filter(|shard| !paths.contains(&shard.path)) {
        to.delete(&gone.path).await?;
    }
    Ok(())
}

async fn index(to: &Store) -> Result<Vec<Shard>, StoreError> {
    let Some(text) = to.read(INDEX).await? else { return Ok(Vec::new()) };
    serde_json::from_slice(&text).map_err(|error| StoreError::corrupt(INDEX, error))
}

async fn put_index(to: &Store, shards: &[Shard]) -> Result<(), StoreError> {
    let text = serde_json::to_vec_pretty(shards).expect("plain data");
    to.replace(INDEX, text).await
}

/// A shard is of one split.
async fn split_of(run: &Store, path: &str) -> Result<Split, StoreError> {
    let first = read_rows::<Triplet>(run, path, 1).await?.next().await?;
    let first = first.and_then(|rows| rows.into_iter().next());
    first.map(|row| row.split).ok_or_else(|| StoreError::corrupt(path, "no rows"))
}

/// Gives samples and bytes.
async fn write(
    run: &Store,
    shard: &str,
    to: &Store,
    path: &str,
    stop: &CancellationToken,
) -> Result<(u64, u64), RunError> {
    let mut tar = TarWriter::create(to, path);
    match samples(run, shard, &mut tar, stop).await {
        Ok(samples) => Ok((samples, tar.close().await?)),
        Err(error) => {
            tar.discard().await;
            Err(error)
        }
    }
}

async fn samples(
    run: &Store,
    shard: &str,
    tar: &mut TarWriter,
    stop: &CancellationToken,
) -> Result<u64, RunError> {
    let mut rows = read_rows::<Triplet>(run, shard, ROWS).await?;
    let mut samples = 0;
    while let Some(batch) = rows.next().await? {
        if stop.is_cancelled() {
            return Err(StageError::Interrupted.into());
        }
        for triplet in batch {
            for (name, content) in members(triplet)? {
                tar.append(&name, &content).await?;
            }
            samples += 1;
        }
    }
    Ok(samples)
}

/// The files of a sample.
fn members(mut triplet: Triplet) -> Result<Vec<(String, Bytes)>, RunError> {
    let key = triplet.triplet_id.clone();
    let (query, target) = (triplet.query_image.take(), triplet.target_image.take());
    let (Some(query), Some(target)) = (query, target) else { return Err(RunError::NoImages) };
    let negatives = triplet.hard_negatives.take().unwrap_or_default();
    let known = known(&triplet, &query, &target);
    let mut files = Vec::with_capacity(4 + negatives.len());
    let mut add = |role: &str, bytes: Bytes| files.push((format!("{key}.{role}"), bytes));
    add("query.jpg", query.bytes);
    add("target.jpg", target.bytes);
    for (at, negative) in negatives.into_iter().enumerate() {
        add(&format!("negative{at}.jpg"), negative.bytes);
    }
    add("txt", triplet.instruction.into());
    add("json", serde_json::to_vec(&known).expect("plain data").into());
    Ok(files)
}

/// The row without its images, but with their names.
fn known(triplet: &Triplet, query: &ImageBytes, target: &ImageBytes) -> Value {
    let mut known = serde_json::to_value(triplet).expect("plain data");
    let fields = known.as_object_mut().expect("a row is an object");
    for image in ["query_image", "target_image", "hard_negatives"] {
        fields.remove(image);
    }
    fields.insert("query_path".into(), json!(query.path));
    fields.insert("target_path".into(), json!(target.path));
    // Numbers of 64 bits are beyond what readers of JSON take.
    for (name, hash) in
        [("query_phash", triplet.query_phash), ("target_phash", triplet.target_phash)]
    {
        fields.insert(name.into(), json!(format!("{hash:016x}")));
    }
    let fetched = DateTime::<Utc>::from_timestamp_micros(triplet.fetched_at);
    fields.insert("fetched_at".into(), json!(fetched.map(|time| time.to_rfc3339())));
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_called_alike_and_keep_their_names_beside() {
        let image = |bytes: &'static [u8]| {
            Some(ImageBytes { bytes: Bytes::from_static(bytes), path: "0a.png".into() })
        };
        let triplet = Triplet {
            triplet_id: "4f".into(),
            instruction: "in the snow".into(),
            query_image: image(b"query"),
            target_image: image(b"target"),
            hard_negatives: Some(vec![image(b"one").unwrap(), image(b"two").unwrap()]),
            ..Triplet::default()
        };
        let files = members(triplet.clone()).unwrap();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let wanted = ["query.jpg", "target.jpg", "negative0.jpg", "negative1.jpg", "txt", "json"];
        assert_eq!(names, wanted.map(|role| format!("4f.{role}")));
        assert_eq!(&files[3].1[..], b"two");
        let known: Value = serde_json::from_slice(&files[5].1).unwrap();
        assert_eq!(
            (&known["query_path"], &known["fetched_at"]),
            (&json!("0a.png"), &json!("1970-01-01T00:00:00+00:00"),)
        );
        assert!(known.get("query_image").is_none() && known.get("hard_negatives").is_none());
        let bare = Triplet { target_image: None, ..triplet };
        assert!(matches!(members(bare), Err(RunError::NoImages)));
    }
}
