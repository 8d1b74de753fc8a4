//! Triplets of a run, drawn by chance, one at a time: are they what they should be?

use std::collections::{BinaryHeap, HashSet};

use arrow::datatypes::FieldRef;
use serde::{Deserialize, Serialize};

use super::JudgeError;
use super::places::Places;
use super::subject::{Item, Subject, draw};
use crate::pipeline::status::existing;
use crate::store::{Row, read_rows};
use crate::table::TRIPLETS;
use crate::table::columns::text;

/// What a judge is shown of a triplet.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Shown {
    triplet_id: String,
    instruction: String,
    query_image_id: String,
    target_image_id: String,
}

impl Row for Shown {
    fn fields() -> Vec<FieldRef> {
        ["triplet_id", "instruction", "query_image_id", "target_image_id"].map(text).into()
    }

    fn weight(&self) -> usize {
        300
    }
}

/// Draws `sample` triplets, always the same ones.
pub(super) async fn read(run: &str, sample: usize) -> Result<Subject, JudgeError> {
    let dir = existing(run).await.map_err(|_| JudgeError::What(run.into()))?;
    let mut least: BinaryHeap<([u8; 32], Shown)> = BinaryHeap::new();
    for manifest in dir.manifests(TRIPLETS).await? {
        let Some(file) = manifest.files.get("rows") else { continue };
        let mut rows = read_rows::<Shown>(dir.store(), &file.path, 1024).await?;
        while let Some(batch) = rows.next().await? {
            for triplet in batch {
                least.push((draw("triplet", &triplet.triplet_id), triplet));
                if least.len() > sample {
                    least.pop();
                }
            }
        }
    }
    let drawn: Vec<Shown> = least.into_iter().map(|(_, triplet)| triplet).collect();
    let wanted: HashSet<String> = drawn
        .iter()
        .flat_map(|triplet| [triplet.query_image_id.clone(), triplet.target_image_id.clone()])
        .collect();
    let places = Places::find(&dir, &wanted).await?;
    let item = |triplet: Shown| Item {
        query: places.of(&triplet.query_image_id),
        target: Some(places.of(&triplet.target_image_id)),
        id: triplet.triplet_id,
        instruction: Some(triplet.instruction),
        sides: Vec::new(),
        is_swapped: false,
    };
    Ok(Subject {
        question: "Does the instruction lead from the first image to the second?",
        names: None,
        items: drawn.into_iter().map(item).collect(),
        passed_over: Vec::new(),
        pictures: places.pictures,
    })
}
