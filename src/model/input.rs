//! From the bytes of an image file to the model's input: decoding and preprocessing as one.

use std::path::Path;

use super::preprocess::{ImageSpec, Preprocess, RandomCrop, RgbView, prepare_into};
use crate::config::Fetch;
use crate::imaging::{Bitmap, ImageError, decode_stored};

/// Conversion of image files to tensors.
#[derive(Clone, Copy, Debug)]
pub struct ImageInput {
    /// Size and normalisation of the tensors.
    pub spec: ImageSpec,
    /// Scaling and normalisation.
    pub how: Preprocess,
    /// Random crops, in training only.
    pub crop: Option<RandomCrop>,
}

impl ImageInput {
    /// Decodes a file's bytes into `[3, S, S]`; `seed` is that of the crop.
    pub fn read(&self, bytes: &[u8], seed: u64, pixels: &mut [f32]) -> Result<(), String> {
        self.decode(bytes, seed, &Fetch::default(), pixels).map_err(|error| error.to_string())
    }

    /// The same under the caps of `limits`, with an error that says what kind of fault it was.
    pub fn decode(
        &self,
        bytes: &[u8],
        seed: u64,
        limits: &Fetch,
        pixels: &mut [f32],
    ) -> Result<(), ImageError> {
        let image = decode_stored(bytes, limits)?;
        let (width, height) = (image.width as usize, image.height as usize);
        let none = || ImageError::Broken("an image without pixels".into());
        let view = RgbView::new(width, height, &image.rgb).ok_or_else(none)?;
        let region = self.crop.map(|crop| crop.region(width, height, seed));
        prepare_into(view, region, &self.spec, self.how, pixels);
        Ok(())
    }

    /// A file's object, with what is around it.
    pub fn read_cut(&self, path: &Path, cut: Cut, pixels: &mut [f32]) -> Result<(), String> {
        let named = |problem: String| format!("{}: {problem}", path.display());
        let bytes = std::fs::read(path).map_err(|error| named(error.to_string()))?;
        let image =
            decode_stored(&bytes, &Fetch::default()).map_err(|error| named(error.to_string()))?;
        let square = cut.of(&image).ok_or_else(|| named(format!("{cut:?} is not in it")))?;
        let side = square.width as usize;
        let view =
            RgbView::new(side, side, &square.rgb).ok_or_else(|| named("no pixels".into()))?;
        prepare_into(view, None, &self.spec, self.how, pixels);
        Ok(())
    }

    /// The same of a file.
    pub fn read_file(&self, path: &Path, pixels: &mut [f32]) -> Result<(), String> {
        let named = |problem: String| format!("{}: {problem}", path.display());
        let bytes = std::fs::read(path).map_err(|error| named(error.to_string()))?;
        self.read(&bytes, 0, pixels).map_err(named)
    }
}

/// An object in an image: left, top, width and height of its box, in pixels.
///
/// It is cut out as GeneCIS does: on each side with 0.7 of the box's size around it, as far as the image goes, and
/// put in the middle of a black square. <https://github.com/facebookresearch/genecis>
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut(pub [f64; 4]);

/// What is seen around a box, as a part of its size.
const AROUND: f64 = 0.7;

impl Cut {
    /// `None` where nothing of it is in the image.
    fn of(self, image: &Bitmap) -> Option<Bitmap> {
        let Self([x, y, width, height]) = self;
        let (left, right) = span(x, width, image.width);
        let (top, bottom) = span(y, height, image.height);
        let (wide, tall) = (right.checked_sub(left)?, bottom.checked_sub(top)?);
        let side = wide.max(tall);
        if wide.min(tall) == 0 {
            return None;
        }
        let mut rgb = vec![0; side * side * 3];
        let (right_by, down_by) = ((side - wide) / 2, (side - tall) / 2);
        for row in 0..tall {
            let from = ((top + row) * image.width as usize + left) * 3;
            let to = ((down_by + row) * side + right_by) * 3;
            rgb[to..to + wide * 3].copy_from_slice(&image.rgb[from..from + wide * 3]);
        }
        Some(Bitmap { width: side as u32, height: side as u32, rgb })
    }
}

/// Where a box begins and ends with what is around it. As in the original, the far end is reckoned from the near
/// one after that was held to the image, so it reaches 1.7 sizes from there.
fn span(start: f64, size: f64, limit: u32) -> (usize, usize) {
    let near = (start - AROUND * size).max(0.0);
    let far = (near + (1.0 + AROUND) * size).min(f64::from(limit));
    (near.round_ties_even() as usize, far.round_ties_even() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_cut_out_with_what_is_around_it_on_a_black_square() {
        let rgb = (0..20 * 10).flat_map(|at| [at as u8, 1, 2]).collect();
        let image = Bitmap { width: 20, height: 10, rgb };
        // 0.7 of 4 to the left, as far as the edge above; 1.7 sizes on from there.
        let cut = Cut([6.0, 1.0, 4.0, 2.0]).of(&image).unwrap();
        assert_eq!((cut.width, cut.height), (7, 7));
        let pixel = |x: usize, y: usize| &cut.rgb[(y * 7 + x) * 3..][..3];
        assert_eq!(pixel(0, 0), [0, 0, 0]);
        assert_eq!((pixel(0, 2), pixel(6, 4)), (&[3, 1, 2][..], &[3 + 6 + 2 * 20, 1, 2][..]));
        assert_eq!(pixel(0, 5), [0, 0, 0]);
        assert_eq!(Cut([30.0, 0.0, 2.0, 2.0]).of(&image), None);
    }
}
