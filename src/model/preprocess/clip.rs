//! CLIP's own way: scaled in 8 bits by Pillow's bicubic filter, the centre cut out.
//!
//! Bit for bit what Pillow makes: weights in 22 bits of fixed point, across before down, rounded to
//! 8 bits after each. Only what the cut leaves is computed. See
//! <https://github.com/openai/CLIP/blob/main/clip/clip.py> and
//! <https://pillow.readthedocs.io/en/stable/reference/Image.html#PIL.Image.Image.resize>.

use std::ops::Range;

use super::taps::{CUBIC, Taps};
use super::{ImageSpec, Region, RgbView};

/// Binary places of a weight.
const PLACES: u32 = 22;
/// What rounds a sum to the nearest when its places are dropped.
const HALF: i32 = 1 << (PLACES - 1);

/// Prepares the centre of the image, or a region squashed to the square, into `[3, size, size]`.
pub(super) fn prepare(
    image: RgbView<'_>,
    region: Option<Region>,
    spec: &ImageSpec,
    out: &mut [f32],
) {
    let size = spec.size;
    let (region, width, height) = match region {
        Some(region) => (region, size, size),
        None => {
            let (width, height) = fitted(image.width, image.height, size);
            (Region::all(image.width, image.height), width, height)
        }
    };
    let across = fixed_point(region.width, width, centre(width, size));
    let down = fixed_point(region.height, height, centre(height, size));
    let taps = [&across, &down];
    pulp::Arch::new().dispatch(Scaling { image, region, spec, taps, out });
}

/// Scaling a region and normalising it.
struct Scaling<'a> {
    image: RgbView<'a>,
    region: Region,
    spec: &'a ImageSpec,
    taps: [&'a Taps<i32>; 2],
    out: &'a mut [f32],
}

impl pulp::NullaryFnOnce for Scaling<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { image, region, spec, taps: [across, down], out } = self;
        let size = spec.size;
        let rows = down.first()..down.end();
        let narrow = narrowed(image, region, rows.clone(), across, size);
        let mut row = vec![0; size * 3];
        for (at, (first, weights)) in down.iter().enumerate() {
            add_up(&narrow[(first - rows.start) * size * 3..], weights, &mut row);
            normalise(&row, at, spec, out);
        }
    }
}

fn fixed_point(input: usize, output: usize, wanted: Range<usize>) -> Taps<i32> {
    let one = f64::from(1 << PLACES);
    Taps::new(CUBIC, input, output, wanted, |weight| (weight * one).round() as i32)
}

/// The size whose shorter side is `size`; the other is rounded down.
fn fitted(width: usize, height: usize, size: usize) -> (usize, usize) {
    let longer = |long: usize, short: usize| (size as u128 * long as u128 / short as u128) as usize;
    if width <= height { (size, longer(height, width)) } else { (longer(width, height), size) }
}

/// The middle `size` of `length`; of two middles the one at an even start, as Python rounds.
fn centre(length: usize, size: usize) -> Range<usize> {
    let start = ((length - size) as f64 / 2.0).round_ties_even() as usize;
    start..start + size
}

/// Some rows of the region, scaled across to `size` pixels.
#[inline(always)]
fn narrowed(
    image: RgbView<'_>,
    region: Region,
    rows: Range<usize>,
    across: &Taps<i32>,
    size: usize,
) -> Vec<u8> {
    let mut narrow = vec![0; rows.len() * size * 3];
    for (row, out) in rows.zip(narrow.chunks_exact_mut(size * 3)) {
        let start = ((region.top + row) * image.width + region.left) * 3;
        let (pixels, _) = image.rgb[start..start + region.width * 3].as_chunks::<3>();
        for ((first, weights), out) in across.iter().zip(out.as_chunks_mut::<3>().0) {
            let mut sums = [HALF; 3];
            for (pixel, weight) in pixels[first..first + weights.len()].iter().zip(weights) {
                for (sum, &sample) in sums.iter_mut().zip(pixel) {
                    *sum += weight * i32::from(sample);
                }
            }
            *out = sums.map(rounded);
        }
    }
    narrow
}

