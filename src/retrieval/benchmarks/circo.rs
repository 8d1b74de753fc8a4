//! CIRCO, <https://github.com/miccunifi/CIRCO>: `annotations/{val,test}.json` and the images of COCO 2017
//! "unlabeled". The query image stays in the gallery.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::files::{Gallery, LayoutError, check, find, json};
use super::{Benchmark, Measure, Need, Query, Split, Submission, Task};
use crate::retrieval::pump::{Picture, Way};

const ANNOTATIONS: &str = "the annotations of CIRCO, from https://github.com/miccunifi/CIRCO";
const COCO: &str =
    "COCO 2017 unlabeled images and their image info, from https://cocodataset.org/#download";

#[derive(Deserialize)]
struct Annotation {
    id: u64,
    reference_img_id: u64,
    relative_caption: String,
    shared_concept: String,
    target_img_id: Option<u64>,
    #[serde(default)]
    gt_img_ids: Vec<u64>,
}

#[derive(Deserialize)]
struct ImageInfo {
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
}

pub fn read(folder: &Path, split: Split, need: Need) -> Result<Benchmark, LayoutError> {
    let split = match split {
        Split::Val => "val",
        Split::Test => "test",
    };
    let annotations = find(folder, &[&format!("annotations/{split}.json")], ANNOTATIONS)?;
    let queries = json::<Vec<Annotation>>(&annotations)?;
    let gallery = match need {
        Need::Truth => named(&queries),
        Need::Gallery | Need::Images => coco(folder, need)?,
    };
    let queries = queries.into_iter().map(|annotation| query(annotation, &gallery, &annotations));
    let queries = queries.collect::<Result<Vec<_>, _>>()?;
    let task =
        Task { name: "CIRCO".into(), gallery: gallery.entries.into(), way: Way::Fused, queries };
    Ok(Benchmark {
        title: "CIRCO",
        split,
        tasks: vec![task],
        measures: measures(),
        submissions: submissions(split),
    })
}

fn coco(folder: &Path, need: Need) -> Result<Gallery, LayoutError> {
    let info = "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json";
    let info = find(folder, &[info], COCO)?;
    let images = folder.join("COCO2017_unlabeled/unlabeled2017");
    let mut gallery = Gallery::default();
    for Image { id, file_name } in json::<ImageInfo>(&info)?.images {
        gallery.add(&id.to_string(), || Picture::File(images.join(file_name)));
    }
    if need == Need::Images {
        check(&gallery.entries, COCO)?;
    }
    Ok(gallery)
}

/// The images that annotations name, as far as a list of others needs them.
fn named(queries: &[Annotation]) -> Gallery {
    let mut gallery = Gallery::default();
    for query in queries {
        let right = query.target_img_id.iter().chain(&query.gt_img_ids);
        for id in right.chain([&query.reference_img_id]) {
            gallery.add(&id.to_string(), || Picture::None);
        }
    }
    gallery
}

/// What is measured of CIRCO.
fn measures() -> Vec<Measure> {
    let all = [5, 10, 25, 50];
    all.map(Measure::Map).into_iter().chain(all.map(Measure::Recall)).collect()
}

fn submissions(split: &str) -> Vec<Submission> {
    let number = |id: &str| id.parse::<u64>().map_or_else(|_| Value::from(id), Value::from);
    let file = Submission {
        file: "circo_test.json",
        head: &[],
        of_subset: false,
        length: 50,
        spell: number,
    };
    if split == "test" { vec![file] } else { Vec::new() }
}

fn query(annotation: Annotation, gallery: &Gallery, file: &Path) -> Result<Query, LayoutError> {
    let Annotation { id, reference_img_id, relative_caption, shared_concept, .. } = annotation;
    let reference = gallery.number(&reference_img_id.to_string(), file)?;
    let mut right: Vec<u64> = annotation.target_img_id.into_iter().collect();
    right.extend(
        annotation.gt_img_ids.into_iter().filter(|id| Some(*id) != annotation.target_img_id),
    );
    let positives = right.iter().map(|id| gallery.number(&id.to_string(), file));
    Ok(Query {
        id: id.to_string(),
        picture: gallery.entries[reference].picture.clone(),
        text: format!("find {shared_concept} but {relative_caption}"),
        positives: positives.collect::<Result<_, _>>()?,
        ignored: Vec::new(),
        subset: Vec::new(),
    })
}
