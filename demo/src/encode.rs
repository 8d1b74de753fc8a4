//! Pixels to files, the awkward kinds included.

use std::io::Cursor;

use anyhow::Result;
use image::codecs::gif::GifEncoder;
use image::codecs::webp::WebPEncoder;
use image::{
    DynamicImage, ExtendedColorType, Frame, ImageBuffer, ImageFormat, Rgb, RgbImage, Rgba,
    RgbaImage, imageops,
};
use jpeg_encoder::{ColorType, Encoder};

use crate::picture::Format;

/// TIFF structure with one entry: orientation 6, to be turned clockwise by 90° for display.
const EXIF_ON_ITS_SIDE: &[u8] =
    b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";

/// The picture as a file of `format`; `quality` is for JPEG.
pub fn file(pixels: RgbImage, format: Format, quality: u8) -> Result<Vec<u8>> {
    match format {
        Format::Jpeg => jpeg(&pixels, quality, &[]),
        Format::JpegOnItsSide => jpeg(&imageops::rotate270(&pixels), quality, EXIF_ON_ITS_SIDE),
        Format::JpegCmyk => jpeg_cmyk(&pixels, quality),
        Format::Png => with_image(&pixels.into(), ImageFormat::Png),
        Format::Png16 => with_image(&sixteen_bits(&pixels).into(), ImageFormat::Png),
        Format::PngAlpha => with_image(&fading(&pixels).into(), ImageFormat::Png),
        Format::Gif => gif(&[pixels]),
        Format::GifAnimated => {
            let flipped = imageops::flip_horizontal(&pixels);
            gif(&[pixels.clone(), flipped, pixels])
        }
        Format::Webp => webp(&pixels),
    }
}

fn jpeg(pixels: &RgbImage, quality: u8, exif: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, quality);
    if !exif.is_empty() {
        encoder.add_app_segment(1, exif.to_vec())?;
    }
    encoder.encode(pixels, pixels.width() as u16, pixels.height() as u16, ColorType::Rgb)?;
    Ok(out)
}

fn jpeg_cmyk(pixels: &RgbImage, quality: u8) -> Result<Vec<u8>> {
    let cmyk: Vec<u8> = pixels.pixels().flat_map(|&Rgb([r, g, b])| cmyk(r, g, b)).collect();
    let (width, height) = (pixels.width() as u16, pixels.height() as u16);
    let mut out = Vec::new();
    Encoder::new(&mut out, quality).encode(&cmyk, width, height, ColorType::Cmyk)?;
    Ok(out)
}

fn cmyk(r: u8, g: u8, b: u8) -> [u8; 4] {
    let light = r.max(g).max(b);
    let ink = |v: u8| {
        let missing = u32::from(light - v) * 255;
        (missing / u32::from(light.max(1))) as u8
    };
    [ink(r), ink(g), ink(b), 255 - light]
}

fn with_image(pixels: &DynamicImage, format: ImageFormat) -> Result<Vec<u8>> {
    let mut out = Cursor::new(Vec::new());
    pixels.write_to(&mut out, format)?;
    Ok(out.into_inner())
}

fn sixteen_bits(pixels: &RgbImage) -> ImageBuffer<Rgb<u16>, Vec<u16>> {
    ImageBuffer::from_fn(pixels.width(), pixels.height(), |x, y| {
        Rgb(pixels.get_pixel(x, y).0.map(|v| u16::from(v) * 257))
    })
}

fn fading(pixels: &RgbImage) -> RgbaImage {
    let edge = (pixels.width() / 8).max(1);
    RgbaImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let Rgb([r, g, b]) = *pixels.get_pixel(x, y);
        Rgba([r, g, b, (x.min(edge) * 255 / edge) as u8])
    })
}

fn gif(frames: &[RgbImage]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    {
        let mut encoder = GifEncoder::new_with_speed(&mut out, 30);
        for frame in frames {
            encoder.encode_frame(Frame::new(DynamicImage::from(frame.clone()).into_rgba8()))?;
        }
    }
    Ok(out)
}

fn webp(pixels: &RgbImage) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    WebPEncoder::new_lossless(&mut out).encode(
        pixels,
        pixels.width(),
        pixels.height(),
        ExtendedColorType::Rgb8,
    )?;
    Ok(out)
}

/// A PNG that says it is `side` × `side` pixels and has next to no data.
pub fn pixel_bomb(side: u32) -> Vec<u8> {
    let mut header = [side.to_be_bytes(), side.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in
        [(b"IHDR", header), (b"IDAT", vec![0x78, 0x9c, 0x03, 0x00]), (b"IEND", vec![])]
    {
        let body = [kind.as_slice(), &data].concat();
        let mut sum = flate2::Crc::new();
        sum.update(&body);
        out.extend((data.len() as u32).to_be_bytes());
        out.extend(body);
        out.extend(sum.sum().to_be_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pixel_bomb_has_a_sound_header() {
        let bomb = pixel_bomb(40_000);
        let reader = image::ImageReader::new(Cursor::new(bomb)).with_guessed_format().unwrap();
        assert_eq!(reader.into_dimensions().unwrap(), (40_000, 40_000));
    }
}
