//! CIRR, <https://github.com/Cuberick/CIRR>: captions and image splits, version rc2, beside the images of
//! NLVR2. The query image is taken out of the gallery.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::files::{Gallery, LayoutError, check, find, json};
use super::{Benchmark, Measure, Need, Query, Split, Submission, Task};
use crate::retrieval::pump::{Picture, Way};

const FILES: &str = "captions and image splits of CIRR, from https://github.com/Cuberick/CIRR (branch cirr_dataset)";
const IMAGES: &str = "raw images of NLVR2 for CIRR, as https://github.com/Cuberick/CIRR says";

const SUBMISSIONS: [Submission; 2] = [
    Submission {
        file: "cirr_recall.json",
        head: &[("version", "rc2"), ("metric", "recall")],
        of_subset: false,
        length: 50,
        spell: name,
    },
    Submission {
        file: "cirr_recall_subset.json",
        head: &[("version", "rc2"), ("metric", "recall_subset")],
        of_subset: true,
        length: 3,
        spell: name,
    },
];

#[derive(Deserialize)]
struct Caption {
    pairid: u64,
    reference: String,
    target_hard: Option<String>,
    caption: String,
    img_set: ImageSet,
}

#[derive(Deserialize)]
struct ImageSet {
    members: Vec<String>,
}

fn name(id: &str) -> Value {
    id.into()
}

pub fn read(folder: &Path, split: Split, need: Need) -> Result<Benchmark, LayoutError> {
    let split = match split {
        Split::Val => "val",
        Split::Test => "test1",
    };
    let file = |kind: &str, prefix: &str| {
        let name = format!("{kind}/{prefix}.rc2.{split}.json");
        find(folder, &[&name, &format!("cirr/{name}")], FILES)
    };
    let (captions, splits) = (file("captions", "cap")?, file("image_splits", "split")?);
    let images: BTreeMap<String, String> = json(&splits)?;
    let root =
        if folder.join("img_raw").is_dir() { folder.join("img_raw") } else { folder.to_owned() };
    let mut gallery = Gallery::default();
    for (id, path) in &images {
        gallery.add(id, || Picture::File(root.join(path.trim_start_matches("./"))));
    }
    if need == Need::Images {
        check(&gallery.entries, IMAGES)?;
    }
    let queries = json::<Vec<Caption>>(&captions)?;
    let queries = queries.into_iter().map(|caption| query(caption, &gallery, &captions));
    let queries = queries.collect::<Result<Vec<_>, _>>()?;
    let task =
        Task { name: "CIRR".into(), gallery: gallery.entries.into(), way: Way::Fused, queries };
    let submissions = if split == "test1" { SUBMISSIONS.to_vec() } else { Vec::new() };
    let measures = [1, 5, 10, 50].map(Measure::Recall).into_iter();
    let measures = measures.chain([1, 2, 3].map(Measure::SubsetRecall)).collect();
    Ok(Benchmark { title: "CIRR", split, tasks: vec![task], measures, submissions })
}

fn query(caption: Caption, gallery: &Gallery, file: &Path) -> Result<Query, LayoutError> {
    let reference = gallery.number(&caption.reference, file)?;
    let target = caption.target_hard.map(|target| gallery.number(&target, file)).transpose()?;
    let members = caption.img_set.members.iter().map(|member| gallery.number(member, file));
    let mut subset = members.collect::<Result<Vec<_>, _>>()?;
    subset.retain(|&member| member != reference);
    Ok(Query {
        id: caption.pairid.to_string(),
        picture: gallery.entries[reference].picture.clone(),
        text: caption.caption,
        positives: target.into_iter().collect(),
        ignored: vec![reference],
        subset,
    })
}
