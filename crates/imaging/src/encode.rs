//! The bytes that are stored in place of an original.
//!
//! Always JPEG, 4:2:0 with averaged chroma: what web photographs are anyway, a fifth smaller than
//! 4:4:4, and one format for every reader. Line art pays with some ringing; telling it apart and
//! storing PNG was not worth a second path.

use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

use super::{Bitmap, ImageError};

/// Profiles up to this size are kept: all that describe a colour space, not those of a printer.
const MAX_PROFILE: usize = 16 << 10;

/// Largest side that JPEG can hold, less the room that decoders want.
pub(super) const MAX_SIDE: u32 = 65_500;

/// Encodes as JPEG. A profile goes along unless it says sRGB, which readers assume.
pub(super) fn jpeg(
    bitmap: &Bitmap,
    quality: u8,
    icc: Option<&[u8]>,
) -> Result<Vec<u8>, ImageError> {
    let icc = icc.filter(|icc| is_worth_keeping(icc));
    #[cfg(feature = "turbo")]
    if let (None, Some(bytes)) = (icc, turbo::jpeg(bitmap, quality)) {
        return Ok(bytes);
    }
    let failed = |error| ImageError::broken("stored jpeg", error);
    let mut bytes = Vec::with_capacity(bitmap.rgb.len() / 6 + 1024);
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    if let Some(icc) = icc {
        encoder.add_icc_profile(icc).map_err(failed)?;
    }
    let side = |length: u32| {
        u16::try_from(length).map_err(|error| ImageError::broken("stored jpeg", error))
    };
    let (width, height) = (side(bitmap.width)?, side(bitmap.height)?);
    encoder.encode(&bitmap.rgb, width, height, ColorType::Rgb).map_err(failed)?;
    Ok(bytes)
}

/// An RGB profile of a reasonable size that is not sRGB.
fn is_worth_keeping(icc: &[u8]) -> bool {
    let is_srgb = || {
        icc.windows(4).any(|text| text == b"sRGB")
            || icc.windows(8).any(|text| text == b"\0s\0R\0G\0B")
    };
    icc.len() <= MAX_PROFILE && icc.get(16..20) == Some(b"RGB ") && !is_srgb()
}

/// The same by libjpeg-turbo: a quarter of the time.
#[cfg(feature = "turbo")]
mod turbo {
    use std::cell::RefCell;

    use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

    use super::Bitmap;

    thread_local! {
        static COMPRESSOR: RefCell<Option<Compressor>> = RefCell::new(compressor());
    }

    fn compressor() -> Option<Compressor> {
        let mut compressor = Compressor::new().ok()?;
        compressor.set_subsamp(Subsamp::Sub2x2).ok()?;
        Some(compressor)
    }

    pub(super) fn jpeg(bitmap: &Bitmap, quality: u8) -> Option<Vec<u8>> {
        COMPRESSOR.with_borrow_mut(|compressor| {
            let compressor = compressor.as_mut()?;
            compressor.set_quality(quality.into()).ok()?;
            let (width, height) = (bitmap.width as usize, bitmap.height as usize);
            let pixels = bitmap.rgb.as_slice();
            let format = PixelFormat::RGB;
            compressor
                .compress_to_vec(Image { pixels, width, pitch: width * 3, height, format })
                .ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_rgb_profiles_other_than_srgb_are_kept() {
        let profile = |space: &[u8], name: &[u8]| [&[0; 16], space, &[0; 100], name].concat();
        assert!(is_worth_keeping(&profile(b"RGB ", b"Display P3")));
        assert!(!is_worth_keeping(&profile(b"RGB ", b"sRGB IEC61966-2.1")));
        assert!(!is_worth_keeping(&profile(b"RGB ", b"\0s\0R\0G\0B")));
        assert!(!is_worth_keeping(&profile(b"CMYK", b"")));
        assert!(!is_worth_keeping(&profile(b"RGB ", &[0; MAX_PROFILE])));
    }
}
