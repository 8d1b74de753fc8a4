//! One image from its bytes to the row that is stored, URL and times aside.

use magiclens_common::config::Fetch;
use magiclens_core::{ImageId, StoredAs};

use super::container::Container;
use super::decode::{Alpha, decode};
use super::{Bitmap, Features, Format, ImageError, encode, guard, orient, resize, rights};

/// An original may take this many bytes a pixel (and [`SPARE_BYTES`] on top) before it is encoded
/// again: a small image with megabytes of other data is not stored unchanged.
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
    /// Relation of `bytes` to the original ones.
    pub stored_as: StoredAs,
    /// Width of `bytes`.
    pub stored_width: u32,
    /// Height of `bytes`.
    pub stored_height: u32,
    /// Hashes, colours and entropy.
    pub features: Features,
    /// Copyright or licence in the image's own metadata.
    pub rights: Option<String>,
    /// Bytes to store: JPEG, PNG, WebP or GIF, upright.
    pub bytes: Vec<u8>,
}

/// Decodes, scales, hashes and re-encodes one image under the caps of `limits`.
///
/// Takes milliseconds of CPU and as much memory as `limits` allow: call it off the async threads,
/// or use [`super::prepare_guarded`]. Never panics.
///
/// ```
/// use std::io::Cursor;
///
/// use image::{ImageFormat, Rgb, RgbImage};
/// use magiclens_common::config::Fetch;
/// use magiclens_imaging::prepare;
///
/// let picture = RgbImage::from_fn(240, 180, |x, y| Rgb([x as u8, y as u8, (x * y / 170) as u8]));
/// let prepared = |format| {
///     let mut file = Cursor::new(Vec::new());
///     picture.write_to(&mut file, format)?;
///     anyhow::Ok(prepare(file.into_inner(), &Fetch::default())?)
/// };
/// let (png, jpeg) = (prepared(ImageFormat::Png)?, prepared(ImageFormat::Jpeg)?);
/// assert_eq!((png.width, png.height), (240, 180));
/// assert_ne!(png.image_id, jpeg.image_id);
/// // The perceptual hash outlasts another encoding.
/// assert!((png.features.phash ^ jpeg.features.phash).count_ones() <= 3);
/// # anyhow::Ok(())
/// ```
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

    let decoded = decode(format, &container, &bytes, limits, Some(side), Alpha::OnWhite)?;
    let bitmap = orient::upright(scaled(decoded.bitmap, (width, height), side), exif.orientation);
    let features = Features::of(&bitmap);
    let rights = rights::rights(&container, &exif);
    let is_upright = exif.orientation == orient::Orientation::UPRIGHT;
    let keep = is_small && is_upright && decoded.is_sound && is_kept(format, &container, &bytes);
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

/// Returns true if the original can be stored, because every reader shows it as we do.
fn is_kept(format: Format, container: &Container<'_>, bytes: &[u8]) -> bool {
    let pixels = u64::from(container.width) * u64::from(container.height);
    let lean = bytes.len() as u64 <= pixels * MAX_BYTES_PER_PIXEL + SPARE_BYTES;
    format != Format::Bmp && container.plain && !container.animated && lean
}

#[cfg(test)]
mod tests {
    use image::ImageFormat;

    use super::*;
    use crate::{decode_rgb, samples};

    fn prepared(bytes: &[u8], max_side: u32) -> Prepared {
        prepare(bytes.to_vec(), &Fetch { max_side, ..Fetch::default() }).unwrap()
    }

    /// The JPEG with an Exif block of one tag.
    fn with_exif(jpeg: &[u8], tag: u16, value: u16) -> Vec<u8> {
        let mut block = b"Exif\0\0II*\0\x08\0\0\0\x01\0".to_vec();
        block.extend(tag.to_le_bytes());
        block.extend([3, 0, 1, 0, 0, 0]);
        block.extend(value.to_le_bytes());
        block.extend([0; 6]);
        let length = (block.len() as u16 + 2).to_be_bytes();
        [&jpeg[..2], &[0xFF, 0xE1], &length, &block, &jpeg[2..]].concat()
    }

