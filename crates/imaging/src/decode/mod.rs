//! From bytes to 8-bit RGB: one decoder a format, chosen so that none can run without end.

mod jpeg;
mod raster;
#[cfg(feature = "turbo")]
mod turbo;

use magiclens_common::config::Fetch;

use super::container::Container;
use super::{Bitmap, Format, ImageError, guard, orient, rights};

/// Decoder of JPEG: two decoders differ in the last bit of some pixels, and so do the features.
pub const JPEG_DECODER: &str = if cfg!(feature = "turbo") { "libjpeg-turbo" } else { "zune-jpeg" };

/// Treatment of transparency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alpha {
    /// As a browser shows it on a white page.
    OnWhite,
    /// The colours that lie under it, as Pillow's `convert("RGB")` has them.
    Dropped,
}

/// Pixels as the file holds them, before orientation.
pub(super) struct Decoded {
    /// Without alpha, 16 bits scaled to 8, CMYK and grey turned into RGB.
    pub bitmap: Bitmap,
    /// The profile that the RGB values are meant in, where there is one.
    pub icc: Option<Vec<u8>>,
    /// Decoded without a complaint, so that other readers will not complain either.
    pub is_sound: bool,
}

/// Decodes to upright RGB at full size, under the caps of `limits`.
pub fn decode_rgb(bytes: &[u8], limits: &Fetch) -> Result<Bitmap, ImageError> {
    guard::catch(|| {
        let format = Format::sniff(bytes)?;
        let container = Container::read(format, bytes)?;
        container.check(limits.max_pixels, limits.max_decode_bytes)?;
        let orientation = rights::Exif::read(&container).orientation;
        let decoded = decode(format, &container, bytes, limits, None, Alpha::OnWhite)?;
        Ok(orient::upright(decoded.bitmap, orientation))
    })
}

/// Decodes to RGB as Pillow's `convert("RGB")` does, which is what models were trained with: not turned
/// by EXIF, colours as they lie under transparency.
pub fn decode_stored(bytes: &[u8], limits: &Fetch) -> Result<Bitmap, ImageError> {
    guard::catch(|| {
        let format = Format::sniff(bytes)?;
        let container = Container::read(format, bytes)?;
        container.check(limits.max_pixels, limits.max_decode_bytes)?;
        Ok(decode(format, &container, bytes, limits, None, Alpha::Dropped)?.bitmap)
    })
}

/// Decodes what [`Container::check`] let through. With `side`, the caller scales the result to that
/// largest side and does not mind a decoder that does part of it.
pub(super) fn decode(
    format: Format,
    container: &Container<'_>,
    bytes: &[u8],
    limits: &Fetch,
    side: Option<u32>,
    alpha: Alpha,
) -> Result<Decoded, ImageError> {
    match format {
        Format::Jpeg => {
            let (bitmap, is_sound) = jpeg::decode(bytes, container, side)?;
            let icc = container.icc.clone().filter(|_| container.plain);
            Ok(Decoded { bitmap, icc, is_sound })
        }
        Format::Png => raster::png(bytes, limits.max_decode_bytes, alpha),
        Format::WebP => raster::webp(bytes, limits.max_decode_bytes, alpha),
        Format::Gif => raster::gif(bytes, limits.max_decode_bytes, alpha),
        Format::Bmp => raster::bmp(bytes, limits.max_decode_bytes, alpha),
    }
}
