//! FashionIQ, <https://github.com/XiaoxiaoGuo/fashion-iq>: three categories with a gallery each, the whole
//! split of the category. The two captions are joined by "and"; the query image stays in.

use std::path::Path;

use serde::Deserialize;

use super::files::{Gallery, LayoutError, check, content, find, json};
use super::{Benchmark, Measure, Need, Query, Split, Task};
use crate::retrieval::pump::{Picture, Way};

const FILES: &str =
    "captions and image splits of FashionIQ, from https://github.com/XiaoxiaoGuo/fashion-iq";
const IMAGES: &str =
    "images of FashionIQ, by the URLs of https://github.com/hongwang600/fashion-iq-metadata";

#[derive(Deserialize)]
struct Caption {
    target: String,
    candidate: String,
    captions: Vec<String>,
}

pub fn read(folder: &Path, split: Split, need: Need) -> Result<Benchmark, LayoutError> {
    if split == Split::Test {
        let problem = "the truth of its test split was never published; use --split val";
        return Err(LayoutError::Split { benchmark: "FashionIQ", problem });
    }
    let tasks = ["dress", "shirt", "toptee"].map(|category| task(folder, category, need));
    let tasks = tasks.into_iter().collect::<Result<_, _>>()?;
    let measures = [10, 50].map(Measure::Recall).to_vec();
    Ok(Benchmark { title: "FashionIQ", split: "val", tasks, measures, submissions: Vec::new() })
}

fn task(folder: &Path, category: &str, need: Need) -> Result<Task, LayoutError> {
    let captions = find(folder, &[&format!("captions/cap.{category}.val.json")], FILES)?;
    let splits = find(folder, &[&format!("image_splits/split.{category}.val.json")], FILES)?;
    let mut gallery = Gallery::default();
    for id in json::<Vec<String>>(&splits)? {
        gallery.add(&id, || Picture::File(image(folder, &id)));
    }
    if need == Need::Images {
        check(&gallery.entries, IMAGES)?;
    }
    let queries = json::<Vec<Caption>>(&captions)?.into_iter().enumerate();
    let queries = queries.map(|(number, caption)| query(number, &caption, &gallery, &captions));
    let queries = queries.collect::<Result<_, _>>()?;
    Ok(Task {
        name: category.to_owned(),
        gallery: gallery.entries.into(),
        way: Way::Fused,
        queries,
    })
}

fn image(folder: &Path, id: &str) -> std::path::PathBuf {
    let png = folder.join(format!("images/{id}.png"));
    let jpg = png.with_extension("jpg");
    if !png.exists() && jpg.exists() { jpg } else { png }
}

fn query(
    number: usize,
    caption: &Caption,
    gallery: &Gallery,
    file: &Path,
) -> Result<Query, LayoutError> {
    if caption.captions.is_empty() {
        return Err(content(file, format!("entry {number} has no captions")));
    }
    let candidate = gallery.number(&caption.candidate, file)?;
    Ok(Query {
        id: number.to_string(),
        picture: gallery.entries[candidate].picture.clone(),
        text: caption.captions.join(" and "),
        positives: [gallery.number(&caption.target, file)?].into(),
        ignored: Vec::new(),
        subset: Vec::new(),
    })
}
