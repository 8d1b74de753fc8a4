//! Gradients of a batch that is too large to encode at once.
//!
//! The contrast needs all embeddings, and no more than those: so chunks are encoded without a
//! graph, the loss gives a gradient to each embedding, and then each chunk is encoded again with a
//! graph that takes its embeddings' gradients. Chunks whose graphs fit in memory keep theirs and
//! are encoded once. See arXiv 2101.06983. An encoder must give the same when called again: it has
//! no dropout.

use std::ops::Range;

use tch::{Tensor, no_grad};

use crate::model::Casts;
use crate::model::tape::{Tape, push};

/// A part of a batch that is encoded in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// From 0 on, in the order of rows.
    pub index: usize,
    /// Rows of the rank's batch.
    pub rows: Range<usize>,
    /// Hard negatives of the rank's batch; any share of them, of whatever rows.
    pub hard: Range<usize>,
}

/// Cuts a batch into chunks of `size` rows, the last of which may be smaller. Hard negatives are
/// dealt out evenly, so that no chunk needs more memory than the others.
pub fn chunks(rows: usize, hard: usize, size: usize) -> Vec<Chunk> {
    let size = size.clamp(1, rows.max(1));
    let count = rows.div_ceil(size);
    let chunk = |index: usize| Chunk {
        index,
        rows: index * size..((index + 1) * size).min(rows),
        hard: hard * index / count..hard * (index + 1) / count,
    };
    (0..count).map(chunk).collect()
}

/// Embeddings of a rank's batch by role, or their gradients.
#[derive(Debug)]
pub struct Roles {
    /// Query image with instruction `[B, E]`.
    pub query: Tensor,
    /// Target image `[B, E]`.
    pub target: Tensor,
    /// Query image without instruction `[B, E]`, where the loss has a use for it.
    pub negative: Option<Tensor>,
    /// Hard negatives `[H, E]`.
    pub hard: Tensor,
}

impl Roles {
    /// This chunk's part in the order of [`Encode`].
    fn of(&self, chunk: &Chunk) -> Tensor {
        let part = |tensor: &Tensor, range: &Range<usize>| {
            tensor.narrow(0, range.start as i64, range.len() as i64)
        };
        let rows = [Some(&self.query), Some(&self.target), self.negative.as_ref()];
        let rows = rows.into_iter().flatten().map(|tensor| part(tensor, &chunk.rows));
        Tensor::cat(&rows.chain([part(&self.hard, &chunk.hard)]).collect::<Vec<_>>(), 0)
    }
}

/// Encodes a chunk of `c` rows and `h` hard negatives to `[3c + h, E]` f32: queries (image,
/// instruction), targets (image, ""), query images (image, ""), hard negatives (image, ""). Without
/// query-image negatives `[2c + h, E]`. A closure that gives a tensor with its graph will do.
pub trait Encode<'m> {
    /// Encodes a chunk.
    fn encode(&self, chunk: &Chunk) -> Graph<'m>;
}

impl<'m, R: Into<Graph<'m>>, T: Fn(&Chunk) -> R> Encode<'m> for T {
    fn encode(&self, chunk: &Chunk) -> Graph<'m> {
        self(chunk).into()
    }
}

/// An encoded chunk with its graph, parts of which may have to be computed again.
#[derive(Debug)]
pub struct Graph<'m> {
    /// The embeddings.
    pub output: Tensor,
    /// What is behind them beside their own graph.
    pub tape: Tape<'m>,
    /// What may hold the weights that they were computed with.
    pub(crate) casts: Casts,
}

impl From<Tensor> for Graph<'_> {
    fn from(output: Tensor) -> Self {
        Self { output, tape: Tape::new(0), casts: Casts::default() }
    }
}

impl Graph<'_> {
    /// Adds up the gradients of all weights, given those of the embeddings.
    fn backward(self, gradients: &Tensor) {
        push(&self.output, gradients);
        drop(self.output);
        self.tape.backward();
        self.casts.collect();
    }
}

/// An encoded batch, some of whose graphs are still there.
#[derive(Debug)]
pub struct Encoded<'m> {
    chunks: Vec<Chunk>,
    /// Without graph.
    embeddings: Vec<Tensor>,
    /// With graph, of the last chunks.
    graphs: Vec<Graph<'m>>,
    negatives: bool,
}

impl<'m> Encoded<'m> {
    /// Encodes all chunks and keeps the graphs of the last `held`: of none to need the least
    /// memory, of all to encode nothing twice.
    pub fn new(chunks: Vec<Chunk>, held: usize, negatives: bool, encode: &impl Encode<'m>) -> Self {
        let (first, last) = chunks.split_at(chunks.len() - held.min(chunks.len()));
        let without = |chunk| no_grad(|| encode.encode(chunk)).output.detach();
        let mut embeddings: Vec<_> = first.iter().map(without).collect();
        let graphs: Vec<_> = last.iter().map(|chunk| encode.encode(chunk)).collect();
        embeddings.extend(graphs.iter().map(|graph| graph.output.detach()));
        for (chunk, embeddings) in chunks.iter().zip(&embeddings) {
            check(chunk, embeddings, negatives);
        }
        Self { chunks, embeddings, graphs, negatives }
    }

