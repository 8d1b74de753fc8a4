//! From the bytes of an image file to the model's input: decoding and preprocessing as one.

use std::path::Path;

use super::preprocess::{ImageSpec, Preprocess, RandomCrop, RgbView, prepare_into};
use crate::config::Fetch;
use crate::imaging::{ImageError, decode_stored};

/// How image files become tensors.
#[derive(Clone, Copy, Debug)]
pub struct ImageInput {
    /// Their size and numbers.
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

    /// The same of a file.
    pub fn read_file(&self, path: &Path, pixels: &mut [f32]) -> Result<(), String> {
        let named = |problem: String| format!("{}: {problem}", path.display());
        let bytes = std::fs::read(path).map_err(|error| named(error.to_string()))?;
        self.read(&bytes, 0, pixels).map_err(named)
    }
}
