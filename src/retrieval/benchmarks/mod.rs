//! Benchmarks of composed image retrieval, read from their official files.
//!
//! A reader gives plain data, a [`Benchmark`]; what is done with it is in
//! [`evaluate`](crate::retrieval::evaluate). Protocols are those of the papers, and of the released MagicLens
//! where that differs: see `docs/evaluate.md`.

mod captions;
mod circo;
mod cirr;
mod dtin;
mod fashioniq;
mod files;
mod genecis;
mod holdout;
mod paper;

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

pub use files::LayoutError;
pub use paper::{Row, rows};

use super::pump::{Picture, Way};

/// A benchmark that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Name {
    /// CIRCO: several targets a query, 123,403 images.
    Circo,
    /// CIRR: photographs of real scenes, with subsets of six.
    Cirr,
    /// FashionIQ: dresses, shirts, tops.
    Fashioniq,
    /// GeneCIS: four tasks with galleries of about fifteen.
    Genecis,
    /// Domain transfer on ImageNet: objects in four other domains.
    Dtin,
    /// COCO, captions to images, by CLIP's towers.
    Coco,
    /// Flickr30k in the same way.
    Flickr30k,
    /// The test split of a run of `mine`.
    Holdout,
}

/// The part of a benchmark that is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Split {
    /// With ground truth at hand.
    #[default]
    Val,
    /// Whose ground truth a server has, but for `holdout`.
    Test,
}

/// Queries with a gallery each, and what is measured.
#[derive(Debug)]
pub struct Benchmark {
    /// What it is called in tables.
    pub title: &'static str,
    /// The split's official name.
    pub split: &'static str,
    /// Its parts, whose mean is the result.
    pub tasks: Vec<Task>,
    /// What is measured, where the truth is known.
    pub measures: Vec<Measure>,
    /// Files to hand in, where it is not.
    pub submissions: Vec<Submission>,
}

/// A part of a benchmark.
#[derive(Debug)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// The images to find, in their official order; parts may share them.
    pub gallery: Arc<Vec<Entry>>,
    /// What vectors are compared.
    pub way: Way,
    /// The queries.
    pub queries: Vec<Query>,
}

/// An image of a gallery.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its official name.
    pub id: String,
    /// Its file.
    pub picture: Picture,
}

/// A query. Images of the gallery go by their number.
#[derive(Clone, Debug)]
pub struct Query {
    /// Its official name.
    pub id: String,
    /// The query image.
    pub picture: Picture,
    /// The instruction.
    pub text: String,
    /// All that is right, the target first; none where it is hidden.
    pub positives: Vec<usize>,
    /// What counts neither for nor against: near-duplicates of the target, the query image in some.
    pub ignored: Vec<usize>,
    /// The few that it is also asked among.
    pub subset: Vec<usize>,
}

/// What is measured, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Mean average precision at k.
    Map(usize),
    /// Queries whose target, the first positive, is among the first k.
    Recall(usize),
    /// The same among the query's subset.
    SubsetRecall(usize),
    /// Queries of which some positive is among the first k.
    Hit(usize),
    /// The share of positives that are among the first k.
    Positives(usize),
}

impl Measure {
    /// As papers write it.
    pub fn name(self) -> String {
        match self {
            Self::Map(k) => format!("mAP@{k}"),
            Self::Recall(k) => format!("R@{k}"),
            Self::SubsetRecall(k) => format!("Rs@{k}"),
            Self::Hit(k) => format!("hit@{k}"),
            Self::Positives(k) => format!("positives@{k}"),
        }
    }
}

/// A file that an evaluation server takes.
#[derive(Clone, Copy, Debug)]
pub struct Submission {
    /// Its name.
    pub file: &'static str,
    /// Fields beside the queries.
    pub head: &'static [(&'static str, &'static str)],
    /// Whether the ranking is of the subset.
    pub of_subset: bool,
    /// Images a query.
    pub length: usize,
    /// How an image is written.
    pub spell: fn(&str) -> Value,
}

/// Reads a benchmark from a folder. Without its images, names and truth are all that is looked at.
pub fn read(
    name: Name,
    folder: &Path,
    split: Split,
    with_images: bool,
) -> Result<Benchmark, LayoutError> {
    match name {
        Name::Circo => circo::read(folder, split, with_images),
        Name::Cirr => cirr::read(folder, split, with_images),
        Name::Fashioniq => fashioniq::read(folder, split, with_images),
        Name::Genecis => genecis::read(folder, split, with_images),
        Name::Dtin => dtin::read(folder, with_images),
        Name::Coco => captions::coco(folder, with_images),
        Name::Flickr30k => captions::flickr30k(folder, with_images),
        Name::Holdout => holdout::read(folder),
    }
}
