//! `search embed`: a list of images with texts in, one unit vector each out.
//!
//! Images are decoded on all cores while the model works on the batch before.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rayon::prelude::*;
use tch::{Kind, Tensor, no_grad};
use thiserror::Error;

use super::queries::{Query, read};
use super::table::Writer;
use crate::model::MagicLens;
use crate::model::input::ImageInput;
use crate::model::preprocess::Preprocess;
use crate::model::tokenizer::Tokenizer;

/// Batches that wait decoded for the model.
const READY: usize = 2;

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
    model: &MagicLens,
    how: Preprocess,
    queries: &Path,
    out: &Path,
    batch: usize,
) -> Result<Embedded, EmbedError> {
    let queries = read(queries)?;
    let input = ImageInput { spec: model.image_spec(), how, crop: None };
    let mut writer = Writer::create(out)?;
    let mut embedded = Embedded::default();
    let (send, ready) = sync_channel(READY);
    std::thread::scope(|scope| {
        scope.spawn(|| decode_all(&queries, input, batch, send));
        write_all(model, &ready, &mut writer, &mut embedded)
    })?;
    writer.finish()?;
    Ok(embedded)
}

/// A batch without its bad images.
#[derive(Default)]
struct Decoded<'a> {
    queries: Vec<&'a Query>,
    /// `[rows, 3, S, S]`.
    pixels: Vec<f32>,
    failed: Vec<(String, String)>,
}

/// Ends early where the receiver is gone.
fn decode_all<'a>(
    queries: &'a [Query],
    input: ImageInput,
    batch: usize,
    send: SyncSender<Decoded<'a>>,
) {
    for chunk in queries.chunks(batch.max(1)) {
        let decode = |query: &Query| {
            let mut pixels = vec![0.0; 3 * input.spec.size * input.spec.size];
            input.read_file(&query.image, &mut pixels).map(|()| pixels)
        };
        let images: Vec<Result<Vec<f32>, String>> = chunk.par_iter().map(decode).collect();
        let mut decoded = Decoded::default();
        for (query, image) in chunk.iter().zip(images) {
            match image {
                Ok(pixels) => {
                    decoded.queries.push(query);
                    decoded.pixels.extend(pixels);
                }
                Err(problem) => decoded.failed.push((query.id.clone(), problem)),
            }
        }
        if send.send(decoded).is_err() {
            return;
        }
    }
}

fn write_all(
    model: &MagicLens,
    ready: &Receiver<Decoded<'_>>,
    writer: &mut Writer,
    embedded: &mut Embedded,
) -> Result<(), EmbedError> {
    let tokenizer = Tokenizer::clip();
    let width = model.config().clip.embed_dim as usize;
    for decoded in ready {
        embedded.failed.extend(decoded.failed);
        if decoded.queries.is_empty() {
            continue;
        }
        let texts: Vec<&str> = decoded.queries.iter().map(|query| query.text.as_str()).collect();
        let (ids, cut) = tokens(&tokenizer, &texts);
        let vectors = no_grad(|| forward(model, &decoded.pixels, &ids));
        let names: Vec<&str> = decoded.queries.iter().map(|query| query.id.as_str()).collect();
        writer.push(&names, &vectors, width)?;
        embedded.rows += names.len();
        embedded.cut_texts += cut;
    }
    Ok(())
}

/// Token ids `[rows, longest]`, padded with 0, and how many texts were cut.
fn tokens(tokenizer: &Tokenizer, texts: &[&str]) -> (Tensor, usize) {
    let all: Vec<_> = texts.iter().map(|text| tokenizer.encode(text)).collect();
    let longest = all.iter().map(|tokens| tokens.ids.len()).max().unwrap_or(0);
    let mut ids = vec![0_i64; texts.len() * longest];
    for (row, tokens) in ids.chunks_mut(longest.max(1)).zip(&all) {
        row.iter_mut().zip(&tokens.ids).for_each(|(id, &token)| *id = i64::from(token));
    }
    let ids = Tensor::from_slice(&ids).reshape([texts.len() as i64, longest as i64]);
    (ids, all.iter().filter(|tokens| tokens.cut).count())
}

fn forward(model: &MagicLens, pixels: &[f32], ids: &Tensor) -> Vec<f32> {
    let (rows, size) = (ids.size()[0], model.config().image_size);
    let pixels = Tensor::from_slice(pixels).reshape([rows, 3, size, size]);
    let images = model.image_features(&pixels.to_device(model.device()));
    let texts = model.text_features(&ids.to_device(model.device()));
    let vectors = model.fuse(&images, &texts).to_kind(Kind::Float).reshape([-1]);
    Vec::try_from(&vectors.to_device(tch::Device::Cpu)).expect("floats on the CPU")
}
