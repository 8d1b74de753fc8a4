//! The released MagicLens' way: in floats, by the image's own maximum, squashed to a square.
//!
//! Down first and across second: rows are added up as they lie in memory, and only the rows that
//! remain are shortened. Division by the maximum commutes with both, so it is folded into the
//! normalisation of the result. Resizing the 8-bit pixels instead would move embeddings by up to
//! 0.19. See <https://arxiv.org/abs/2403.19651>; the arithmetic is that of `jax.image.resize`.

use std::array;

use super::taps::{TRIANGLE, Taps};
use super::{ImageSpec, Region, RgbView};

/// Prepares a region, or the whole image, into `[3, size, size]`.
pub(super) fn prepare(
    image: RgbView<'_>,
    region: Option<Region>,
    spec: &ImageSpec,
    out: &mut [f32],
) {
    // A black image is divided by 1e-12 in the original, and stays black.
    let largest = f32::from(image.rgb.iter().copied().max().unwrap_or(0).max(1));
    let region = region.unwrap_or(Region::all(image.width, image.height));
    let source = Source { samples: image.rgb, width: image.width, region };
    resize(&source, spec, largest, out);
}

/// A region of interleaved RGB samples, rows `width` pixels long.
struct Source<'a, T> {
    samples: &'a [T],
    width: usize,
    region: Region,
}

impl<T> Source<'_, T> {
    /// One row of the region.
    fn row(&self, row: usize) -> &[T] {
        let Region { left, top, width, .. } = self.region;
        let start = ((top + row) * self.width + left) * 3;
        &self.samples[start..start + width * 3]
    }
}

/// Resizes and normalises values 0 to `largest`.
fn resize<T: Copy + Into<f32>>(
    source: &Source<'_, T>,
    spec: &ImageSpec,
    largest: f32,
    out: &mut [f32],
) {
    let [red, green, blue] = [0, 1, 2].map(|channel| spec.normaliser(channel, largest));
    let normalisers = ([red.0, green.0, blue.0, 0.0], [red.1, green.1, blue.1, 0.0]);
    let size = [spec.size; 2];
    pulp::Arch::new().dispatch(Scaling { source, size, normalisers, out });
}

/// Resizing to a height and a width, into three planes, and normalising by factors and summands.
struct Scaling<'a, T> {
    source: &'a Source<'a, T>,
    size: [usize; 2],
    normalisers: ([f32; 4], [f32; 4]),
    out: &'a mut [f32],
}

impl<T: Copy + Into<f32>> pulp::NullaryFnOnce for Scaling<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        scale(self.source, self.size, self.normalisers, self.out);
    }
}

#[inline(always)]
fn scale<T: Copy + Into<f32>>(
    source: &Source<'_, T>,
    [height, width]: [usize; 2],
    normalisers: ([f32; 4], [f32; 4]),
    out: &mut [f32],
) {
    let round = |weight| weight as f32;
    let down = Taps::new(TRIANGLE, source.region.height, height, 0..height, round);
    let across = Taps::new(TRIANGLE, source.region.width, width, 0..width, round);
    let (red, rest) = out.split_at_mut(height * width);
    let (green, blue) = rest.split_at_mut(height * width);
    let planes = red.chunks_exact_mut(width).zip(green.chunks_exact_mut(width));
    let planes = planes.zip(blue.chunks_exact_mut(width)).map(|((r, g), b)| [r, g, b]);

    // One sample more than pixels have: the shortening reads four at a time.
    let mut sum = vec![0.0; source.region.width * 3 + 1];
    for ((first, weights), planes) in down.iter().zip(planes) {
        let length = sum.len() - 1;
        add_up(source, first, weights, &mut sum[..length]);
        shorten(&sum, &across, normalisers, planes);
    }
}

/// Writes the weighted sum of rows from `first` on.
#[inline(always)]
fn add_up<T: Copy + Into<f32>>(
    source: &Source<'_, T>,
    first: usize,
    weights: &[f32],
    sum: &mut [f32],
) {
    sum.fill(0.0);
    let (fours, rest) = weights.as_chunks::<4>();
    let mut row = first;
    for &four in fours {
        add_rows([0, 1, 2, 3].map(|next| source.row(row + next)), four, sum);
        row += 4;
    }
    for &weight in rest {
        add_rows([source.row(row)], [weight], sum);
        row += 1;
    }
}

