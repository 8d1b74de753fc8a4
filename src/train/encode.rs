//! A chunk of a batch through the model: each image once for all its roles, the empty text once for
//! all targets.

use tch::Tensor;

use super::feed::Fed;
use super::gradcache::{Chunk, Graph};
use crate::model::MagicLens;
use crate::model::tape::Tape;
use crate::model::tokenizer::{END, START};

/// Encodes a chunk to `[3c + h, E]` (see [`super::gradcache::Encode`]); `[2c + h, E]` without
/// query-image negatives.
pub fn encode<'m>(model: &'m MagicLens, fed: &Fed, chunk: &Chunk, negatives: bool) -> Graph<'m> {
    encode_in_stretches(model, fed, chunk, negatives, 0)
}

/// The same with a graph that keeps the input of each `every` blocks of the towers and computes these
/// again in its backward pass; of 0 it keeps everything.
pub fn encode_in_stretches<'m>(
    model: &'m MagicLens,
    fed: &Fed,
    chunk: &Chunk,
    negatives: bool,
    every: usize,
) -> Graph<'m> {
    let mut tape = Tape::new(every);
    let rows = fed.ids.size()[0];
    let (first, count) = (chunk.rows.start as i64, chunk.rows.len() as i64);
    let (first_hard, hard) = (chunk.hard.start as i64, chunk.hard.len() as i64);
    let part = |start: i64, length: i64| fed.pixels.narrow(0, start, length);
    let pixels = [part(first, count), part(rows + first, count), part(2 * rows + first_hard, hard)];
    let images = model.image_features_on(&mut tape, &Tensor::cat(&pixels, 0));
    let texts = model.text_features_on(&mut tape, &fed.ids.narrow(0, first, count));
    let query = images.narrow(0, 0, count);
    let mut bare = vec![images.narrow(0, count, count)];
    if negatives {
        bare.push(query.shallow_clone());
    }
    bare.push(images.narrow(0, 2 * count, hard));
    let bare = Tensor::cat(&bare, 0);
    let empty = empty_text(model).expand_as(&bare);
    let output = model.fuse(&Tensor::cat(&[query, bare], 0), &Tensor::cat(&[texts, empty], 0));
    Graph { output, tape, casts: model.casts().clone() }
}

