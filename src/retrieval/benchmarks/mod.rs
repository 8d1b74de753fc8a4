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
mod sketch;

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
    /// TU-Berlin Extended: sketches to photographs of 30 classes.
    Tuberlin,
    /// Sketchy Extended: the same of 25 classes.
    Sketchy,
    /// QuickDraw Extended: the same of 30 classes, drawn in seconds.
    Quickdraw,
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

/// What of a benchmark is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Queries and truth: of the gallery only what they name, where more is not at hand.
    Truth,
    /// The names of the whole gallery too.
    Gallery,
    /// Every image's file.
    Images,
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
    pub positives: Arc<[usize]>,
    /// What counts neither for nor against: near-duplicates of the target, the query image in some.
    pub ignored: Vec<usize>,
    /// The few that it is also asked among.
    pub subset: Vec<usize>,
}

/// A ranking to its end.
pub const ALL: usize = usize::MAX;

/// Images that are kept of a ranking, at least.
const KEPT: usize = 50;

/// What is measured, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Mean average precision at k; of the whole ranking where k is [`ALL`].
    Map(usize),
    /// The share of the first k that are positives.
    Precision(usize),
    /// Queries whose target, the first positive, is among the first k.
    Recall(usize),
    /// The same among the query's subset.
    SubsetRecall(usize),
    /// Queries of which some positive is among the first k.
    Hit(usize),
    /// The share of positives that are among the first k.
    Positives(usize),
}

impl Benchmark {
    /// How many images of a ranking are kept, so that what is measured can be measured again.
    pub fn depth(&self) -> usize {
        let ks = self.measures.iter().map(|measure| match measure {
            Measure::Precision(k) => *k,
            _ => KEPT,
        });
        ks.max().unwrap_or(KEPT).max(KEPT)
    }
}

impl Measure {
    /// As papers write it.
    pub fn name(self) -> String {
        match self {
            Self::Map(ALL) => "mAP".to_owned(),
            Self::Map(k) => format!("mAP@{k}"),
            Self::Precision(k) => format!("P@{k}"),
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

/// Reads a benchmark from a folder, as much of it as is needed.
pub fn read(name: Name, folder: &Path, split: Split, need: Need) -> Result<Benchmark, LayoutError> {
    match name {
        Name::Circo => circo::read(folder, split, need),
        Name::Cirr => cirr::read(folder, split, need),
        Name::Fashioniq => fashioniq::read(folder, split, need),
        Name::Genecis => genecis::read(folder, split, need),
        Name::Dtin => dtin::read(folder, need),
        Name::Coco => captions::coco(folder, need),
        Name::Flickr30k => captions::flickr30k(folder, need),
        Name::Tuberlin => sketch::tuberlin(folder, need),
        Name::Sketchy => sketch::sketchy(folder, need),
        Name::Quickdraw => sketch::quickdraw(folder, need),
        Name::Holdout => holdout::read(folder),
    }
}
