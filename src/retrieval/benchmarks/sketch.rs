//! Sketches to photographs of classes that no model was trained on: TU-Berlin, Sketchy and QuickDraw, each
//! extended by photographs. Lists of unseen classes are those of SAKE (<https://arxiv.org/abs/1904.03208>),
//! which later work shares (<https://github.com/buptLinfy/ZSE-SBIR>): what is right is every photograph of
//! the sketch's class.

use std::path::Path;

use super::files::{LayoutError, by_label, check, labelled};
use super::{ALL, Benchmark, Entry, Measure, Need, Query, Task};
use crate::retrieval::pump::Way;

const WANTED: &str =
    "zero-shot lists and images of SAKE or ZSE-SBIR, from https://github.com/buptLinfy/ZSE-SBIR";

/// What a sketch is asked with: none of the data sets has texts.
const TEXT: &str = "find a natural image of this object";

/// Where a data set's lists lie, and what is measured.
struct Layout {
    title: &'static str,
    sketches: &'static str,
    photos: &'static str,
    measures: &'static [Measure],
}

const TUBERLIN: Layout = Layout {
    title: "TU-Berlin",
    sketches: "zeroshot/png_ready_filelist_zero.txt",
    photos: "zeroshot/ImageResized_ready_filelist_zero.txt",
    measures: &[Measure::Map(ALL), Measure::Precision(100)],
};
/// The split of 25 classes; that of 21 is measured otherwise.
const SKETCHY: Layout = Layout {
    title: "Sketchy",
    sketches: "zeroshot1/sketch_tx_000000000000_ready_filelist_zero.txt",
    photos: "zeroshot1/all_photo_filelist_zero.txt",
    measures: &[Measure::Map(ALL), Measure::Precision(100)],
};
const QUICKDRAW: Layout = Layout {
    title: "QuickDraw",
    sketches: "zeroshot/sketch_zero.txt",
    photos: "zeroshot/all_photo_zero.txt",
    measures: &[Measure::Map(ALL), Measure::Precision(100), Measure::Precision(200)],
};

pub fn tuberlin(folder: &Path, need: Need) -> Result<Benchmark, LayoutError> {
    read(folder, &TUBERLIN, need)
}

pub fn sketchy(folder: &Path, need: Need) -> Result<Benchmark, LayoutError> {
    read(folder, &SKETCHY, need)
}

pub fn quickdraw(folder: &Path, need: Need) -> Result<Benchmark, LayoutError> {
    read(folder, &QUICKDRAW, need)
}

fn read(folder: &Path, layout: &Layout, need: Need) -> Result<Benchmark, LayoutError> {
    let sketches = labelled(folder, layout.sketches, "", WANTED)?;
    let photos = labelled(folder, layout.photos, "", WANTED)?;
    let of_class = by_label(&photos);
    let query = |(Entry { id, picture }, class): (Entry, usize)| Query {
        id,
        picture,
        text: TEXT.to_owned(),
        positives: of_class.get(&class).cloned().unwrap_or_default(),
        ignored: Vec::new(),
        subset: Vec::new(),
    };
    let gallery: Vec<Entry> = photos.into_iter().map(|(photo, _)| photo).collect();
    if need == Need::Images {
        check(&gallery, WANTED)?;
        check(&sketches.iter().map(|(sketch, _)| sketch.clone()).collect::<Vec<_>>(), WANTED)?;
    }
    // A class without a photograph cannot be asked for.
    let queries = sketches.into_iter().map(query).filter(|query| !query.positives.is_empty());
    let queries = queries.collect();
    let title = layout.title;
    let task = Task { name: title.to_owned(), gallery: gallery.into(), way: Way::Fused, queries };
    let measures = layout.measures.to_vec();
    Ok(Benchmark { title, split: "test", tasks: vec![task], measures, submissions: Vec::new() })
}