/// Adds rows by their weights. Several at once, so that the sum is loaded and stored less often.
#[inline(always)]
fn add_rows<T: Copy + Into<f32>, const N: usize>(
    rows: [&[T]; N],
    weights: [f32; N],
    sum: &mut [f32],
) {
    let rows = rows.map(|row| &row[..sum.len()]);
    for (at, sum) in sum.iter_mut().enumerate() {
        let weighted = rows.iter().zip(weights).map(|(row, weight)| weight * row[at].into());
        *sum = weighted.fold(*sum, |sum, sample| sum + sample);
    }
}

/// Makes one row of each plane out of a row of pixels. The fourth sample of each window is the next
/// pixel's red, and is dropped: four fill a vector register.
#[inline(always)]
fn shorten(
    row: &[f32],
    across: &Taps<f32>,
    (factors, summands): ([f32; 4], [f32; 4]),
    [red, green, blue]: [&mut [f32]; 3],
) {
    let planes = red.iter_mut().zip(green).zip(blue);
    for ((start, weights), ((red, green), blue)) in across.iter().zip(planes) {
        let window = &row[start * 3..start * 3 + weights.len() * 3 + 1];
        let mut sums = [0.0; 4];
        for (tap, weight) in weights.iter().enumerate() {
            let samples: &[f32; 4] = window[tap * 3..].first_chunk().expect("one more than pixels");
            sums = array::from_fn(|at| sums[at] + weight * samples[at]);
        }
        let [r, g, b, _] = array::from_fn(|at| sums[at] * factors[at] + summands[at]);
        (*red, *green, *blue) = (r, g, b);
    }
}

#[cfg(test)]
mod tests {
    use magiclens_testing::conformance;

    use super::*;
    use crate::model::preprocess::golden::{Golden, apart, clip};
    use crate::model::preprocess::{Preprocess, prepare};
    use crate::model::tests::bounds::{F32, assert_within, likely};

    /// Rounding error of the original in float32, for images of values 0 to 1, measured against the same
    /// code in float64 (golden/README.md). The number comes from a file, so no machine changes it.
    const ORIGINALS: f64 = 2.4e-6;

    /// Bound for prepared images of values 0 to 1: the error of the original plus that of our sums. An
    /// output pixel (of 48) is a sum over at most `longest / 24 + 2` rows and as many columns, with a product
    /// and an addition for each. One level of 255 is hundreds of times larger.
    fn within(longest: usize) -> f64 {
        ORIGINALS + likely(F32, 2 * longest.div_ceil(12) + 8)
    }

    /// The same once divided by the deviation.
    fn normalised_within(longest: usize) -> f64 {
        within(longest) / f64::from(clip(1).std[1])
    }

    fn assert_near(ours: &[f32], wanted: &[f32], within: f64, what: &str) {
        assert_within(f64::from(apart(ours, wanted)), within, what);
    }

    fn largest(numbers: &[f32]) -> f64 {
        numbers.iter().fold(0.0, |most, number| f64::from(number.abs()).max(most))
    }

    /// Planes as the original keeps them: `[S, S, 3]`.
    fn interleaved(planes: &[f32]) -> Vec<f32> {
        let area = planes.len() / 3;
        (0..planes.len()).map(|at| planes[at % 3 * area + at / 3]).collect()
    }

    /// With the normalisation undone.
    fn denormalised(mut pixels: Vec<f32>) -> Vec<f32> {
        let ImageSpec { mean, std, .. } = clip(1);
        for (at, value) in pixels.iter_mut().enumerate() {
            *value = *value * std[at % 3] + mean[at % 3];
        }
        pixels
    }

    fn prepared(golden: &Golden, file: &str, size: usize) -> Vec<f32> {
        let (width, height, rgb) = golden.image(file);
        interleaved(&prepare(
            RgbView::new(width, height, &rgb).unwrap(),
            &clip(size),
            Preprocess::Released,
        ))
    }

    /// Resizes the largest centred square of floats 0 to 1, as the original's model side does.
    fn model_side(samples: &[f32], height: usize, width: usize, size: usize) -> Vec<f32> {
        let side = width.min(height);
        let region = Region {
            left: (width - side) / 2,
            top: (height - side) / 2,
            width: side,
            height: side,
        };
        let mut out = vec![0.0; 3 * size * size];
        resize(&Source { samples, width, region }, &clip(size), 1.0, &mut out);
        interleaved(&out)
    }

