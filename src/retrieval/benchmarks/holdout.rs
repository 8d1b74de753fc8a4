//! What `mine` held out: the test triplets of a run, with all of its test pool as the gallery (the paper's
//! setting of 1.4M images). Domains of the test are not in train, and neither are its clusters.
//!
//! The pool has one image of each near-duplicate cluster: that of the target's is right, that of the query
//! image's is left out.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::files::{LayoutError, content};
use super::{Benchmark, Entry, Measure, Query, Task};
use crate::retrieval::index::source::parquet::files;
use crate::retrieval::index::{Item, Pictures, Place};
use crate::retrieval::pump::{Picture, Way};

const WANTED: &str = "a run of mine with a test split (mine --set export.test_share=0.01)";
const POOL: [&str; 2] = ["image_id", "cluster_id"];
const TRIPLETS: [&str; 6] = [
    "triplet_id",
    "instruction",
    "split",
    "query_cluster_id",
    "target_cluster_id",
    "target_image_id",
];

pub fn read(folder: &Path) -> Result<Benchmark, LayoutError> {
    let missing = || LayoutError::Missing { path: folder.to_owned(), wanted: WANTED.to_owned() };
    let files = files(folder).map_err(|error| content(folder, error))?;
    let mut found = Found { pictures: Arc::new(Pictures::new(folder, folder)), ..Found::default() };
    let (pool, triplets): (Vec<_>, Vec<_>) = files
        .iter()
        .partition(|file| file.components().any(|part| part.as_os_str() == "test_pool"));
    for file in pool {
        read_file(file, folder, &POOL, |batch, first| found.pool(&batch, file, folder, first))?;
    }
    for file in triplets {
        read_file(file, folder, &TRIPLETS, |batch, first| {
            found.triplets(&batch, file, folder, first)
        })?;
    }
    if found.queries.is_empty() {
        return Err(missing());
    }
    let task = Task {
        name: "holdout".into(),
        gallery: found.gallery.into(),
        way: Way::Fused,
        queries: found.queries,
    };
    let measures = [1, 5, 10, 50].map(Measure::Recall).to_vec();
    Ok(Benchmark {
        title: "Hold-out",
        split: "test",
        tasks: vec![task],
        measures,
        submissions: Vec::new(),
    })
}

#[derive(Default)]
struct Found {
    pictures: Arc<Pictures>,
    gallery: Vec<Entry>,
    by_cluster: HashMap<String, usize>,
    queries: Vec<Query>,
}

impl Found {
    fn pool(&mut self, batch: &[StringArray], file: &Path, root: &Path, first: u64) {
        let [ids, clusters] = batch else { return };
        for row in 0..ids.len() {
            let picture = self.picture(file, root, "image", first + row as u64);
            self.add(ids.value(row), clusters.value(row), picture);
        }
    }

    fn triplets(&mut self, batch: &[StringArray], file: &Path, root: &Path, first: u64) {
        let [ids, texts, splits, query_clusters, clusters, targets] = batch else { return };
        for row in (0..ids.len()).filter(|&row| splits.value(row) == "test") {
            let at = first + row as u64;
            let target = self.picture(file, root, "target_image", at);
            let target = self.add(targets.value(row), clusters.value(row), target);
            let own = self.by_cluster.get(query_clusters.value(row)).copied();
            self.queries.push(Query {
                id: ids.value(row).to_owned(),
                picture: self.picture(file, root, "query_image", at),
                text: texts.value(row).to_owned(),
                positives: [target].into(),
                ignored: own.into_iter().filter(|&own| own != target).collect(),
                subset: Vec::new(),
            });
        }
    }

    /// Gives the number of the cluster's image.
    fn add(&mut self, id: &str, cluster: &str, picture: Picture) -> usize {
        let next = self.gallery.len();
        let number = *self.by_cluster.entry(cluster.to_owned()).or_insert(next);
        if number == next {
            self.gallery.push(Entry { id: id.to_owned(), picture });
        }
        number
    }

    fn picture(&self, file: &Path, root: &Path, column: &str, row: u64) -> Picture {
        let file = file.strip_prefix(root).unwrap_or(file).to_owned();
        let place = Place::Parquet { file, column: column.to_owned(), row };
        let item = Item { id: String::new(), place, url: None, caption: None };
        Picture::Item(Arc::clone(&self.pictures), item)
    }
}

/// Gives text columns of a file, batch by batch with the number of its first row.
fn read_file(
    path: &Path,
    root: &Path,
    names: &[&str],
    mut take: impl FnMut(Vec<StringArray>, u64),
) -> Result<(), LayoutError> {
    let shown = path.strip_prefix(root).unwrap_or(path);
    let bad = |error: &dyn std::fmt::Display| content(shown, error);
    let file =
        File::open(path).map_err(|error| LayoutError::File { path: path.to_owned(), error })?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| bad(&error))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
    let batches = builder.with_projection(mask).build().map_err(|error| bad(&error))?;
    let mut first = 0;
    for batch in batches {
        let batch = batch.map_err(|error| bad(&error))?;
        let columns = names.iter().map(|name| text(&batch, name));
        let columns = columns.collect::<Option<Vec<_>>>();
        take(
            columns
                .ok_or_else(|| content(shown, format!("has not all of {}", names.join(", "))))?,
            first,
        );
        first += batch.num_rows() as u64;
    }
    Ok(())
}

fn text(batch: &RecordBatch, name: &str) -> Option<StringArray> {
    let texts = cast(batch.column_by_name(name)?, &DataType::Utf8).ok()?;
    Some(texts.as_string::<i32>().clone())
}