/// Writes the weighted sum of as many rows as there are weights.
#[inline(always)]
fn add_up(rows: &[u8], weights: &[i32], out: &mut [u8]) {
    let mut sums = vec![HALF; out.len()];
    for (row, weight) in rows.chunks_exact(out.len()).zip(weights) {
        for (sum, &sample) in sums.iter_mut().zip(row) {
            *sum += weight * i32::from(sample);
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = rounded(sum);
    }
}

#[inline(always)]
fn rounded(sum: i32) -> u8 {
    (sum >> PLACES).clamp(0, 255) as u8
}

/// Writes row `at` of each plane.
#[inline(always)]
fn normalise(row: &[u8], at: usize, spec: &ImageSpec, out: &mut [f32]) {
    let size = spec.size;
    for channel in 0..3 {
        let (factor, summand) = spec.normaliser(channel, 255.0);
        let plane = &mut out[(channel * size + at) * size..][..size];
        for (value, pixel) in plane.iter_mut().zip(row.as_chunks::<3>().0) {
            *value = f32::from(pixel[channel]) * factor + summand;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::preprocess::golden::clip;
    use crate::model::preprocess::{Preprocess, prepare_into};
    use crate::model::tests::bounds::{F32, assert_within, guaranteed};

    /// Made by Pillow: `tests/golden/clip_preprocess.py`.
    const GOLDEN: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/clip_preprocess.json"));

    #[derive(serde::Deserialize)]
    struct Case {
        width: usize,
        height: usize,
        size: usize,
        /// Left, top, width, height.
        region: Option<[usize; 4]>,
        /// Interleaved, in hexadecimal.
        rgb: String,
    }

    /// The picture of the generator: ramps and noise, so that the filter overshoots both ends.
    fn picture(width: usize, height: usize) -> Vec<u8> {
        let sample = |at: usize| {
            let (x, y, channel) = (at / 3 % width, at / 3 / width, at % 3);
            let noise = (x * 7919 + y * 104_729 + channel * 1_299_709) * 2_654_435_761 % (1 << 32);
            let ramp = (x * 5 + y * 3 + channel * 60) % 256;
            if x / 8 % 2 == 0 { ramp as u8 } else { (noise >> 24) as u8 }
        };
        (0..width * height * 3).map(sample).collect()
    }

    #[test]
    fn every_byte_is_pillows() {
        let cases: Vec<Case> = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(cases.len(), 8);
        for Case { width, height, size, region, rgb } in cases {
            let picture = picture(width, height);
            let image = RgbView::new(width, height, &picture).unwrap();
            let region =
                region.map(|[left, top, width, height]| Region { left, top, width, height });
            let mut out = vec![0.0; 3 * size * size];
            let spec = clip(size);
            // A few operations on the byte's share of 255, with the mean, over the deviation. One level of
            // 255 is a thousand times as much.
            let within = guaranteed(F32, 4) / f64::from(spec.std[1]);
            prepare_into(image, region, &spec, Preprocess::Clip, &mut out);
            for (at, wanted) in hex::decode(rgb).unwrap().into_iter().enumerate() {
                let channel = at % 3;
                let value = out[channel * size * size + at / 3];
                let wanted = (f32::from(wanted) / 255.0 - spec.mean[channel]) / spec.std[channel];
                assert_within(
                    f64::from((value - wanted).abs()),
                    within,
                    format!("{width}×{height} to {size}, sample {at}"),
                );
            }
        }
    }

    #[test]
    fn the_shorter_side_fits_and_the_middle_is_kept() {
        assert_eq!(fitted(640, 480, 224), (298, 224));
        assert_eq!(fitted(3, 1000, 2), (2, 666));
        assert_eq!(centre(298, 224), 37..261);
        // Halves go to the even side.
        assert_eq!(centre(19, 16), 2..18);
        assert_eq!(centre(17, 16), 0..16);
    }
}
