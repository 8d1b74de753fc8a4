//! GeneCIS, <https://github.com/facebookresearch/genecis>: four tasks of 2,000 queries, each among some fifteen
//! images. Two tasks are of objects cut out of Visual Genome, two of whole images of COCO.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::files::{Gallery, LayoutError, check, find, json};
use super::{Benchmark, Measure, Need, Query, Split, Task};
use crate::model::input::Cut;
use crate::retrieval::pump::{Picture, Way};

const FILES: &str =
    "a template of GeneCIS, from https://github.com/facebookresearch/genecis (genecis/)";
const COCO: &str = "COCO 2017 validation images, from https://cocodataset.org/#download";
const GENOME: &str =
    "images of Visual Genome 1.2, from https://homes.cs.washington.edu/~ranjay/visualgenome/";

const TASKS: [&str; 4] = ["focus_attribute", "change_attribute", "focus_object", "change_object"];

#[derive(Deserialize)]
struct Sample {
    condition: String,
    reference: Shown,
    target: Shown,
    gallery: Vec<Shown>,
}

/// An image of COCO, or an object in one of Visual Genome.
#[derive(Deserialize)]
#[serde(untagged)]
enum Shown {
    Object { image_id: u64, instance_bbox: [f64; 4] },
    Whole { val_image_id: u64 },
}

pub fn read(folder: &Path, split: Split, need: Need) -> Result<Benchmark, LayoutError> {
    if split == Split::Test {
        let problem = "it has one split, which is called val here";
        return Err(LayoutError::Split { benchmark: "GeneCIS", problem });
    }
    let tasks = TASKS.map(|name| task(folder, name, need));
    let tasks = tasks.into_iter().collect::<Result<_, _>>()?;
    let measures = [1, 2, 3].map(Measure::SubsetRecall).to_vec();
    Ok(Benchmark { title: "GeneCIS", split: "val", tasks, measures, submissions: Vec::new() })
}

fn task(folder: &Path, name: &str, need: Need) -> Result<Task, LayoutError> {
    let file = format!("genecis/{name}.json");
    let file = find(folder, &[&file, &format!("{name}.json")], FILES)?;
    let (mut gallery, mut queries) = (Gallery::default(), Vec::new());
    for (number, sample) in json::<Vec<Sample>>(&file)?.into_iter().enumerate() {
        let subset = std::iter::once(&sample.target).chain(&sample.gallery);
        let subset = subset.map(|shown| gallery.add(&shown.id(), || shown.picture(folder)));
        let subset: Vec<usize> = subset.collect();
        queries.push(Query {
            id: number.to_string(),
            picture: sample.reference.picture(folder),
            text: sample.condition,
            positives: [subset[0]].into(),
            ignored: Vec::new(),
            subset,
        });
    }
    if need == Need::Images {
        check(&gallery.entries, if name.ends_with("object") { COCO } else { GENOME })?;
    }
    Ok(Task { name: name.to_owned(), gallery: gallery.entries.into(), way: Way::Fused, queries })
}

impl Shown {
    fn id(&self) -> String {
        match self {
            Self::Whole { val_image_id } => val_image_id.to_string(),
            Self::Object { image_id, instance_bbox: [x, y, w, h] } => {
                format!("{image_id}@{x},{y},{w},{h}")
            }
        }
    }

    fn picture(&self, folder: &Path) -> Picture {
        match self {
            Self::Whole { val_image_id } => {
                Picture::File(folder.join(format!("val2017/{val_image_id:012}.jpg")))
            }
            Self::Object { image_id, instance_bbox } => {
                Picture::Cut(genome(folder, *image_id), Cut(*instance_bbox))
            }
        }
    }
}

/// Visual Genome comes in two archives; some put them together.
fn genome(folder: &Path, image: u64) -> PathBuf {
    let places = ["VG_100K", "VG_100K_2", "visual_genome"];
    let mut paths = places.iter().map(|place| folder.join(place).join(format!("{image}.jpg")));
    paths.clone().find(|path| path.exists()).or_else(|| paths.next()).unwrap_or_default()
}