/// The features of "" `[1, E]`: constant but for the weights.
pub fn empty_text(model: &MagicLens) -> Tensor {
    let ids = Tensor::from_slice(&[i64::from(START), i64::from(END)]).reshape([1, 2]);
    model.text_features(&ids.to_device(model.device()))
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, no_grad};

    use super::*;
    use crate::model::ModelConfig;
    use crate::model::tests::bounds::{BF16, F64, assert_within, guaranteed, likely, roundings};
    use crate::model::tests::{assert_close, distance, in_double};
    use crate::train::collective::Alone;
    use crate::train::gradcache::{Encoded, chunks};
    use crate::train::loss::{Embeddings, INITIAL_SCALE, LossConfig, contrast};
    use crate::train::mask::{Labels, Mask};
    use crate::train::ranks::contrast_over_ranks;
    use crate::train::step::Rows;

    const ROWS: usize = 6;
    const TOKENS: usize = 9;

    fn model() -> MagicLens {
        MagicLens::new(&ModelConfig::tiny(), Device::Cpu, 4)
    }

    /// The bound of gradients in float64, relative to their length: the forward pass, the way back, and
    /// the sum over all rows' tokens. The loss works on cosines times its scale, so on their errors times
    /// its scale.
    fn gradients_within(model: &MagicLens) -> f64 {
        let tokens = (2 * ROWS) as i64 * model.config().vision_tokens();
        INITIAL_SCALE * likely(F64, 2 * roundings(model.config()) + tokens as usize)
    }

    /// Texts of unlike lengths, images of waves, two hard negatives of one row.
    fn fed(model: &MagicLens) -> Fed {
        let (size, images) = (model.config().image_size, 2 * ROWS as i64 + 2);
        let count = images * 3 * size * size;
        let pixels = (Tensor::arange(count, (Kind::Float, Device::Cpu)) * 0.37).sin();
        let ids: Vec<i64> = (0..ROWS).flat_map(text).collect();
        let labels = Labels {
            query_cluster: (0..ROWS as i64).collect(),
            target_cluster: (10..10 + ROWS as i64).collect(),
            valid: vec![true; ROWS],
        };
        Fed {
            step: 0,
            pixels: pixels.view([images, 3, size, size]),
            ids: Tensor::from_slice(&ids).view([ROWS as i64, TOKENS as i64]),
            rows: Rows { labels, hard_rows: vec![3, 3] },
            cut_texts: 0,
            shared_pages: 0,
            failures: Vec::new(),
        }
    }

    /// Ids of a row, padded.
    fn text(row: usize) -> Vec<i64> {
        let words = (0..2 + row).map(|at| 300 + 911 * (row * TOKENS + at) as i64);
        let ids = std::iter::once(i64::from(START)).chain(words).chain([i64::from(END)]);
        ids.chain(std::iter::repeat(0)).take(TOKENS).collect()
    }

    fn whole() -> Chunk {
        Chunk { index: 0, rows: 0..ROWS, hard: 0..2 }
    }

    fn length(tensor: &Tensor) -> f64 {
        tensor.to_kind(Kind::Double).norm().double_value(&[])
    }

    #[test]
    fn a_chunk_is_what_each_image_and_text_are_by_themselves() {
        let model = in_double(model());
        let fed = fed(&model);
        let (rows, within) = (ROWS as i64, likely(F64, roundings(model.config())));
        let alone = |image: i64, ids: &[i64]| {
            let text = model.text_features(&Tensor::from_slice(ids).unsqueeze(0));
            model.fuse(&model.image_features(&fed.pixels.narrow(0, image, 1)), &text)
        };
        let empty = [i64::from(START), i64::from(END)];
        no_grad(|| {
            // Queries with their texts, then targets, query images and hard negatives without.
            let queries = (0..rows).map(|row| alone(row, &text(row as usize)[..row as usize + 4]));
            let bare = (rows..2 * rows).chain(0..rows).chain(2 * rows..2 * rows + 2);
            let bare = bare.map(|image| alone(image, &empty));
            let expected = Tensor::cat(&queries.chain(bare).collect::<Vec<_>>(), 0);
            let found = encode(&model, &fed, &whole(), true).output;
            assert_close("all roles", &found, &expected, within);
            let without = encode(&model, &fed, &whole(), false).output;
            let kept =
                Tensor::cat(&[expected.narrow(0, 0, 2 * rows), expected.narrow(0, 3 * rows, 2)], 0);
            assert_close("without query images", &without, &kept, within);
            // No two of them are nearly the same, or a mix-up could not be seen.
            for row in 1..expected.size()[0] {
                for other in 0..row {
                    let apart = distance(&expected.get(row), &expected.get(other));
                    assert!(apart > 1e6 * within, "{row} and {other}: {apart:e}");
                }
            }
        });
    }

    /// Takes the gradients out of the parameters.
    fn gradients(model: &MagicLens) -> Vec<(String, Tensor)> {
        let parameters = model.parameters().iter().filter(|p| p.tensor.grad().defined());
        let taken = parameters.map(|p| {
            let gradient = p.tensor.grad().copy();
            p.tensor.shallow_clone().zero_grad();
            (p.name.clone(), gradient)
        });
        taken.collect()
    }

    fn loss() -> LossConfig {
        LossConfig { mask: Mask::None, ..LossConfig::default() }
    }

    fn scale(model: &MagicLens) -> Tensor {
        model.parameters().get("logit_scale").unwrap().tensor.shallow_clone()
    }

    /// The loss as one graph from pixels to its value, and back.
    fn direct(model: &MagicLens, fed: &Fed) -> Vec<(String, Tensor)> {
        let all = encode(model, fed, &Chunk { hard: 0..0, ..whole() }, true).output;
        let role = |number: usize| all.narrow(0, (number * ROWS) as i64, ROWS as i64);
        let embeddings = Embeddings {
            query: role(0),
            target: role(1),
            negative: Some(role(2)),
            all_queries: None,
            hard: None,
        };
        contrast(&embeddings, &fed.rows.labels, 0..ROWS, &scale(model), &loss()).share.backward();
        gradients(model)
    }

    /// The same in chunks, of which so many are held, and with so many blocks computed again at once.
    fn in_parts(
        model: &MagicLens,
        fed: &Fed,
        rows: usize,
        held: usize,
        every: usize,
    ) -> Vec<(String, Tensor)> {
        let encode = |chunk: &Chunk| encode_in_stretches(model, fed, chunk, true, every);
        let encoded = Encoded::new(chunks(ROWS, 0, rows), held, true, &encode);
        let (roles, labels) = (encoded.roles(), &fed.rows.labels);
        let contrast =
            contrast_over_ranks(&roles, labels, &[], &scale(model), &loss(), &Alone).unwrap();
        encoded.backward(&contrast.gradients, &encode);
        gradients(model)
    }

    /// Returns the distance of each pair of gradients, relative to the length of the tensor. The gradients of
    /// the keys' biases consist of rounding errors only, so the length counts as at least a hundredth of the
    /// longest one. The gradient of the temperature is a small difference of logits, because random weights
    /// embed everything alike; its length counts as at least 1.
    fn apart(found: &[(String, Tensor)], right: &[(String, Tensor)]) -> Vec<(String, f64)> {
        assert_eq!(found.len(), right.len());
        let most = right.iter().map(|(_, gradient)| length(gradient)).fold(0.0, f64::max);
        let apart = found.iter().zip(right).map(|((name, found), (_, right))| {
            let least = if name == "logit_scale" { 1.0 } else { 0.01 * most };
            (name.clone(), length(&(found - right)) / length(right).max(least))
        });
        apart.collect()
    }

    fn assert_same(
        found: &[(String, Tensor)],
        right: &[(String, Tensor)],
        within: f64,
        what: &str,
    ) {
        for (name, apart) in apart(found, right) {
            assert_within(apart, within, format!("{what}: {name}"));
        }
    }

    #[test]
    fn chunks_have_the_gradients_of_the_whole_loss() {
        let model = in_double(model());
        let fed = fed(&model);
        let (right, within) = (direct(&model, &fed), gradients_within(&model));
        assert_eq!(right.len(), model.parameters().iter().count(), "every weight has one");
        for (rows, held) in [(6, 1), (4, 0), (2, 1), (1, 0)] {
            let found = in_parts(&model, &fed, rows, held, 0);
            assert_same(&found, &right, within, &format!("{rows} rows, {held} held"));
        }
        // A millionth of one image's brightness is far out of bounds, let alone a chunk.
        let _ = fed.pixels.narrow(0, 0, 1).g_mul_scalar_(1.0 + 1e-6);
        let seen = apart(&in_parts(&model, &fed, 2, 1, 0), &right).into_iter();
        let seen = seen.filter(|(_, apart)| *apart > 10.0 * within).count();
        assert!(seen > right.len() / 2, "{seen} of {} gradients", right.len());
    }

    #[test]
    fn blocks_that_are_computed_again_have_the_gradients_of_those_that_are_kept() {
        let model = in_double(model());
        let (fed, within) = (fed(&model), gradients_within(&model));
        for (rows, held) in [(6, 1), (4, 1), (2, 0)] {
            let right = in_parts(&model, &fed, rows, held, 0);
            for every in [1, 2, 9] {
                let found = in_parts(&model, &fed, rows, held, every);
                assert_same(&found, &right, within, &format!("{rows} rows, {held} held, {every}"));
            }
        }
    }

    /// In bfloat16 a weight that is used twice adds up its two gradients in that kind: one rounding of what
    /// is the same else, in one chunk. The gradients of several chunks may cancel out each other, but not
    /// their roundings.
    #[test]
    fn weights_that_are_held_have_the_gradients_of_those_that_are_cast_each_time() {
        for kind in [Kind::Double, Kind::BFloat16] {
            let mut model = if kind == Kind::Double { in_double(model()) } else { model() };
            model.set_compute(kind);
            let fed = fed(&model);
            let (cuts, within) = match kind {
                Kind::Double => (vec![(6, 1), (4, 1), (2, 0)], gradients_within(&model)),
                _ => (vec![(6, 1), (6, 0)], guaranteed(BF16, 1)),
            };
            for (rows, held) in cuts {
                let right = in_parts(&model, &fed, rows, held, 0);
                for every in [0, 2] {
                    let hold = model.casts().hold(kind);
                    let found = in_parts(&model, &fed, rows, held, every);
                    drop(hold);
                    let what = format!("{kind:?}, {rows} rows, {held} held, {every}");
                    assert_same(&found, &right, within, &what);
                }
            }
        }
    }
}
