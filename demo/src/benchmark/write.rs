//! The benchmark as files, in the form that `search embed` reads.
//!
//! | file | what |
//! |---|---|
//! | `gallery/*.png`, `blank.png` | the images, and a black one that says nothing |
//! | `gallery.jsonl` | what to embed as the gallery: each image with no text |
//! | `queries.jsonl` | image, instruction, target |
//! | `image_only.jsonl` | the same queries without their instruction |
//! | `text_only.jsonl` | the same queries with the black image in the place of theirs |
//! | `truth.jsonl` | what each image of the gallery shows |
//! | `distractors.jsonl` | for each query, the images that share its identity or its target's change |
//!
//! An image without text is embedded as in the gallery, so it finds itself: who reports what images
//! alone can do takes each query's own image out of the gallery.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use image::RgbImage;
use serde::Serialize;

use super::{Benchmark, Query};
use crate::scene::Exhibit;
use crate::world::TRAINING_SIZE;

const BLANK: &str = "blank.png";

/// A row of what is embedded. An image of the gallery has its path as its id, so that a target can be
/// looked up and looked at.
#[derive(Serialize)]
struct Row<'a> {
    id: String,
    image: String,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    id: String,
    alt: String,
    #[serde(flatten)]
    exhibit: &'a Exhibit,
}

#[derive(Serialize)]
struct Distractors {
    id: String,
    same_identity: Vec<String>,
    same_attribute: Vec<String>,
}

impl Benchmark {
    /// Writes the files into a folder, which is made where it is not there.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let images = folder.join("gallery");
        std::fs::create_dir_all(&images)
            .with_context(|| format!("cannot make {}", images.display()))?;
        let (width, height) = TRAINING_SIZE;
        for (at, exhibit) in self.gallery.iter().enumerate() {
            save(&exhibit.render(width, height), &folder.join(path_of(at)))?;
        }
        save(&RgbImage::new(width, height), &folder.join(BLANK))?;
        let shown = |(at, exhibit)| Shown { id: path_of(at), alt: Exhibit::alt(exhibit), exhibit };
        lines(&folder.join("truth.jsonl"), self.gallery.iter().enumerate().map(shown))?;
        let plain = |at| Row { id: path_of(at), image: path_of(at), text: "", target: None };
        lines(&folder.join("gallery.jsonl"), (0..self.gallery.len()).map(plain))?;
        let composed = |query| row(query, path_of(query.image), &query.text);
        lines(&folder.join("queries.jsonl"), self.queries.iter().map(composed))?;
        let images = |query: &Query| row(query, path_of(query.image), "");
        lines(&folder.join("image_only.jsonl"), self.queries.iter().map(images))?;
        let texts = |query| row(query, BLANK.into(), &query.text);
        lines(&folder.join("text_only.jsonl"), self.queries.iter().map(texts))?;
        let distractors = |query: &Query| Distractors {
            id: name(query.image),
            same_identity: self.of_identity(query).into_iter().map(path_of).collect(),
            same_attribute: self.of_attribute(query).into_iter().map(path_of).collect(),
        };
        lines(&folder.join("distractors.jsonl"), self.queries.iter().map(distractors))
    }
}

/// A query has the id of its image: each image is in one query.
fn row<'a>(query: &Query, image: String, text: &'a str) -> Row<'a> {
    Row { id: name(query.image), image, text, target: Some(path_of(query.target)) }
}

fn name(at: usize) -> String {
    format!("{at:04}")
}

fn path_of(at: usize) -> String {
    format!("gallery/{}.png", name(at))
}

fn save(image: &RgbImage, path: &Path) -> Result<()> {
    image.save(path).with_context(|| format!("cannot write {}", path.display()))
}

fn lines(path: &Path, rows: impl Iterator<Item = impl Serialize>) -> Result<()> {
    let problem = || format!("cannot write {}", path.display());
    let mut out = BufWriter::new(File::create(path).with_context(problem)?);
    for row in rows {
        serde_json::to_writer(&mut out, &row).with_context(problem)?;
        out.write_all(b"\n").with_context(problem)?;
    }
    out.flush().with_context(problem)
}