    #[test]
    fn small_originals_are_kept_byte_for_byte() {
        let scene = samples::scene(200, 150, 1);
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
            let bytes = samples::encode(&scene, format);
            let prepared = prepared(&bytes, 200);
            assert_eq!(prepared.stored_as, StoredAs::Original, "{format:?}");
            assert_eq!(prepared.bytes, bytes);
            assert_eq!(prepared.image_id, ImageId::of(&bytes));
            assert_eq!((prepared.stored_width, prepared.stored_height), (200, 150));
        }
    }

    #[test]
    fn what_is_large_or_not_for_every_reader_becomes_a_jpeg() {
        let scene = samples::scene(200, 150, 1);
        let deep = image::DynamicImage::from(
            image::RgbImage::from_raw(200, 150, scene.rgb.clone()).unwrap(),
        );
        let mut sixteen_bits = std::io::Cursor::new(Vec::new());
        deep.to_rgb16().write_to(&mut sixteen_bits, ImageFormat::Png).unwrap();
        for (bytes, side) in [
            (samples::encode(&scene, ImageFormat::Png), 199),
            (samples::encode(&scene, ImageFormat::Bmp), 512),
            (sixteen_bits.into_inner(), 512),
        ] {
            let prepared = prepared(&bytes, side);
            assert_eq!(prepared.stored_as, StoredAs::Reencoded);
            assert_eq!(Format::sniff(&prepared.bytes), Ok(Format::Jpeg));
            assert_eq!((prepared.width, prepared.height), (200, 150));
            assert_eq!(prepared.stored_width, side.min(200));
        }
    }

    #[test]
    fn animations_keep_their_first_frame() {
        let frames = [1, 2].map(|seed| {
            let scene = samples::scene(64, 48, seed);
            let pixels = image::RgbImage::from_raw(64, 48, scene.rgb).unwrap();
            image::Frame::new(image::DynamicImage::from(pixels).to_rgba8())
        });
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
        encoder.encode_frames(frames).unwrap();
        drop(encoder);
        let prepared = prepared(&bytes, 512);
        assert_eq!(prepared.stored_as, StoredAs::Reencoded);
        let first = Features::of(&samples::scene(64, 48, 1));
        assert!((first.phash ^ prepared.features.phash).count_ones() <= 3);
    }

    #[test]
    fn the_largest_side_shrinks_and_the_other_follows() {
        let bytes = samples::jpeg(&samples::photo(1500, 700, 4), 85);
        let prepared = prepared(&bytes, 256);
        assert_eq!((prepared.width, prepared.height), (1500, 700));
        assert_eq!((prepared.stored_width, prepared.stored_height), (256, 119));
        let stored = decode_rgb(&prepared.bytes, &Fetch::default()).unwrap();
        assert_eq!((stored.width, stored.height), (256, 119));
        let wanted = samples::photo(256, 119, 4);
        let apart: u64 =
            stored.rgb.iter().zip(&wanted.rgb).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        assert!(apart / (wanted.rgb.len() as u64) < 4, "{apart}");
    }

    #[test]
    fn a_turned_photograph_is_stored_upright() {
        let turned = samples::scene(150, 200, 6);
        let jpeg = samples::jpeg(&turned, 95);
        let plain = with_exif(&jpeg, 0x0112, 1);
        assert_eq!(prepared(&plain, 512).bytes, plain);
        let prepared = prepared(&with_exif(&jpeg, 0x0112, 6), 512);
        assert_eq!((prepared.width, prepared.height), (200, 150));
        assert_eq!((prepared.stored_width, prepared.stored_height), (200, 150));
        assert_eq!(prepared.stored_as, StoredAs::Reencoded);
        let stored = decode_rgb(&prepared.bytes, &Fetch::default()).unwrap();
        let wanted = orient::upright(turned, orient::Orientation::from_tag(6));
        assert_eq!((stored.width, stored.height), (200, 150));
        let apart: u64 =
            stored.rgb.iter().zip(&wanted.rgb).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        assert!(apart / (wanted.rgb.len() as u64) < 3, "{apart}");
    }

    #[test]
    fn a_profile_survives_encoding_again() {
        let profile = [&[0; 16], &b"RGB "[..], &[7; 300]].concat();
        let bitmap = samples::scene(300, 200, 1);
        let bytes = encode::jpeg(&bitmap, 90, Some(&profile)).unwrap();
        let stored = prepared(&bytes, 128).bytes;
        let container = Container::read(Format::Jpeg, &stored).unwrap();
        assert_eq!(container.icc, Some(profile));
    }
}
