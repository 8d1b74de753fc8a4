//! `search query`: one query, answered on the command line.

use std::io::{self, Write};
use std::path::Path;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use thiserror::Error;

use super::encoder::Encoder;
use super::index::{Index, IndexError, Item};

/// A query.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The query image, if any.
    pub image: Option<&'a Path>,
    /// The instruction, which may be empty.
    pub text: &'a str,
    /// Images to find.
    pub k: usize,
}

/// An image that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// From 1.
    pub rank: usize,
    /// Cosine of query and image.
    pub score: f32,
    /// The image's name in the index.
    pub id: String,
    /// The file it lies in.
    pub file: String,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The query image cannot be read.
    #[error("{0}")]
    Image(String),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// The nearest images, the nearest first.
pub fn answer(index: &Index, encoder: &Encoder, ask: &Ask<'_>) -> Result<Vec<Answer>, QueryError> {
    let mut pixels = encoder.no_image();
    if let Some(image) = ask.image {
        encoder.input().read_file(image, &mut pixels).map_err(QueryError::Image)?;
    }
    let query = encoder.embed(&pixels, &[ask.text]);
    if query.cut_texts > 0 {
        tracing::warn!("the text is longer than the model reads, and was cut");
    }
    let hits = index.search(&query.rows, ask.k).pop().unwrap_or_default();
    let found = hits.into_iter().zip(1..).map(|(hit, rank)| {
        let item = index.item(u64::from(hit.row))?;
        let file = index.location(&item).display().to_string();
        let Item { id, url, .. } = item;
        Ok(Answer { rank, score: hit.score, id, file, url })
    });
    found.collect()
}

/// Prints a table, or a line of JSON for each.
pub fn print(found: &[Answer], json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        for answer in found {
            writeln!(out, "{}", serde_json::to_string(answer)?)?;
        }
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["rank", "score", "image"]);
    for Answer { rank, score, id, url, .. } in found {
        let name = url.as_ref().unwrap_or(id);
        table.add_row([rank.to_string(), format!("{score:.4}"), name.clone()]);
    }
    writeln!(out, "{table}")
}
