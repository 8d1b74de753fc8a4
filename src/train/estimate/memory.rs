//! Bytes of device memory that a step needs, by what they are for.
//!
//! Parameters, gradients and both moments of AdamW are float32: 16 bytes a parameter; an average of the
//! weights takes 4 more, and weights cast to bf16 are held 2 bytes each while a chunk's graph lives.
//!
//! Activations are what the backward pass of a block keeps, in elements of D a token:
//!
//! | kept | elements |
//! |---|---|
//! | input and output of both LayerNorms | 4 |
//! | queries, keys, values, attention's output | 4 |
//! | MLP before and after quick-GELU | 8 |
//!
//! Attention is taken to be fused: it keeps no n² matrix. Blocks that are computed again keep one element,
//! their input; the rest is there for one stretch of blocks at a time. An estimate: allocator and workspaces
//! come on top. On an H100 (MagicLens-B, bf16, 2048 rows) 128 rows a chunk and two held took 38.1 GB in
//! `train`, where this says 37.9; 512 and none 68.8, where it says 68.9.
//! <https://arxiv.org/abs/2205.05198> counts in the same way.

use super::size::{ModelSize, Tower};

/// Elements of D a token that the backward pass of one block keeps.
const KEPT_BY_BLOCK: f64 = 16.0;

/// Bytes of a float32.
const FLOAT: u64 = 4;

/// What decides over memory, beside the size of the model. Rows are those of one rank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Footprint {
    /// Rows of the batch on this rank.
    pub rows: u64,
    /// Rows of the batch over all ranks.
    pub batch: u64,
    /// Rows of a chunk.
    pub chunk: u64,
    /// Chunks of which the graph is kept until its gradients are known.
    pub held: u64,
    /// Images a row: query, target, hard negatives.
    pub images: f64,
    /// Tokens of an instruction after trimming.
    pub text_tokens: f64,
    /// Bytes of an activation: 4 for float32, 2 for bf16.
    pub element: u64,
    /// Blocks of a tower that keep only the first one's input and are computed again together; 0 for none.
    pub recompute_blocks: u64,
    /// Whether an average of the weights is kept.
    pub ema: bool,
}

/// Bytes by use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Weights in float32, and their average if one is kept.
    pub weights: u64,
    /// Gradients in float32.
    pub gradients: u64,
    /// Both moments of the optimizer.
    pub optimizer: u64,
    /// Weights cast for computing.
    pub cast: u64,
    /// Activations of all chunks whose graph lives at once.
    pub activations: u64,
    /// Embeddings of the batch, their gradients, and the logits.
    pub contrast: u64,
    /// Pixels of the batch, of the next one, and of the one after it that is on its way.
    pub pixels: u64,
}

