//! Floating-point operations of one triplet.
//!
//! A multiplication and an addition count as two. Matrix products count, elementwise work (LayerNorm,
//! activations, softmax) does not. A block of width D over n tokens takes `24·n·D² + 4·n²·D`, and the last
//! one of a tower, of which one row is wanted, `4·n·D² + 20·D² + 4·n·D`: what is not computed is not counted.
//!
//! | product | FLOPs | last block |
//! |---|---|---|
//! | keys, values | 2 · 2·n·D² | the same |
//! | queries, output | 2 · 2·n·D² | 2 · 2·D² |
//! | logits and weighted values | 2 · 2·n²·D, also where a causal mask would spare half | 2 · 2·n·D |
//! | MLP, up and down | 2 · 2·n·D·4D | 2 · 2·D·4D |
//!
//! A triplet is two images, one trimmed text and three fusions: query, target, and the query image as a
//! negative, which is encoded once for both its roles; the constant "" text of a step is not counted.
//! The backward pass takes twice the forward one. Recomputation takes some of the forward pass again:
//! see [`Flops::with_recomputation`]. <https://arxiv.org/abs/2204.02311>, appendix B.

use super::size::{ModelSize, Tower};

/// What one triplet of a batch is, on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Tokens of an instruction after trimming to the longest of its batch, ends included.
    pub text_tokens: f64,
    /// Hard negatives a triplet.
    pub hard_negatives: f64,
    /// Whether query images are negatives too.
    pub query_negatives: bool,
    /// Triplets of the batch over all ranks: columns of the contrast.
    pub batch: u64,
}

/// FLOPs of the forward pass of one triplet, by part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flops {
    /// Image tower.
    pub vision: f64,
    /// Text tower.
    pub text: f64,
    /// Fusion layers and pooler.
    pub fusion: f64,
    /// Logits of the contrast, once against targets and once against query images.
    pub contrast: f64,
}

impl Flops {
    /// Counts one triplet.
    pub fn of(size: &ModelSize, work: &Work) -> Self {
        let images = 2.0 + work.hard_negatives;
        let fusions = images + f64::from(u8::from(work.query_negatives));
        let columns = work.batch as f64 * if work.query_negatives { 2.0 } else { 1.0 };
        Self {
            vision: images * image(size),
            text: text(size, work.text_tokens),
            fusion: fusions * fusion(size),
            contrast: 2.0 * (columns + work.hard_negatives) * size.embed as f64,
        }
    }

    /// The forward pass.
    pub fn forward(&self) -> f64 {
        self.vision + self.text + self.fusion + self.contrast
    }

    /// Forward and backward: the model's FLOPs, which MFU is measured in.
    pub fn training(&self) -> f64 {
        3.0 * self.forward()
    }

    /// Forward, backward and what is computed again: `held`, 0 to 1, is the share of chunks whose
    /// first pass is kept, `layers` says whether blocks are computed again for each backward pass.
    ///
    /// GradCache runs the chunks that are not held forward twice; the contrast runs once. Only the towers'
    /// blocks are computed again.
    pub fn with_recomputation(&self, held: f64, layers: bool) -> f64 {
        let encode = self.forward() - self.contrast;
        let towers = if layers { self.vision + self.text } else { 0.0 };
        self.training() + (1.0 - held.clamp(0.0, 1.0)) * encode + towers
    }
}

/// One image through its tower.
fn image(size: &ModelSize) -> f64 {
    let [patches, width, embed] = [size.patches(), size.vision.width, size.embed].map(|n| n as f64);
    let pixels = 3.0 * (size.patch * size.patch) as f64;
    let ends = 2.0 * patches * pixels * width + 2.0 * width * embed;
    tower(size.vision, size.image_tokens() as f64) + ends
}

/// One text of so many tokens through its tower.
fn text(size: &ModelSize, tokens: f64) -> f64 {
    tower(size.text, tokens) + 2.0 * (size.text.width * size.embed) as f64
}