    /// The embeddings by role, without graph.
    pub fn roles(&self) -> Roles {
        let parts = || self.chunks.iter().zip(&self.embeddings);
        let role = |number: usize| {
            let part = |(chunk, embeddings): (&Chunk, &Tensor)| {
                let rows = chunk.rows.len() as i64;
                embeddings.narrow(0, number as i64 * rows, rows)
            };
            Tensor::cat(&parts().map(part).collect::<Vec<_>>(), 0)
        };
        let hard = parts().map(|(chunk, embeddings)| {
            let hard = chunk.hard.len() as i64;
            embeddings.narrow(0, embeddings.size()[0] - hard, hard)
        });
        Roles {
            query: role(0),
            target: role(1),
            negative: self.negatives.then(|| role(2)),
            hard: Tensor::cat(&hard.collect::<Vec<_>>(), 0),
        }
    }

    /// Adds up the gradients of all weights, given those of all embeddings. Graphs that are there
    /// go first, which frees their memory for the others.
    pub fn backward(self, gradients: &Roles, encode: &impl Encode<'m>) {
        let forgotten = self.chunks.len() - self.graphs.len();
        let (first, last) = self.chunks.split_at(forgotten);
        for (chunk, graph) in last.iter().zip(self.graphs) {
            graph.backward(&gradients.of(chunk));
        }
        for chunk in first {
            encode.encode(chunk).backward(&gradients.of(chunk));
        }
    }
}

fn check(chunk: &Chunk, embeddings: &Tensor, negatives: bool) {
    let roles = if negatives { 3 } else { 2 };
    let expected = (roles * chunk.rows.len() + chunk.hard.len()) as i64;
    let size = embeddings.size();
    assert!(
        size.len() == 2 && size[0] == expected,
        "the encoder gave {size:?} for {expected} embeddings of {chunk:?}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chunks_cover_every_row_and_hard_negative_once(
            rows in 1_usize..200, hard in 0_usize..300, size in 0_usize..250,
        ) {
            let chunks = chunks(rows, hard, size);
            let all = |pick: fn(&Chunk) -> &Range<usize>| -> Vec<usize> {
                chunks.iter().flat_map(|chunk| pick(chunk).clone()).collect()
            };
            prop_assert_eq!(all(|chunk| &chunk.rows), (0..rows).collect::<Vec<_>>());
            prop_assert_eq!(all(|chunk| &chunk.hard), (0..hard).collect::<Vec<_>>());
            prop_assert!(chunks.iter().all(|chunk| chunk.rows.len() <= size.max(1)));
            let largest = chunks.iter().map(|chunk| chunk.hard.len()).max().unwrap();
            prop_assert!(largest <= hard.div_ceil(chunks.len()));
        }
    }

    #[test]
    fn roles_come_apart_and_together_again() {
        // Embedding of row r in role k: 10 k + r, of hard negative h: 90 + h.
        let encode = |chunk: &Chunk| {
            let rows = (0..3).flat_map(|k| chunk.rows.clone().map(move |row| 10 * k + row));
            let all: Vec<f32> =
                rows.chain(chunk.hard.clone().map(|h| 90 + h)).map(|x| x as f32).collect();
            Tensor::from_slice(&all).unsqueeze(1)
        };
        let chunks = chunks(5, 3, 2);
        let roles = Encoded::new(chunks.clone(), 1, true, &encode).roles();
        let values = |tensor: &Tensor| Vec::<f32>::try_from(&tensor.squeeze_dim(1)).unwrap();
        assert_eq!(values(&roles.query), [0., 1., 2., 3., 4.]);
        assert_eq!(values(&roles.target), [10., 11., 12., 13., 14.]);
        assert_eq!(values(roles.negative.as_ref().unwrap()), [20., 21., 22., 23., 24.]);
        assert_eq!(values(&roles.hard), [90., 91., 92.]);
        for chunk in &chunks {
            assert_eq!(roles.of(chunk), encode(chunk));
        }
    }

    #[test]
    fn only_chunks_without_a_graph_are_encoded_twice() {
        let weight = Tensor::from_slice(&[1_f32]).set_requires_grad(true);
        for held in 0..=4 {
            let calls = std::cell::RefCell::new(Vec::new());
            let encode = |chunk: &Chunk| {
                calls.borrow_mut().push(chunk.index);
                Tensor::ones([2 * chunk.rows.len() as i64, 1], tch::kind::FLOAT_CPU) * &weight
            };
            let encoded = Encoded::new(chunks(6, 0, 2), held, false, &encode);
            let gradients = encoded.roles();
            encoded.backward(&gradients, &encode);
            let again: &[usize] = [&[0, 1, 2][..], &[0, 1], &[0], &[], &[]][held];
            assert_eq!(calls.into_inner(), [&[0, 1, 2], again].concat(), "{held} held");
        }
    }

    #[test]
    #[should_panic(expected = "for 4 embeddings")]
    fn an_encoder_that_forgets_a_role_is_caught() {
        let encode =
            |chunk: &Chunk| Tensor::zeros([chunk.rows.len() as i64, 1], tch::kind::FLOAT_CPU);
        Encoded::new(chunks(2, 0, 2), 0, false, &encode);
    }
}
