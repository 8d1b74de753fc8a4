//! Text to image by CLIP's two towers: COCO's 5,000 and Flickr30k's 1,000 test images of Karpathy's splits,
//! <https://cs.stanford.edu/people/karpathy/deepimagesent/>. Each of an image's first five captions is a query.

use std::path::Path;

use serde::Deserialize;

use super::files::{Gallery, LayoutError, check, find, json};
use super::{Benchmark, Measure, Need, Query, Task};
use crate::retrieval::pump::{Picture, Way};

const SPLITS: &str = "Karpathy's splits, caption_datasets.zip of https://cs.stanford.edu/people/karpathy/deepimagesent/";
const COCO: &str = "COCO 2014 validation images, from https://cocodataset.org/#download";
const FLICKR: &str = "images of Flickr30k, from https://shannon.cs.illinois.edu/DenotationGraph/";

/// Captions of an image that count.
const CAPTIONS: usize = 5;

#[derive(Deserialize)]
struct Dataset {
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    #[serde(default)]
    filepath: String,
    filename: String,
    split: String,
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    raw: String,
}

pub fn coco(folder: &Path, need: Need) -> Result<Benchmark, LayoutError> {
    let splits = find(folder, &["dataset_coco.json"], SPLITS)?;
    read("COCO", &splits, need, COCO, |image| folder.join(&image.filepath).join(&image.filename))
}

pub fn flickr30k(folder: &Path, need: Need) -> Result<Benchmark, LayoutError> {
    let splits = find(folder, &["dataset_flickr30k.json"], SPLITS)?;
    let images = folder.join("flickr30k-images");
    read("Flickr30k", &splits, need, FLICKR, |image| images.join(&image.filename))
}

fn read(
    title: &'static str,
    splits: &Path,
    need: Need,
    wanted: &str,
    path: impl Fn(&Image) -> std::path::PathBuf,
) -> Result<Benchmark, LayoutError> {
    let (mut gallery, mut queries) = (Gallery::default(), Vec::new());
    let images = json::<Dataset>(splits)?.images.into_iter();
    for image in images.filter(|image| image.split == "test") {
        let number = gallery.add(&image.filename, || Picture::File(path(&image)));
        for (at, sentence) in image.sentences.into_iter().take(CAPTIONS).enumerate() {
            queries.push(Query {
                id: format!("{}#{at}", image.filename),
                picture: Picture::None,
                text: sentence.raw,
                positives: [number].into(),
                ignored: Vec::new(),
                subset: Vec::new(),
            });
        }
    }
    if need == Need::Images {
        check(&gallery.entries, wanted)?;
    }
    let task =
        Task { name: title.into(), gallery: gallery.entries.into(), way: Way::Towers, queries };
    let measures = [1, 5, 10].map(Measure::Recall).to_vec();
    Ok(Benchmark { title, split: "test", tasks: vec![task], measures, submissions: Vec::new() })
}
