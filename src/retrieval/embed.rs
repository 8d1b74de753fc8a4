//! `search embed`: a list of images with texts in, one unit vector each out.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::encoder::Encoder;
use super::pump::{Done, Picture, Work, embed_all};
use super::queries::{Query, read};
use super::table::Writer;

/// Why nothing was embedded. A single bad image is none of these: see [`Embedded::failed`].
#[derive(Debug, Error)]
pub enum EmbedError {
    /// A file could not be read or written.
    #[error("{path}: {1}", path = .0.display())]
    File(PathBuf, std::io::Error),
    /// A line that is no query.
    #[error("{path}, line {1}: {2}", path = .0.display())]
    Line(PathBuf, usize, String),
}

/// What came of a list.
#[derive(Debug, Default, PartialEq)]
pub struct Embedded {
    /// Rows written.
    pub rows: usize,
    /// Queries without a row: id and why.
    pub failed: Vec<(String, String)>,
    /// Texts that were longer than the model reads, and cut.
    pub cut_texts: usize,
}

/// Embeds every query of a list. Queries whose image cannot be read are left out and named.
pub fn embed(
    encoder: &Encoder,
    queries: &Path,
    out: &Path,
    batch: usize,
) -> Result<Embedded, EmbedError> {
    let queries = read(queries)?;
    let mut writer = Writer::create(out)?;
    let mut embedded = Embedded::default();
    let work = queries.into_iter().map(|Query { id, image, text, .. }| Work {
        picture: Picture::File(image),
        text,
        tag: id,
    });
    embed_all(encoder, work, batch, |Done { tags, vectors, failed }| {
        let ids: Vec<&str> = tags.iter().map(String::as_str).collect();
        writer.push(&ids, &vectors.rows, encoder.width())?;
        embedded.rows += ids.len();
        embedded.cut_texts += vectors.cut_texts;
        embedded.failed.extend(failed);
        Ok(())
    })?;
    writer.finish()?;
    Ok(embedded)
}
