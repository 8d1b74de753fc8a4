//! PNG chunks: <https://www.w3.org/TR/png-3/#11Chunks>.

use std::borrow::Cow;

use super::{Container, strip_exif_header, u32_be};
use crate::ImageError;
use crate::error::bad_header;

/// Chunks looked at before the walk gives up: real files have a few hundred at most.
const MAX_CHUNKS: usize = 100_000;

pub(super) fn read(bytes: &[u8]) -> Result<Container<'_>, ImageError> {
    let mut container = header(bytes).ok_or_else(bad_header("png"))?;
    for (kind, data) in chunks(bytes).take(MAX_CHUNKS) {
        match kind {
            b"acTL" => container.animated = u32_be(data, 0).is_some_and(|frames| frames > 1),
            b"eXIf" => container.exif = Some(strip_exif_header(data)),
            b"tEXt" => {
                if let Some(text) = data.strip_prefix(b"Copyright\0") {
                    container.copyright = Some(text.iter().copied().map(char::from).collect());
                }
            }
            b"iTXt" => international_text(data, &mut container),
            _ => {}
        }
    }
    Ok(container)
}

fn header(bytes: &[u8]) -> Option<Container<'_>> {
    let (kind, data) = chunks(bytes).next()?;
    if kind != b"IHDR" {
        return None;
    }
    let (depth, colour) = (*data.get(8)?, *data.get(9)?);
    let decoded = match colour {
        0 => 1,
        4 => 2,
        6 => 4,
        3 => 4,
        _ => 3,
    };
    let sample = if depth == 16 { 2 } else { 1 };
    Some(Container {
        width: u32_be(data, 0)?,
        height: u32_be(data, 4)?,
        bytes_per_pixel: decoded * sample + 3,
        plain: depth <= 8,
        ..Container::default()
    })
}

/// Type and data of each whole chunk.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut at = 8;
    std::iter::from_fn(move || {
        let length = u32_be(bytes, at)? as usize;
        let kind = bytes.get(at + 4..at + 8)?;
        let data = bytes.get(at + 8..(at + 8).checked_add(length)?)?;
        at += 12 + length;
        (kind != b"IEND").then_some((kind, data))
    })
}

/// `keyword 0 compressed method language 0 translated 0 text`; compressed texts are left alone.
fn international_text<'a>(data: &'a [u8], container: &mut Container<'a>) {
    let mut parts = data.splitn(2, |&byte| byte == 0);
    let (Some(keyword), Some([0, _, rest @ ..])) = (parts.next(), parts.next()) else { return };
    let Some(text) = rest.splitn(3, |&byte| byte == 0).nth(2) else { return };
    match keyword {
        b"XML:com.adobe.xmp" => container.xmp = Some(Cow::Borrowed(text)),
        b"Copyright" => container.copyright = Some(String::from_utf8_lossy(text).into_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1A\n".to_vec();
        for (kind, data) in chunks {
            file.extend((data.len() as u32).to_be_bytes());
            file.extend(*kind);
            file.extend(*data);
            file.extend([0; 4]);
        }
        file
    }

    const HEADER: (&[u8; 4], &[u8]) = (b"IHDR", b"\0\0\0\x05\0\0\0\x06\x10\x06\0\0\0");

    #[test]
    fn reads_size_depth_and_texts() {
        let bytes = file(&[
            HEADER,
            (b"tEXt", b"Copyright\0\xA9 me"),
            (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>"),
            (b"acTL", b"\0\0\0\x02\0\0\0\0"),
        ]);
        let container = read(&bytes).unwrap();
        assert_eq!((container.width, container.height), (5, 6));
        assert_eq!(container.bytes_per_pixel, 11);
        assert!(!container.plain && container.animated);
        assert_eq!(container.copyright.as_deref(), Some("© me"));
        assert_eq!(container.xmp.as_deref(), Some(&b"<x/>"[..]));
    }

    #[test]
    fn a_chunk_longer_than_the_file_ends_the_walk() {
        let mut bytes = file(&[HEADER]);
        bytes.extend(b"\xFF\xFF\xFF\xFFtEXtCopyright\0x");
        assert_eq!(read(&bytes).unwrap().copyright, None);
        assert!(read(&bytes[..20]).is_err());
    }
}
