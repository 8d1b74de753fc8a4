//! JPEG markers up to the first scan: <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, annex B.

use std::borrow::Cow;

use super::{Container, strip_exif_header, u16_be};
use crate::ImageError;
use crate::error::bad_header;

const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const ICC: &[u8] = b"ICC_PROFILE\0";
const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";

pub(super) fn read(bytes: &[u8]) -> Result<Container<'_>, ImageError> {
    let mut container = Container::default();
    let mut frame = None;
    let mut icc = Vec::new();
    let mut at = 2;
    while let Some((marker, payload, next)) = segment(bytes, at) {
        match marker {
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                frame = frame.or_else(|| Frame::read(marker, payload));
            }
            0xE1 if payload.starts_with(b"Exif\0") && container.exif.is_none() => {
                container.exif = Some(strip_exif_header(payload));
            }
            0xE1 if container.xmp.is_none() => {
                container.xmp = payload.strip_prefix(XMP).map(Cow::Borrowed);
            }
            0xE2 => icc.extend(payload.strip_prefix(ICC)),
            0xED if container.iptc.is_none() => {
                container.iptc = payload.strip_prefix(PHOTOSHOP).and_then(iptc_resource);
            }
            0xD9 | 0xDA => {
                container.is_complete = is_complete(&bytes[at..]);
                break;
            }
            _ => {}
        }
        at = next;
    }
    let frame = frame.ok_or_else(bad_header("jpeg"))?;
    frame.check()?;
    container.width = frame.width.into();
    container.height = frame.height.into();
    container.bytes_per_pixel = frame.bytes_per_pixel();
    container.plain = frame.components != 4;
    container.icc = join_icc(icc);
    Ok(container)
}

/// The segment at or after `at`: its marker, its payload and where the next one begins.
fn segment(bytes: &[u8], at: usize) -> Option<(u8, &[u8], usize)> {
    let mut at = at;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xFF)?;
        let marker = *bytes.get(at + 1)?;
        match marker {
            0xFF => at += 1,
            0x00 | 0x01 | 0xD0..=0xD8 => at += 2,
            0xD9 | 0xDA => return Some((marker, &[], at + 2)),
            _ => {
                let length = usize::from(u16_be(bytes, at + 2)?);
                let payload = bytes.get(at + 4..at + 2 + length.max(2))?;
                return Some((marker, payload, at + 2 + length.max(2)));
            }
        }
    }
}

/// Returns true if the scans reach an end: the marker for it, or some other (broken) marker as the very
/// last bytes. Inside a scan 0xFF is followed by nothing but zero and restart markers.
fn is_complete(scans: &[u8]) -> bool {
    let ends_in_marker = matches!(scans, [.., 0xFF, 0xC0..=0xCF | 0xD8..=0xFE]);
    ends_in_marker || scans.windows(2).rev().any(|end| end == [0xFF, 0xD9])
}

/// The start-of-frame segment.
struct Frame {
    marker: u8,
    precision: u8,
    width: u16,
    height: u16,
    components: u8,
}

impl Frame {
    fn read(marker: u8, payload: &[u8]) -> Option<Self> {
        Some(Self {
            marker,
            precision: *payload.first()?,
            height: u16_be(payload, 1)?,
            width: u16_be(payload, 3)?,
            components: *payload.get(5)?,
        })
    }

    /// Refuses the variants that no decoder here knows.
    fn check(&self) -> Result<(), ImageError> {
        let variant = match self.marker {
            0xC3 | 0xC7 | 0xCB | 0xCF => "lossless",
            0xC5 | 0xC6 | 0xCD | 0xCE => "hierarchical",
            0xC9 | 0xCA => "arithmetic-coded",
            _ if self.precision > 8 => "12-bit",
            _ => return Ok(()),
        };
        Err(ImageError::Unsupported(format!("{variant} jpeg is not decoded")))
    }

    /// RGB out, and for progressive files all coefficients, 16 bits each.
    fn bytes_per_pixel(&self) -> u64 {
        let coefficients = if self.marker == 0xC2 { 2 * u64::from(self.components) } else { 0 };
        3 + coefficients
    }
}

/// Joins the numbered chunks of a profile; `None` unless they are complete.
fn join_icc(mut chunks: Vec<&[u8]>) -> Option<Vec<u8>> {
    chunks.sort_by_key(|chunk| chunk.first().copied());
    let complete = !chunks.is_empty()
        && chunks.iter().zip(1..).all(|(chunk, number)| {
            matches!(chunk, [n, count, ..] if usize::from(*n) == number && usize::from(*count) == chunks.len())
        });
    complete.then(|| chunks.iter().flat_map(|chunk| &chunk[2..]).copied().collect())
}

/// The IPTC data sets (resource 0x0404) among Photoshop's image resources.
fn iptc_resource(mut resources: &[u8]) -> Option<&[u8]> {
    loop {
        let rest = resources.strip_prefix(b"8BIM")?;
        let id = u16_be(rest, 0)?;
        let name_length = usize::from(*rest.get(2)?);
        let data_at = 2 + (1 + name_length).next_multiple_of(2) + 4;
        let length = super::u32_be(rest, data_at - 4)? as usize;
        let data = rest.get(data_at..data_at.checked_add(length)?)?;
        if id == 0x0404 {
            return Some(data);
        }
        resources = rest.get(data_at + length.next_multiple_of(2)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(segments: &[(u8, &[u8])]) -> Vec<u8> {
        let mut file = vec![0xFF, 0xD8];
        for (marker, payload) in segments {
            file.extend([0xFF, *marker]);
            file.extend((payload.len() as u16 + 2).to_be_bytes());
            file.extend(*payload);
        }
        file
    }

    const SOF: (u8, &[u8]) = (0xC0, &[8, 0, 7, 0, 9, 3]);

    #[test]
    fn finds_size_and_metadata_past_fill_bytes_and_junk() {
        let photoshop = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x03abc";
        let mut bytes = file(&[(0xE1, b"Exif\0\0II*\0"), (0xED, photoshop)]);
        bytes.extend([b'j', 0xFF, 0xFF]);
        bytes.extend(&file(&[SOF])[2..]);
        let container = read(&bytes).unwrap();
        assert_eq!((container.width, container.height), (9, 7));
        assert_eq!(container.exif, Some(&b"II*\0"[..]));
        assert_eq!(container.iptc, Some(&b"abc"[..]));
    }

    #[test]
    fn a_profile_is_joined_only_when_complete() {
        let one = [ICC, &[1, 2, b'a']].concat();
        let two = [ICC, &[2, 2, b'b']].concat();
        let whole = file(&[(0xE2, &two), SOF, (0xE2, &one)]);
        assert_eq!(read(&whole).unwrap().icc, Some(b"ab".to_vec()));
        assert_eq!(read(&file(&[(0xE2, &one), SOF])).unwrap().icc, None);
    }

    #[test]
    fn rare_variants_are_named() {
        for (marker, precision, name) in
            [(0xC3, 8, "lossless"), (0xC9, 8, "arithmetic-coded"), (0xC1, 12, "12-bit")]
        {
            let bytes = file(&[(marker, &[precision, 0, 1, 0, 1, 3])]);
            let error = read(&bytes).unwrap_err();
            assert_eq!(error, ImageError::Unsupported(format!("{name} jpeg is not decoded")));
        }
    }
}
