//! PNG, WebP, GIF and BMP by the `image` crate's decoders.

use std::io::Cursor;

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder};
use image::{ColorType, ImageDecoder, Limits};
use image_webp::WebPDecoder;

use super::{Alpha, Decoded};
use crate::{Bitmap, ImageError};

pub(super) fn png(bytes: &[u8], max_bytes: u64, alpha: Alpha) -> Result<Decoded, ImageError> {
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits(max_bytes));
    read("png", decoder.map_err(|error| ImageError::broken("png", error))?, max_bytes, alpha)
}

pub(super) fn gif(bytes: &[u8], max_bytes: u64, alpha: Alpha) -> Result<Decoded, ImageError> {
    let decoder = GifDecoder::new(Cursor::new(bytes));
    let mut decoder = decoder.map_err(|error| ImageError::broken("gif", error))?;
    decoder.set_limits(limits(max_bytes)).map_err(|error| ImageError::broken("gif", error))?;
    read("gif", decoder, max_bytes, alpha)
}

pub(super) fn bmp(bytes: &[u8], max_bytes: u64, alpha: Alpha) -> Result<Decoded, ImageError> {
    let decoder = BmpDecoder::new(Cursor::new(bytes));
    read("bmp", decoder.map_err(|error| ImageError::broken("bmp", error))?, max_bytes, alpha)
}

pub(super) fn webp(bytes: &[u8], max_bytes: u64, alpha: Alpha) -> Result<Decoded, ImageError> {
    let broken = |error| ImageError::broken("webp", error);
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(broken)?;
    decoder.set_memory_limit(usize::try_from(max_bytes).unwrap_or(usize::MAX));
    let (width, height) = decoder.dimensions();
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut buffer = vec![0; sized("webp", width, height, channels, max_bytes)?];
    let icc = decoder.icc_profile().ok().flatten();
    decoder.read_image(&mut buffer).map_err(broken)?;
    let colour = if channels == 4 { ColorType::Rgba8 } else { ColorType::Rgb8 };
    decoded("webp", (width, height), colour, buffer, icc, alpha)
}

fn limits(max_bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(max_bytes);
    limits
}

fn read(
    format: &str,
    mut decoder: impl ImageDecoder,
    max_bytes: u64,
    alpha: Alpha,
) -> Result<Decoded, ImageError> {
    let (width, height) = decoder.dimensions();
    let colour = decoder.color_type();
    let channels = colour.bytes_per_pixel().into();
    let mut buffer = vec![0; sized(format, width, height, channels, max_bytes)?];
    let icc = decoder.icc_profile().ok().flatten().filter(|_| colour.has_color());
    decoder.read_image(&mut buffer).map_err(|error| ImageError::broken(format, error))?;
    decoded(format, (width, height), colour, buffer, icc, alpha)
}

/// The buffer's length, by the decoder's own account of the size: the caps were checked against
/// ours.
fn sized(
    format: &str,
    width: u32,
    height: u32,
    bytes_per_pixel: u64,
    max: u64,
) -> Result<usize, ImageError> {
    let needed = u64::from(width) * u64::from(height) * bytes_per_pixel;
    if needed > max {
        return Err(ImageError::TooMuchMemory { needed, max });
    }
    usize::try_from(needed).map_err(|error| ImageError::broken(format, error))
}

fn decoded(
    format: &str,
    (width, height): (u32, u32),
    colour: ColorType,
    buffer: Vec<u8>,
    icc: Option<Vec<u8>>,
    alpha: Alpha,
) -> Result<Decoded, ImageError> {
    let rgb = to_rgb(colour, buffer, alpha)
        .ok_or_else(|| ImageError::Unsupported(format!("{format} of {colour:?} is not decoded")))?;
    let bitmap = Bitmap::new(width, height, rgb)
        .ok_or_else(|| ImageError::broken(format, "fewer pixels than announced"))?;
    Ok(Decoded { bitmap, icc, is_sound: true })
}

/// 16 bits become 8, grey becomes RGB, alpha goes.
fn to_rgb(colour: ColorType, buffer: Vec<u8>, how: Alpha) -> Option<Vec<u8>> {
    Some(match colour {
        ColorType::Rgb8 => buffer,
        ColorType::L8 => buffer.iter().flat_map(|&grey| [grey; 3]).collect(),
        ColorType::La8 => flatten(&buffer, how, |&[grey, alpha]| [grey, grey, grey, alpha]),
        ColorType::Rgba8 => flatten(&buffer, how, |&pixel: &[u8; 4]| pixel),
        ColorType::L16 => buffer.as_chunks().0.iter().flat_map(|&grey| [high(grey); 3]).collect(),
        ColorType::Rgb16 => buffer.as_chunks().0.iter().map(|&sample| high(sample)).collect(),
        ColorType::La16 => flatten(&buffer, how, |&[g, h, a, b]| {
            let grey = high([g, h]);
            [grey, grey, grey, high([a, b])]
        }),
        ColorType::Rgba16 => flatten(&buffer, how, |&[r, s, g, h, b, c, a, d]| {
            [high([r, s]), high([g, h]), high([b, c]), high([a, d])]
        }),
        _ => return None,
    })
}

/// A native-endian 16-bit sample as 8 bits, rounded.
fn high(sample: [u8; 2]) -> u8 {
    let sample = u32::from(u16::from_ne_bytes(sample));
    ((sample * 255 + 32_767) / 65_535) as u8
}

fn flatten<const N: usize>(
    buffer: &[u8],
    how: Alpha,
    rgba: impl Fn(&[u8; N]) -> [u8; 4],
) -> Vec<u8> {
    let over_white = |value: u8, alpha: u8| {
        if how == Alpha::Dropped {
            return value;
        }
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let mut rgb = Vec::with_capacity(buffer.len() / N * 3);
    for pixel in buffer.as_chunks::<N>().0 {
        let [r, g, b, alpha] = rgba(pixel);
        rgb.extend([over_white(r, alpha), over_white(g, alpha), over_white(b, alpha)]);
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_flattened_on_white() {
        let rgba = vec![10, 20, 30, 255, 0, 0, 0, 0, 0, 100, 200, 128];
        let rgb = to_rgb(ColorType::Rgba8, rgba.clone(), Alpha::OnWhite).unwrap();
        assert_eq!(rgb, [10, 20, 30, 255, 255, 255, 127, 177, 227]);
        assert_eq!(
            to_rgb(ColorType::La8, vec![50, 255, 50, 0], Alpha::OnWhite).unwrap(),
            [50, 50, 50, 255, 255, 255]
        );
        let rgb = to_rgb(ColorType::Rgba8, rgba, Alpha::Dropped).unwrap();
        assert_eq!(rgb, [10, 20, 30, 0, 0, 0, 0, 100, 200]);
    }

    #[test]
    fn sixteen_bits_are_rounded_to_eight() {
        let samples = [0u16, 65_535, 32_768, 385, 386, 1_000];
        let bytes = samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect();
        assert_eq!(
            to_rgb(ColorType::Rgb16, bytes, Alpha::OnWhite).unwrap(),
            [0, 255, 128, 1, 2, 4]
        );
    }
}
