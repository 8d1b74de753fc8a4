//! From an image's 8-bit RGB pixels to the numbers that the image tower reads, `[3, S, S]`.
//!
//! Two ways, which do not mix: [`Preprocess::Released`] is what the released MagicLens does,
//! [`Preprocess::Clip`] what CLIP's own weights were trained with. Training may take a random crop
//! first ([`RandomCrop`]); nothing is ever mirrored, because instructions say left and right.
//! Decoding is not done here, nor turning upright: the original does not. The loops are compiled for
//! AVX2 and AVX-512 beside the baseline, and `pulp` takes the widest that runs; only what is marked
//! `inline(always)` is part of that. No sum is reordered, so all give the same bits. See
//! <https://arxiv.org/abs/2403.19651> and <https://arxiv.org/abs/2103.00020>.

mod clip;
mod crop;
mod released;
mod taps;

pub use crop::{RandomCrop, Region};

use super::config::ModelConfig;

/// What a model takes its images as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageSpec {
    /// S: pixels on each side.
    pub size: usize,
    /// Mean of red, green and blue, of values 0 to 1.
    pub mean: [f32; 3],
    /// Their standard deviation.
    pub std: [f32; 3],
}

impl From<&ModelConfig> for ImageSpec {
    fn from(config: &ModelConfig) -> Self {
        let single = |values: [f64; 3]| values.map(|value| value as f32);
        let (mean, std) = (single(config.image_mean), single(config.image_std));
        Self { size: config.image_size as usize, mean, std }
    }
}

impl ImageSpec {
    /// Factor and summand that normalise a channel of values 0 to `largest`.
    fn normaliser(&self, channel: usize, largest: f32) -> (f32, f32) {
        let (mean, std) = (self.mean[channel], self.std[channel]);
        (1.0 / (largest * std), -mean / std)
    }
}

/// How pixels become the model's input.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Deserialize,
    serde::Serialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Preprocess {
    /// Divided by the image's own maximum, squashed to a square by a float triangle filter.
    #[default]
    Released,
    /// Shorter side scaled by Pillow's 8-bit bicubic filter, centre cut out, divided by 255.
    Clip,
}

/// Borrowed 8-bit RGB pixels, row by row without padding; at least one.
#[derive(Clone, Copy, Debug)]
pub struct RgbView<'a> {
    width: usize,
    height: usize,
    rgb: &'a [u8],
}

impl<'a> RgbView<'a> {
    /// Views `width * height * 3` bytes; `None` for any other number of them, or none.
    pub fn new(width: usize, height: usize, rgb: &'a [u8]) -> Option<Self> {
        let length = width.checked_mul(height)?.checked_mul(3)?;
        (length > 0 && rgb.len() == length).then_some(Self { width, height, rgb })
    }

    /// Pixels a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }
}

/// Prepares a whole image: normalised `[3, S, S]`.
pub fn prepare(image: RgbView<'_>, spec: &ImageSpec, how: Preprocess) -> Vec<f32> {
    let mut out = vec![0.0; 3 * spec.size * spec.size];
    prepare_into(image, None, spec, how, &mut out);
    out
}

/// Prepares an image, or the `region` of it, into `out`, which holds `3 * S * S` numbers: all
/// of red, then green, then blue.
///
/// A region is squashed to the square. The maximum that [`Preprocess::Released`] divides by stays
/// the whole image's, so that a crop changes what is seen and not how bright it is.
///
/// # Panics
///
/// If S is 0, `out` is of another length, or the region is empty or leaves the image.
pub fn prepare_into(
    image: RgbView<'_>,
    region: Option<Region>,
    spec: &ImageSpec,
    how: Preprocess,
    out: &mut [f32],
) {
    let size = spec.size;
    assert_eq!(out.len(), 3 * size * size, "out is not [3, {size}, {size}]");
    assert!(size > 0, "no pixels asked for");
    if let Some(region) = region {
        assert!(region.is_within(image.width, image.height), "{region:?} is not in {image:?}");
    }
    match how {
        Preprocess::Released => released::prepare(image, region, spec, out),
        Preprocess::Clip => clip::prepare(image, region, spec, out),
    }
}

#[cfg(test)]
pub(crate) mod golden;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::golden::clip;
    use super::*;
    use crate::model::tests::bounds::{F32, assert_within, likely};

    #[test]
    fn a_view_is_as_large_as_it_says() {
        assert!(RgbView::new(2, 1, &[0; 6]).is_some());
        assert!(RgbView::new(2, 1, &[0; 5]).is_none());
        assert!(RgbView::new(0, 1, &[]).is_none());
        assert!(RgbView::new(usize::MAX, 2, &[]).is_none());
    }

    #[test]
    fn names_are_those_of_the_configuration() {
        for (name, how) in [("\"released\"", Preprocess::Released), ("\"clip\"", Preprocess::Clip)]
        {
            assert_eq!(serde_json::from_str::<Preprocess>(name).unwrap(), how);
            let value = clap::ValueEnum::to_possible_value(&how).unwrap();
            assert_eq!(format!("\"{}\"", value.get_name()), name);
        }
    }

    #[test]
    #[should_panic(expected = "is not in")]
    fn a_region_outside_is_refused() {
        let region = Region { left: 1, top: 0, width: 2, height: 1 };
        let image = RgbView::new(2, 1, &[0; 6]).unwrap();
        prepare_into(image, Some(region), &clip(1), Preprocess::Released, &mut [0.0; 3]);
    }

    proptest! {
        /// A flat image stays flat, whatever its shape, the size asked for and the region.
        #[test]
        fn flat_stays_flat(
            width in 1_usize..70, height in 1_usize..70, size in 1_usize..40,
            colour in prop::array::uniform3(0_u8..=255), seed in any::<u64>(),
        ) {
            let rgb: Vec<u8> = colour.repeat(width * height);
            let image = RgbView::new(width, height, &rgb).unwrap();
            let region = RandomCrop::default().region(width, height, seed);
            let largest = f32::from(colour.into_iter().max().unwrap().max(1));
            // Sums over no more rows and columns than there are, with weights that were rounded too.
            let within = likely(F32, 2 * (width + height) + 8);
            for (how, largest) in [(Preprocess::Released, largest), (Preprocess::Clip, 255.0)] {
                for region in [None, Some(region)] {
                    let mut out = vec![f32::NAN; 3 * size * size];
                    let ImageSpec { mean, std, .. } = clip(size);
                    prepare_into(image, region, &clip(size), how, &mut out);
                    for (at, value) in out.into_iter().enumerate() {
                        let channel = at / (size * size);
                        let wanted = f32::from(colour[channel]) / largest - mean[channel];
                        let wanted = wanted / std[channel];
                        let error = f64::from((value - wanted).abs());
                        assert_within(error, within / f64::from(std[channel]), wanted);
                    }
                }
            }
        }
    }
}