impl Memory {
    /// Estimates one rank.
    pub fn of(size: &ModelSize, step: &Footprint) -> Self {
        let parameters = size.parameters().total();
        let cast = if step.element < FLOAT { parameters * step.element } else { 0 };
        let chunks = step.rows.div_ceil(step.chunk.max(1)).max(1);
        // Graphs that are held have gone when the first chunk is encoded again.
        let alive = step.held.clamp(1, chunks) * step.chunk.min(step.rows);
        let pixels =
            step.rows as f64 * step.images * (3 * size.image * size.image * step.element) as f64;
        Self {
            weights: parameters * FLOAT * if step.ema { 2 } else { 1 },
            gradients: parameters * FLOAT,
            optimizer: parameters * FLOAT * 2,
            cast,
            activations: (alive as f64 * row(size, step)
                + step.chunk.min(step.rows) as f64 * computed_again(size, step))
                as u64,
            contrast: contrast(size, step),
            pixels: 3 * pixels as u64,
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        let state = self.weights + self.gradients + self.optimizer + self.cast;
        state + self.activations + self.contrast + self.pixels
    }
}

/// Activations that one row's graph keeps, in bytes.
fn row(size: &ModelSize, step: &Footprint) -> f64 {
    let fusion = Tower { layers: size.fusion, width: size.embed };
    let kept = |tower, tokens, every| kept(tower, tokens, every) * step.element as f64;
    let every = step.recompute_blocks;
    let images = step.images * kept(size.vision, size.image_tokens() as f64, every);
    images + kept(size.text, step.text_tokens, every) + (step.images + 1.0) * kept(fusion, 2.0, 0)
}

/// Activations of one row that are there while a stretch of blocks is computed again, in bytes: those of
/// images, as towers take turns and the one of texts needs less.
fn computed_again(size: &ModelSize, step: &Footprint) -> f64 {
    let stretch = step.recompute_blocks.min(size.vision.layers);
    let elements = stretch as f64 * KEPT_BY_BLOCK * size.vision.width as f64;
    step.images * elements * size.image_tokens() as f64 * step.element as f64
}

/// Elements that are kept of so many tokens, where `every` so many blocks are computed again.
fn kept(tower: Tower, tokens: f64, every: u64) -> f64 {
    let blocks = match every {
        0 => tower.layers as f64 * KEPT_BY_BLOCK,
        every => tower.layers.div_ceil(every) as f64,
    };
    blocks * tokens * tower.width as f64
}

/// Three embeddings a row and their gradients; two matrices of logits, each with its softmax and the
/// gradient of it, for the rows of this rank against the columns of all.
fn contrast(size: &ModelSize, step: &Footprint) -> u64 {
    let embeddings = 2 * 3 * step.batch * size.embed;
    let logits = 3 * 2 * step.rows * step.batch;
    (embeddings + logits) * FLOAT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step() -> Footprint {
        Footprint {
            rows: 2048,
            batch: 2048,
            chunk: 128,
            held: 0,
            images: 2.0,
            text_tokens: 20.0,
            element: 2,
            recompute_blocks: 0,
            ema: false,
        }
    }

    #[test]
    fn state_is_sixteen_bytes_a_parameter() {
        let size = ModelSize::base();
        let memory = Memory::of(&size, &Footprint { element: 4, ..step() });
        let state = memory.weights + memory.gradients + memory.optimizer + memory.cast;
        assert_eq!(state, 16 * 166_433_025);
        let memory = Memory::of(&size, &Footprint { ema: true, ..step() });
        let state = memory.weights + memory.gradients + memory.optimizer + memory.cast;
        assert_eq!(state, 22 * 166_433_025);
    }

    #[test]
    fn a_whole_batch_at_once_takes_some_250_gb() {
        let whole = Memory::of(&ModelSize::base(), &Footprint { chunk: 2048, ..step() });
        let gb = whole.activations as f64 / 1e9;
        assert!((230.0..260.0).contains(&gb), "{gb} GB");
    }

    #[test]
    fn activations_grow_with_the_chunks_that_are_alive() {
        let of = |step: Footprint| Memory::of(&ModelSize::base(), &step).activations;
        let one = of(step());
        assert!(one.abs_diff(of(Footprint { chunk: 2048, ..step() }) / 16) < 10);
        assert!(of(Footprint { held: 3, ..step() }).abs_diff(3 * one) < 10);
        assert_eq!(of(Footprint { held: 99, ..step() }), of(Footprint { held: 16, ..step() }));
        assert_eq!(of(Footprint { rows: 64, ..step() }), of(Footprint { chunk: 64, ..step() }));
    }

    #[test]
    fn blocks_that_are_computed_again_keep_little() {
        let of = |every, held| {
            let step = Footprint { recompute_blocks: every, held, ..step() };
            Memory::of(&ModelSize::base(), &step).activations as f64
        };
        let block = of(0, 0) / 12.0;
        // Twelve inputs and one whole block, or three inputs and a third of all blocks.
        assert!((of(1, 0) / block - (12.0 / 16.0 + 1.0)).abs() < 0.15, "{}", of(1, 0) / block);
        assert!((of(4, 0) / block - (3.0 / 16.0 + 4.0)).abs() < 0.15, "{}", of(4, 0) / block);
        // A chunk that is held costs its inputs and no block more.
        let held = (of(1, 3) - of(1, 1)) / 2.0;
        assert!((held / block - 12.0 / 16.0).abs() < 0.15, "{}", held / block);
        assert!(of(12, 0) > of(0, 0) * 0.9);
    }
}
