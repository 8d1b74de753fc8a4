//! WebP chunks: <https://developers.google.com/speed/webp/docs/riff_container>.

use std::borrow::Cow;

use super::{Container, strip_exif_header, u16_le, u32_le};
use crate::ImageError;
use crate::error::bad_header;

/// Chunks looked at before the walk gives up: long animations have a few thousand.
const MAX_CHUNKS: usize = 100_000;

pub(super) fn read(bytes: &[u8]) -> Result<Container<'_>, ImageError> {
    let mut container = Container { bytes_per_pixel: 11, plain: true, ..Container::default() };
    let mut sized = false;
    for (kind, data) in chunks(bytes).take(MAX_CHUNKS) {
        match kind {
            b"VP8X" | b"VP8L" | b"VP8 " if !sized => {
                let (width, height) = size(kind, data).ok_or_else(bad_header("webp"))?;
                (container.width, container.height, sized) = (width, height, true);
            }
            b"ANIM" | b"ANMF" => container.animated = true,
            b"EXIF" => container.exif = Some(strip_exif_header(data)),
            b"XMP " => container.xmp = Some(Cow::Borrowed(data)),
            _ => {}
        }
    }
    if sized { Ok(container) } else { Err(bad_header("webp")()) }
}

fn size(kind: &[u8], data: &[u8]) -> Option<(u32, u32)> {
    match kind {
        b"VP8X" => {
            let u24 = |at: usize| Some(u32_le(data, at)? & 0x00FF_FFFF);
            let height = u32::from(u16_le(data, 7)?) | u32::from(*data.get(9)?) << 16;
            Some((u24(4)? + 1, height + 1))
        }
        b"VP8L" => {
            let bits = u32_le(data, 1)?;
            Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
        }
        _ => Some(((u16_le(data, 6)? & 0x3FFF).into(), (u16_le(data, 8)? & 0x3FFF).into())),
    }
}

/// Type and data of each chunk; the last may be cut short.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut at = 12;
    std::iter::from_fn(move || {
        let kind = bytes.get(at..at + 4)?;
        let length = u32_le(bytes, at + 4)? as usize;
        let rest = &bytes[at + 8..];
        at += 8 + length.next_multiple_of(2);
        Some((kind, &rest[..length.min(rest.len())]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
        for (kind, data) in chunks {
            file.extend(*kind);
            file.extend((data.len() as u32).to_le_bytes());
            file.extend(*data);
            file.resize(file.len().next_multiple_of(2), 0);
        }
        file
    }

    #[test]
    fn reads_all_three_kinds_of_header() {
        let extended = file(&[
            (b"VP8X", &[0, 0, 0, 0, 9, 0, 0, 1, 1, 0]),
            (b"VP8 ", &[0; 10]),
            (b"EXIF", b"Exif\0\0MM\0*x"),
        ]);
        let container = read(&extended).unwrap();
        assert_eq!((container.width, container.height), (10, 258));
        assert_eq!(container.exif, Some(&b"MM\0*x"[..]));
        let lossless = file(&[(b"VP8L", &[0x2F, 0x02, 0x40, 0x00, 0x00])]);
        let container = read(&lossless).unwrap();
        assert_eq!((container.width, container.height), (3, 2));
        let lossy = file(&[(b"VP8 ", &[0, 0, 0, 0x9D, 1, 0x2A, 5, 0, 6, 0])]);
        let container = read(&lossy).unwrap();
        assert_eq!((container.width, container.height), (5, 6));
    }
}