/// One pair of image and text embedding through fusion layers and pooler.
fn fusion(size: &ModelSize) -> f64 {
    let layers = Tower { layers: size.fusion, width: size.embed };
    let (embed, wide) = (size.embed as f64, size.pooler_width() as f64);
    // Keys and values of both tokens, one query, one output; logits and values of two tokens.
    let pooler = 2.0 * embed * wide * (2.0 * 2.0 + 1.0 + 1.0) + 2.0 * 2.0 * 2.0 * wide;
    blocks(layers, 2.0) + pooler
}

/// All blocks of a tower, less what the last one does not compute.
fn tower(tower: Tower, tokens: f64) -> f64 {
    blocks(tower, tokens) - spared(tower.width as f64, tokens)
}

/// Queries, output, MLP and attention of all rows but one.
fn spared(width: f64, tokens: f64) -> f64 {
    (tokens - 1.0) * (20.0 * width * width + 4.0 * tokens * width)
}

fn blocks(tower: Tower, tokens: f64) -> f64 {
    let width = tower.width as f64;
    let block = 24.0 * tokens * width * width + 4.0 * tokens * tokens * width;
    tower.layers as f64 * block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> Work {
        Work { text_tokens: 20.0, hard_negatives: 0.0, query_negatives: true, batch: 2048 }
    }

    /// 215 if the last blocks were computed in all rows.
    #[test]
    fn a_base_triplet_takes_about_200_gflop() {
        let (size, flops) = (ModelSize::base(), Flops::of(&ModelSize::base(), &work()));
        assert!((flops.training() - 200e9).abs() < 2e9, "{:.2e}", flops.training());
        let whole = 2.0 * spared(768.0, 197.0) + spared(512.0, 20.0);
        let whole = flops.training() + 3.0 * whole;
        assert!((whole - 215e9).abs() < 2e9, "{whole:.2e}");
        let (vision, tokens) = (size.vision, size.image_tokens() as f64);
        let width = vision.width as f64;
        let last = 4.0 * tokens * width * width + 20.0 * width * width + 4.0 * tokens * width;
        let one = Tower { layers: 1, ..vision };
        assert!((tower(one, tokens) / last - 1.0).abs() < 1e-12);
        assert!(flops.vision / flops.forward() > 0.97);
        // Longest texts cost a tenth more.
        let long = Flops::of(&ModelSize::base(), &Work { text_tokens: 77.0, ..work() });
        assert!((1.05..1.10).contains(&(long.training() / flops.training())));
    }

    /// Papers give 17.6 G multiply-adds for ViT-B/16 and 4.4 for B/32 (CLIP's, with 224 px), and
    /// 81 for L/14, all rows of the last block computed.
    #[test]
    fn an_image_takes_what_papers_say() {
        let whole = |size: &ModelSize| {
            image(size) + spared(size.vision.width as f64, size.image_tokens() as f64)
        };
        let multiply_adds = |size: ModelSize| whole(&size) / 2e9;
        assert!((multiply_adds(ModelSize::base()) - 17.57).abs() < 0.1);
        assert!((multiply_adds(ModelSize::base32()) - 4.4).abs() < 0.1);
        assert!((multiply_adds(ModelSize::large()) - 81.0).abs() < 1.0);
    }

    #[test]
    fn recomputation_adds_up_to_two_forward_passes() {
        let flops = Flops::of(&ModelSize::base(), &work());
        let encode = flops.vision + flops.text + flops.fusion;
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-12;
        assert!(near(flops.with_recomputation(1.0, false), flops.training()));
        assert!(near(flops.with_recomputation(0.0, false), flops.training() + encode));
        let towers = flops.vision + flops.text;
        let all = flops.training() + 0.75 * encode + towers;
        assert!(near(flops.with_recomputation(0.25, true), all));
    }

    #[test]
    fn hard_negatives_are_images_more() {
        let size = ModelSize::base();
        let none = Flops::of(&size, &work());
        let two = Flops::of(&size, &Work { hard_negatives: 2.0, ..work() });
        assert_eq!(two.vision, 2.0 * none.vision);
        assert!((two.fusion / none.fusion - 5.0 / 3.0).abs() < 1e-12);
        let plain = Flops::of(&size, &Work { query_negatives: false, ..work() });
        assert_eq!(plain.contrast * 2.0, none.contrast);
    }
}
