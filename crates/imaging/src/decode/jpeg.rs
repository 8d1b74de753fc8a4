//! JPEG by zune-jpeg; with feature `turbo` by libjpeg-turbo first and zune-jpeg for what that one
//! does not like.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::container::Container;
use crate::{Bitmap, ImageError};

/// Scans of one progressive file. Encoders write about ten; each more costs a pass over all blocks.
pub(super) const MAX_SCANS: usize = 64;

/// The pixels, and whether the file is sound.
pub(super) fn decode(
    bytes: &[u8],
    container: &Container<'_>,
    side: Option<u32>,
) -> Result<(Bitmap, bool), ImageError> {
    #[cfg(feature = "turbo")]
    if let Some(bitmap) = super::turbo::decode(bytes, container, side) {
        return Ok((bitmap, true));
    }
    let _ = side;
    match by_zune(bytes, container, true) {
        Ok(bitmap) => Ok((bitmap, true)),
        // A truncated image is refused, but a whole one with a flaw is usable.
        Err(error) if !container.is_complete => Err(error),
        Err(_) => Ok((by_zune(bytes, container, false)?, false)),
    }
}

fn by_zune(bytes: &[u8], container: &Container<'_>, strict: bool) -> Result<Bitmap, ImageError> {
    let options = DecoderOptions::new_fast()
        .set_max_width(u16::MAX.into())
        .set_max_height(u16::MAX.into())
        .set_strict_mode(strict)
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let broken = |error| ImageError::broken("jpeg", error);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(broken)?;
    let size = decoder.info().map(|info| (u32::from(info.width), u32::from(info.height)));
    if size != Some((container.width, container.height)) {
        // The caps were checked against the first frame header: no other may take its place.
        return Err(ImageError::broken("jpeg", "two frame headers of different sizes"));
    }
    let rgb = decoder.decode().map_err(broken)?;
    Bitmap::new(container.width, container.height, rgb)
        .ok_or_else(|| ImageError::broken("jpeg", "not decoded to rgb"))
}
