//! Format of a file, by its first bytes, never by HTTP header or extension.

use super::ImageError;

/// An image format that is decoded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// ISO 10918, baseline and progressive.
    Jpeg,
    /// PNG, and the default image of APNG.
    Png,
    /// WebP, lossy and lossless, and the first frame of animations.
    WebP,
    /// The first frame of a GIF.
    Gif,
    /// Windows bitmap: decoded, never stored in this format.
    Bmp,
}

impl Format {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Gif => "gif",
            Self::Bmp => "bmp",
        }
    }

    /// The media type (RFC 6838) of such a file.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
        }
    }

    /// Recognises the content, or says what it is instead.
    pub fn sniff(bytes: &[u8]) -> Result<Self, ImageError> {
        match bytes {
            [0xFF, 0xD8, 0xFF, ..] => Ok(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Ok(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Self::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Self::Gif),
            [b'B', b'M', rest @ ..] if is_bmp(rest) => Ok(Self::Bmp),
            _ => Err(other(bytes)),
        }
    }
}

/// A bitmap names the size of its second header right after the file header: text that begins with
/// "BM" does not.
fn is_bmp(after_magic: &[u8]) -> bool {
    let header_size = after_magic
        .get(12..16)
        .map(|size| u32::from_le_bytes([size[0], size[1], size[2], size[3]]));
    matches!(header_size, Some(12 | 16 | 40 | 52 | 56 | 64 | 108 | 124))
}

/// Names what is not decoded: an image format by its name, other content as no image.
fn other(bytes: &[u8]) -> ImageError {
    if let Some(name) = undecoded(bytes) {
        return ImageError::Unsupported(format!("{name} is not decoded"));
    }
    let seen = match bytes {
        [] => "empty".to_owned(),
        [b'%', b'P', b'D', b'F', ..] => "pdf".to_owned(),
        _ if looks_like(bytes, &["<!doctype html", "<html", "<head", "<body"]) => "html".to_owned(),
        _ if looks_like(bytes, &["{", "["]) => "text".to_owned(),
        _ => format!("content begins with {}", hex::encode(&bytes[..bytes.len().min(8)])),
    };
    ImageError::NotImage(seen)
}

/// The name of a known image format that has no decoder here.
fn undecoded(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => iso_brand(brand),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some("tiff"),
        [0, 0, 1 | 2, 0, count, 0, ..] if *count > 0 => Some("ico"),
        [0xFF, 0x0A, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => Some("jxl"),
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => {
            Some("jpeg 2000")
        }
        [b'8', b'B', b'P', b'S', ..] => Some("psd"),
        [b'q', b'o', b'i', b'f', ..] => Some("qoi"),
        [b'D', b'D', b'S', b' ', ..] => Some("dds"),
        [b'I', b'I', 0xBC, ..] => Some("jpeg xr"),
        [b'P', b'1'..=b'7', b' ' | b'\n' | b'\r' | b'\t', ..] => Some("pnm"),
        [b'B', b'M', ..] if bytes.len() > 26 && !bytes[2..26].is_ascii() => {
            Some("bmp with an unknown header")
        }
        _ if is_svg(bytes) => Some("svg"),
        _ => None,
    }
}

fn iso_brand(brand: &[u8]) -> Option<&'static str> {
    match brand.get(..4)? {
        b"avif" | b"avis" => Some("avif"),
        b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" => Some("heic"),
        b"mif1" | b"msf1" | b"miaf" => Some("heif or avif"),
        b"crx " => Some("cr3"),
        _ => None,
    }
}

fn is_svg(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    looks_like(head, &["<svg"])
        || (looks_like(head, &["<?xml", "<!--", "<!doctype svg"])
            && head.windows(4).any(|window| window == b"<svg"))
}

/// Returns true if the text after a byte order mark and white space begins with one of `starts`.
fn looks_like(bytes: &[u8], starts: &[&str]) -> bool {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    starts.iter().any(|start| {
        bytes.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use magiclens_core::Reason;

    use super::*;

    #[test]
    fn content_decides() {
        let webp = b"RIFF\x10\0\0\0WEBPVP8 ";
        for (bytes, format) in [
            (&b"\xFF\xD8\xFF\xE0"[..], Format::Jpeg),
            (b"\x89PNG\r\n\x1A\n", Format::Png),
            (webp, Format::WebP),
            (b"GIF89a", Format::Gif),
            (b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0", Format::Bmp),
        ] {
            assert_eq!(Format::sniff(bytes), Ok(format));
        }
    }

    #[test]
    fn other_content_is_named() {
        let unsupported = Reason::UnsupportedFormat;
        for (bytes, reason, detail) in [
            (&b"\0\0\0\x1cftypavif"[..], unsupported, "avif is not decoded"),
            (b"\0\0\0\x18ftypheic", unsupported, "heic is not decoded"),
            (b"II*\0\x08\0\0\0", unsupported, "tiff is not decoded"),
            (b"MM\0*\0\0\0\x08", unsupported, "tiff is not decoded"),
            (b"\0\0\x01\0\x01\0", unsupported, "ico is not decoded"),
            (b"\xFF\x0A\0", unsupported, "jxl is not decoded"),
            (b"<?xml version='1.0'?>\n<svg xmlns=''/>", unsupported, "svg is not decoded"),
            (b"\xEF\xBB\xBF <SVG>", unsupported, "svg is not decoded"),
            (b"\n<!DOCTYPE html><svg>", Reason::NotImage, "html"),
            (b"BM is short for a month", Reason::NotImage, "content begins with 424d206973207368"),
            (b"", Reason::NotImage, "empty"),
        ] {
            let error = Format::sniff(bytes).unwrap_err();
            assert_eq!((error.reason(), error.to_string().as_str()), (reason, detail));
        }
    }
}
