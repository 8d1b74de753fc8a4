//! Bounds of the difference between two computations of the same number. They follow from the arithmetic
//! and hold on every machine.
//!
//! A kernel sums in an order that depends on the processor, the number of threads and the number of rows
//! in the batch, so a bound measured on one machine fails on another. A bound here depends on the number
//! format, on the number of roundings that lead to a result, and on the largest intermediate number, by
//! which the caller multiplies. Higham, Accuracy and Stability of Numerical Algorithms, chapters
//! 3 and 4; Higham and Mary, A New Approach to Probabilistic Rounding Error Analysis (2019).

use super::ModelConfig;

/// The unit roundoff of float64: the most that one rounding changes a number by, relative to it.
pub const F64: f64 = f64::EPSILON / 2.0;
/// The unit roundoff of float32.
pub const F32: f64 = f32::EPSILON as f64 / 2.0;
/// The unit roundoff of bfloat16, which keeps eight bits.
pub const BF16: f64 = 1.0 / 256.0;

/// Deviations that [`likely`] allows: Hoeffding's inequality leaves 2·exp(-18) = 3e-8 beyond six, few
/// enough for all the numbers that the tests compare.
const DEVIATIONS: f64 = 6.0;

/// The most that two sums of the same `terms` terms can be apart, whatever the order: 2·γₙ with
/// γₙ = n·u / (1 - n·u), relative to the sum of the terms' absolute values.
///
/// The bound of single sums, such as a dot product: for unit vectors the sum of absolute values is at
/// most 1.
pub fn guaranteed(unit: f64, terms: usize) -> f64 {
    let product = terms as f64 * unit;
    2.0 * product / (1.0 - product)
}

/// Bound of the difference between two computations with `roundings` roundings each, relative to the
/// largest number that was rounded. It is exceeded once in 30 million comparisons: rounding errors have
/// either sign, so they add up like the 2n steps of a random walk.
///
/// It suits networks, whose roundings are the terms of all consecutive sums: γₙ over all of them would hide
/// real bugs. It assumes that an error is passed on but not amplified. The caller multiplies by the factor
/// of a step that amplifies it, such as the logit scale of the loss.
pub fn likely(unit: f64, roundings: usize) -> f64 {
    DEVIATIONS * (2.0 * roundings as f64).sqrt() * unit
}

/// Roundings on the longest way through the towers to CLIP's embeddings.
pub fn tower_roundings(config: &ModelConfig) -> usize {
    let clip = &config.clip;
    let (width, patch) = (clip.vision_features, clip.vision_patch_size);
    // The patches, three norms and the projection.
    let image = 3 * patch * patch + 5 * width;
    let image = image + clip.vision_num_layers * layer_roundings(width, config.vision_tokens());
    let width = clip.text_features;
    let text = clip.text_num_layers * layer_roundings(width, config.context_length);
    image.max(text + 3 * width) as usize
}

/// The same to the joint embeddings, through fusion layers and pooler, which is no longer than a layer.
pub fn roundings(config: &ModelConfig) -> usize {
    let head = &config.magiclens;
    let layers = head.num_layers + 1;
    tower_roundings(config) + (layers * layer_roundings(head.embed_dim, 2)) as usize
}

/// The terms of a transformer layer's sums, one sum after the other: mean and variance of two norms,
/// projection, logits, softmax, mixing and projection of the attention, and both products of the
/// four times wider mlp.
fn layer_roundings(width: i64, tokens: i64) -> i64 {
    4 * width + width + width + 2 * tokens + width + width + 4 * width
}

/// Fails unless an error is within its bound, which NaN is not.
#[track_caller]
pub fn assert_within(error: f64, bound: f64, what: impl std::fmt::Display) {
    assert!(error <= bound, "{what}: off by {error:.2e}, more than {bound:.2e}");
}
