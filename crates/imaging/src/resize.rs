//! Scaling by fast_image_resize, one resizer a thread so that its buffers are used again.

use std::cell::RefCell;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::Bitmap;

thread_local! {
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

impl Bitmap {
    /// `None` unless the buffer holds exactly the pixels announced.
    pub(super) fn new(width: u32, height: u32, rgb: Vec<u8>) -> Option<Self> {
        let expected = u64::from(width) * u64::from(height) * 3;
        (rgb.len() as u64 == expected && expected > 0).then_some(Self { width, height, rgb })
    }

    /// The part of it between two corners, each a share of width and height from 0 to 1; never empty.
    pub fn cropped(&self, from: (f64, f64), to: (f64, f64)) -> Self {
        let span = |length: u32, from: f64, to: f64| {
            let at = |share: f64| (f64::from(length) * share).round() as u32;
            let from = at(from).min(length - 1);
            (from as usize, at(to).clamp(from + 1, length) as usize)
        };
        let ((left, right), (top, foot)) =
            (span(self.width, from.0, to.0), span(self.height, from.1, to.1));
        let row = |y: usize| {
            let begin = (y * self.width as usize + left) * 3;
            &self.rgb[begin..begin + (right - left) * 3]
        };
        let rgb = (top..foot).flat_map(row).copied().collect();
        Self { width: (right - left) as u32, height: (foot - top) as u32, rgb }
    }

    /// Scaled to this size by area-aware interpolation.
    pub(super) fn resized(&self, width: u32, height: u32) -> Self {
        let rgb = resize::<U8x3>(&self.rgb, (self.width, self.height), (width, height));
        Self { width, height, rgb }
    }
}

/// Scales one 8-bit channel.
pub(super) fn resize_luma(luma: &[u8], from: (u32, u32), to: (u32, u32)) -> Vec<u8> {
    resize::<U8>(luma, from, to)
}

/// The size whose largest side is `side`, at least one pixel in the other direction.
pub(super) fn fitted(width: u32, height: u32, side: u32) -> (u32, u32) {
    let largest = u64::from(width.max(height).max(1));
    let scaled = |length: u32| {
        let rounded = (u64::from(length) * u64::from(side) + largest / 2) / largest;
        u32::try_from(rounded).unwrap_or(side).max(1)
    };
    (scaled(width), scaled(height))
}

/// Triangle filter, widened to the area that a pixel stands for: as sharp as what it is compared
/// with, no ringing, and the cheapest that does not alias.
fn resize<P: PixelTrait>(pixels: &[u8], from: (u32, u32), to: (u32, u32)) -> Vec<u8> {
    let source = TypedImageRef::<P>::from_buffer(from.0, from.1, pixels)
        .expect("a bitmap's buffer holds width × height pixels");
    let mut scaled = vec![0; to.0 as usize * to.1 as usize * size_of::<P>()];
    let mut target = TypedImage::<P>::from_buffer(to.0, to.1, &mut scaled)
        .expect("the buffer is of the target's size");
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    RESIZER.with_borrow_mut(|resizer| {
        // Typed: the call for any type of pixel compiles the kernels of all.
        resizer.resize_typed(&source, &mut target, &options).expect("no side is zero");
    });
    scaled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_side_fits_and_none_vanishes() {
        assert_eq!(fitted(1000, 500, 512), (512, 256));
        assert_eq!(fitted(333, 1000, 512), (170, 512));
        assert_eq!(fitted(1, 65_000, 512), (1, 512));
        assert_eq!(fitted(u32::MAX, u32::MAX, 512), (512, 512));
    }

    #[test]
    fn a_crop_has_the_pixels_between_its_corners() {
        let bitmap = Bitmap::new(4, 2, (0..24).collect()).unwrap();
        let middle = bitmap.cropped((0.25, 0.0), (0.75, 0.5));
        assert_eq!(middle, Bitmap { width: 2, height: 1, rgb: (3..9).collect() });
        assert_eq!(bitmap.cropped((0.0, 0.0), (1.0, 1.0)), bitmap);
        let corner = bitmap.cropped((1.0, 1.0), (1.0, 1.0));
        assert_eq!(corner, Bitmap { width: 1, height: 1, rgb: (21..24).collect() });
    }

    #[test]
    fn scaling_down_averages_areas() {
        let checkers = (0..64 * 64).flat_map(|i| [if (i + i / 64) % 2 == 0 { 0 } else { 255 }; 3]);
        let bitmap = Bitmap::new(64, 64, checkers.collect()).unwrap();
        let small = bitmap.resized(8, 8);
        assert!(small.rgb.iter().all(|&value| (118..=137).contains(&value)), "{:?}", small.rgb);
    }
}
