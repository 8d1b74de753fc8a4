//! A chunk of a batch through the model: each image once for all its roles, the empty text once for
//! all targets.

use tch::Tensor;

use super::feed::Fed;
use super::gradcache::Chunk;
use crate::model::MagicLens;
use crate::model::tokenizer::{END, START};

/// Encodes a chunk to `[3c + h, E]` (see [`super::gradcache::Encode`]); `[2c + h, E]` without
/// query-image negatives.
pub fn encode(model: &MagicLens, fed: &Fed, chunk: &Chunk, negatives: bool) -> Tensor {
    let rows = fed.ids.size()[0];
    let (first, count) = (chunk.rows.start as i64, chunk.rows.len() as i64);
    let (first_hard, hard) = (chunk.hard.start as i64, chunk.hard.len() as i64);
    let part = |start: i64, length: i64| fed.pixels.narrow(0, start, length);
    let pixels = [part(first, count), part(rows + first, count), part(2 * rows + first_hard, hard)];
    let images = model.image_features(&Tensor::cat(&pixels, 0));
    let texts = model.text_features(&fed.ids.narrow(0, first, count));
    let query = images.narrow(0, 0, count);
    let mut bare = vec![images.narrow(0, count, count)];
    if negatives {
        bare.push(query.shallow_clone());
    }
    bare.push(images.narrow(0, 2 * count, hard));
    let bare = Tensor::cat(&bare, 0);
    let empty = empty_text(model).expand_as(&bare);
    model.fuse(&Tensor::cat(&[query, bare], 0), &Tensor::cat(&[texts, empty], 0))
}

/// The features of "" `[1, E]`: constant but for the weights.
pub fn empty_text(model: &MagicLens) -> Tensor {
    let ids = Tensor::from_slice(&[i64::from(START), i64::from(END)]).reshape([1, 2]);
    model.text_features(&ids.to_device(model.device()))
}
