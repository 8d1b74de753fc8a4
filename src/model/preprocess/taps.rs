//! The weights of a separable resize: which source pixels an output pixel is made of.
//!
//! A filter is centred on the output pixel's place in the source (half-pixel centres) and, where
//! the image shrinks, widened by the scale. At the edges only pixels inside count, and weights
//! always sum to 1: nothing is padded. See
//! <https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters>.

/// A filter by its weight at a distance, in pixels of the larger grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter {
    /// No weight from here on.
    support: f64,
    weight: fn(f64) -> f64,
}

/// Linear interpolation; on shrinking, a triangle over all pixels that are merged.
pub(super) const TRIANGLE: Filter = Filter { support: 1.0, weight: triangle };

/// Keys' cubic with a = -1/2, which Pillow calls bicubic.
pub(super) const CUBIC: Filter = Filter { support: 2.0, weight: cubic };

fn triangle(distance: f64) -> f64 {
    (1.0 - distance.abs()).max(0.0)
}

fn cubic(distance: f64) -> f64 {
    const A: f64 = -0.5;
    match distance.abs() {
        x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => A * (((x - 5.0) * x + 8.0) * x - 4.0),
        _ => 0.0,
    }
}

/// Weights of one axis: `count` neighbouring source pixels for each output pixel.
pub(super) struct Taps<W> {
    /// The same for all outputs; some weights are 0.
    pub count: usize,
    starts: Vec<usize>,
    weights: Vec<W>,
}

impl<W: Copy + Default> Taps<W> {
    /// For scaling `input` pixels to `output`, of which those in `wanted` are needed; `round` gives
    /// the weights the form that the arithmetic wants.
    pub fn new(
        filter: Filter,
        input: usize,
        output: usize,
        wanted: std::ops::Range<usize>,
        round: impl Fn(f64) -> W,
    ) -> Self {
        let scale = input as f64 / output as f64;
        let reach = filter.support * scale.max(1.0);
        let spans: Vec<_> = wanted.map(|out| span(filter, out, scale, reach, input)).collect();
        let count = spans.iter().map(|(_, weights)| weights.len()).max().unwrap_or(0);
        let mut taps = Self { count, starts: Vec::new(), weights: Vec::new() };
        for (first, weights) in spans {
            // No window leaves the source: at its end, the zeros come first.
            let start = first.min(input - count);
            let mut window = vec![W::default(); count];
            for (slot, weight) in window[first - start..].iter_mut().zip(weights) {
                *slot = round(weight);
            }
            taps.starts.push(start);
            taps.weights.extend(window);
        }
        taps
    }

    /// First source pixel that any output pixel is made of.
    pub fn first(&self) -> usize {
        self.starts.first().copied().unwrap_or(0)
    }

    /// One past the last such pixel.
    pub fn end(&self) -> usize {
        self.starts.last().map_or(0, |start| start + self.count)
    }

    /// First source pixel and weights of each output pixel.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[W])> {
        self.starts.iter().copied().zip(self.weights.chunks_exact(self.count))
    }
}

/// First source pixel and normalised weights of one output pixel.
fn span(filter: Filter, out: usize, scale: f64, reach: f64, input: usize) -> (usize, Vec<f64>) {
    let centre = (out as f64 + 0.5) * scale;
    let first = (centre - reach + 0.5).max(0.0) as usize;
    let end = ((centre + reach + 0.5) as usize).min(input);
    // In Pillow's order of operations, so that weights round alike.
    let narrowing = 1.0 / scale.max(1.0);
    let distance = |pixel: usize| (pixel as f64 - centre + 0.5) * narrowing;
    let weights: Vec<f64> = (first..end).map(|pixel| (filter.weight)(distance(pixel))).collect();
    let sum: f64 = weights.iter().sum();
    (first, weights.into_iter().map(|weight| weight / sum).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taps(filter: Filter, input: usize, output: usize) -> Taps<f64> {
        Taps::new(filter, input, output, 0..output, |weight| weight)
    }

    #[test]
    fn the_same_size_takes_each_pixel_as_it_is() {
        for filter in [TRIANGLE, CUBIC] {
            for (out, (start, weights)) in taps(filter, 7, 7).iter().enumerate() {
                for (at, &weight) in (start..).zip(weights) {
                    assert_eq!(weight, f64::from(u8::from(at == out)), "{out}");
                }
            }
        }
    }

    #[test]
    fn halves_are_made_of_both_and_their_neighbours() {
        let halved = taps(TRIANGLE, 8, 4);
        let (start, weights) = halved.iter().nth(1).unwrap();
        assert_eq!((start, weights), (1, &[0.125, 0.375, 0.375, 0.125][..]));
    }

    proptest! {
        #[test]
        fn weights_sum_to_one_and_stay_inside(input in 1_usize..400, output in 1_usize..400) {
            for filter in [TRIANGLE, CUBIC] {
                let taps = taps(filter, input, output);
                prop_assert_eq!(taps.iter().count(), output);
                for (start, weights) in taps.iter() {
                    prop_assert!(start + weights.len() <= input);
                    prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                }
            }
        }
    }
}
