//! One image from its bytes to the row that is stored, URL and times aside.

use super::container::Container;
use super::decode::decode;
use super::{Bitmap, Features, Format, ImageError, encode, guard, orient, resize, rights};
use crate::config::Fetch;
use crate::record::{ImageId, StoredAs};

/// An original may take this many bytes a pixel (and [`SPARE_BYTES`] on top) before it is encoded
/// again: a small picture with megabytes of anything else is not kept as it is.
const MAX_BYTES_PER_PIXEL: u64 = 4;
const SPARE_BYTES: u64 = 64 << 10;

/// All that an image's bytes tell, and the bytes to store.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// sha256 of the original bytes.
    pub image_id: ImageId,
    /// Format of the original bytes.
    pub format: Format,
    /// Length of the original bytes.
    pub original_bytes: u64,
    /// Width in pixels, upright.
    pub width: u32,
    /// Height in pixels, upright.
    pub height: u32,
    /// Whether `bytes` are the original ones.
    pub stored_as: StoredAs,
    /// Width of `bytes`.
    pub stored_width: u32,
    /// Height of `bytes`.
    pub stored_height: u32,
    /// Hashes, colours and entropy.
    pub features: Features,
    /// Copyright or licence in the image's own metadata.
    pub rights: Option<String>,
    /// What to store: JPEG, PNG, WebP or GIF, upright.
    pub bytes: Vec<u8>,
}

/// Decodes, scales, hashes and re-encodes one image under the caps of `limits`.
///
/// Takes milliseconds of CPU and as much memory as `limits` allow: call it off the async threads,
/// or use [`super::prepare_guarded`]. Never panics.
pub fn prepare(bytes: Vec<u8>, limits: &Fetch) -> Result<Prepared, ImageError> {
    guard::catch(move || prepare_unguarded(bytes, limits))
}

fn prepare_unguarded(bytes: Vec<u8>, limits: &Fetch) -> Result<Prepared, ImageError> {
    let format = Format::sniff(&bytes)?;
    let container = Container::read(format, &bytes)?;
    container.check(limits.max_pixels, limits.max_decode_bytes)?;
    let exif = rights::Exif::read(&container);
    let (width, height) = (container.width, container.height);
    let side = limits.max_side.min(encode::MAX_SIDE);
    let is_small = width.max(height) <= side;

    let decoded = decode(format, &container, &bytes, limits, Some(side))?;
    let bitmap = orient::upright(scaled(decoded.bitmap, (width, height), side), exif.orientation);
    let features = Features::of(&bitmap);
    let rights = rights::rights(&container, &exif);
    let is_upright = exif.orientation == orient::Orientation::UPRIGHT;
    let keep = is_small && is_upright && is_kept(format, &container, &bytes);
    drop(container);

    let (width, height) =
        if exif.orientation.swaps_sides() { (height, width) } else { (width, height) };
    let image_id = ImageId::of(&bytes);
    let original_bytes = bytes.len() as u64;
    let (stored_as, bytes) = if keep {
        (StoredAs::Original, bytes)
    } else {
        let jpeg = encode::jpeg(&bitmap, limits.jpeg_quality, decoded.icc.as_deref())?;
        (StoredAs::Reencoded, jpeg)
    };
    let Bitmap { width: stored_width, height: stored_height, .. } = bitmap;
    Ok(Prepared {
        image_id,
        format,
        original_bytes,
        width,
        height,
        stored_as,
        stored_width,
        stored_height,
        features,
        rights,
        bytes,
    })
}

/// Scaled down so that the largest side is at most `side`, keeping the proportions of `full`.
fn scaled(bitmap: Bitmap, full: (u32, u32), side: u32) -> Bitmap {
    if bitmap.width.max(bitmap.height) <= side {
        return bitmap;
    }
    let (width, height) = resize::fitted(full.0, full.1, side);
    bitmap.resized(width, height)
}

/// Whether any reader shows the original as we do.
fn is_kept(format: Format, container: &Container<'_>, bytes: &[u8]) -> bool {
    let pixels = u64::from(container.width) * u64::from(container.height);
    let lean = bytes.len() as u64 <= pixels * MAX_BYTES_PER_PIXEL + SPARE_BYTES;
    format != Format::Bmp && container.plain && !container.animated && lean
}
