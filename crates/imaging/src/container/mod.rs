//! Metadata of a file, found by walking its segments and chunks without decoding.
//!
//! The decoders read the same headers again: this walk comes first so that caps apply before a
//! decoder allocates anything. Everything is a slice of the input; nothing is inflated.

mod bmp;
mod gif;
mod jpeg;
mod png;
mod webp;

use std::borrow::Cow;

use super::{Format, ImageError};

/// Size, kind of pixels and metadata of one file.
#[derive(Debug, Default)]
pub(super) struct Container<'a> {
    /// Pixels a row, as encoded: before orientation.
    pub width: u32,
    /// Rows, as encoded.
    pub height: u32,
    /// Bytes that decoding takes for each pixel, our own RGB copy included.
    pub bytes_per_pixel: u64,
    /// More than one frame.
    pub animated: bool,
    /// A JPEG that reaches its end marker.
    pub is_complete: bool,
    /// 8 bits a channel or fewer, and no CMYK: any reader shows it as we do.
    pub plain: bool,
    /// The TIFF structure inside the Exif block.
    pub exif: Option<&'a [u8]>,
    /// The XMP packet.
    pub xmp: Option<Cow<'a, [u8]>>,
    /// The IPTC-IIM data sets.
    pub iptc: Option<&'a [u8]>,
    /// A copyright text of the format's own.
    pub copyright: Option<String>,
    /// The ICC profile of a JPEG, chunks joined.
    pub icc: Option<Vec<u8>>,
}

impl<'a> Container<'a> {
    /// Walks the file; an error says that not even the header can be read or that the variant is
    /// not decoded.
    pub fn read(format: Format, bytes: &'a [u8]) -> Result<Self, ImageError> {
        let container = match format {
            Format::Jpeg => jpeg::read(bytes)?,
            Format::Png => png::read(bytes)?,
            Format::WebP => webp::read(bytes)?,
            Format::Gif => gif::read(bytes)?,
            Format::Bmp => bmp::read(bytes)?,
        };
        if container.width == 0 || container.height == 0 {
            let (width, height) = (container.width, container.height);
            return Err(ImageError::broken(
                format.as_str(),
                format_args!("{width}×{height} pixels"),
            ));
        }
        Ok(container)
    }

    /// Refuses what is over a cap.
    pub fn check(&self, max_pixels: u64, max_bytes: u64) -> Result<(), ImageError> {
        let pixels = u64::from(self.width) * u64::from(self.height);
        if pixels > max_pixels {
            let (width, height) = (self.width, self.height);
            return Err(ImageError::TooManyPixels { width, height, max: max_pixels });
        }
        let needed = pixels * self.bytes_per_pixel;
        if needed > max_bytes {
            return Err(ImageError::TooMuchMemory { needed, max: max_bytes });
        }
        Ok(())
    }
}

/// Big-endian number at `at`.
fn u16_be(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]]))
}

/// Little-endian number at `at`.
fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|b| u16::from_le_bytes([b[0], b[1]]))
}

/// Big-endian number at `at`.
fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

/// Little-endian number at `at`.
fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// Exif blocks begin with `Exif\0\0` in JPEG and, by mistake, in some WebP and PNG files.
fn strip_exif_header(block: &[u8]) -> &[u8] {
    block.strip_prefix(b"Exif\0\0").unwrap_or(block)
}