    #[test]
    fn all_images_are_prepared_as_in_the_original() {
        let Some(golden) = Golden::open("preprocess") else { return };
        let wanted = golden.floats("process_img");
        let normalised = golden.floats("model_preprocessed_first3");
        let files = golden.files();
        for (at, file) in files.iter().enumerate() {
            let ours = prepared(&golden, file, 48);
            let (length, (width, height, _)) = (ours.len(), golden.image(file));
            let (longest, part) = (width.max(height), at * length..(at + 1) * length);
            if at < 3 {
                assert_near(&ours, &normalised[part.clone()], normalised_within(longest), file);
            }
            assert_near(&denormalised(ours), &wanted[part], within(longest), file);
        }
        conformance("preprocess-images", files.len());
    }

    #[test]
    fn the_models_side_crops_and_resizes_as_in_the_original() {
        let Some(golden) = Golden::open("preprocess") else { return };
        let file = "05_big_201x151.png";
        let at_64 = golden.floats(&format!("extra/process_img_64/{file}"));
        let ours = denormalised(prepared(&golden, file, 64));
        assert_near(&ours, &at_64, within(201), file);
        let wanted = golden.floats(&format!("extra/model_preprocessed_from_64/{file}"));
        assert_near(&model_side(&at_64, 64, 64, 48), &wanted, normalised_within(64), file);
        let sizes = [(37, 53), (58, 31)];
        for (height, width) in sizes {
            let samples = golden.floats(&format!("extra/direct_in_{height}x{width}"));
            let wanted =
                golden.floats(&format!("extra/direct_model_preprocessed_{height}x{width}"));
            let ours = model_side(&samples, height, width, 48);
            assert_near(&ours, &wanted, normalised_within(58), &format!("{height}x{width}"));
        }
        conformance("preprocess-crops", 2 + sizes.len());
    }

    #[test]
    fn weights_are_those_of_the_original() {
        let Some(golden) = Golden::open("units") else { return };
        let sizes = [(10, 4), (3, 7), (7, 3)];
        for (input, output) in sizes {
            let wanted = golden.floats(&format!("resize/weights_in{input}_out{output}"));
            let mut ours = vec![0.0; input * output];
            let taps = Taps::new(TRIANGLE, input, output, 0..output, |weight| weight as f32);
            for (out, (start, weights)) in taps.iter().enumerate() {
                for (from, &weight) in (start..).zip(weights) {
                    ours[from * output + out] = weight;
                }
            }
            // Of positions up to ten, both rounded, and a quotient of sums over all of them.
            let within = likely(F32, 2 * input);
            assert_near(&ours, &wanted, within, &format!("{input} to {output}"));
        }
        conformance("resize-weights", sizes.len());
    }

    /// Larger, smaller, and both at once; the one plane of the golden stands in all three.
    #[test]
    fn any_size_is_resized_to_as_in_the_original() {
        let Some(golden) = Golden::open("units") else { return };
        let samples: Vec<f32> =
            golden.floats("resize/x_1x5x7x1").into_iter().flat_map(|value| [value; 3]).collect();
        let source = Source { samples: &samples, width: 7, region: Region::all(7, 5) };
        let sizes = [[1, 1], [2, 14], [3, 4], [5, 3], [8, 11]];
        for [height, width] in sizes {
            let wanted = golden.floats(&format!("resize/y_{height}x{width}"));
            let mut out = vec![f32::NAN; 3 * height * width];
            scale(&source, [height, width], ([1.0; 4], [0.0; 4]), &mut out);
            for plane in out.chunks_exact(height * width) {
                let within = likely(F32, 2 * (5 + 7)) * largest(&wanted);
                assert_near(plane, &wanted, within, &format!("{height}x{width}"));
            }
        }
        conformance("resize", sizes.len());
    }

    #[test]
    fn a_region_is_prepared_like_a_cut_out_image_of_the_same_maximum() {
        let (width, height) = (31, 22);
        let mut rgb: Vec<u8> = (0..width * height * 3).map(|at| (at * 37 % 199) as u8).collect();
        let region = Region { left: 5, top: 3, width: 20, height: 13 };
        let mut cut = Vec::new();
        for row in region.top..region.top + region.height {
            cut.extend_from_slice(&rgb[(row * width + region.left) * 3..][..region.width * 3]);
        }
        // The same maximum inside and outside.
        (rgb[0], cut[0]) = (250, 250);
        rgb[(region.top * width + region.left) * 3] = 250;
        let mut ours = vec![0.0; 3 * 8 * 8];
        super::prepare(
            RgbView::new(width, height, &rgb).unwrap(),
            Some(region),
            &clip(8),
            &mut ours,
        );
        let cut = RgbView::new(region.width, region.height, &cut).unwrap();
        assert_eq!(ours, prepare(cut, &clip(8), Preprocess::Released));
    }
}
