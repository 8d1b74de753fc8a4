//! The encoding of a page, and its bytes as text.
//!
//! Byte order mark, then the HTTP header, then `<meta>`, then a guess from the bytes.
//! <https://html.spec.whatwg.org/#determining-the-character-encoding>

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use memchr::{memchr, memmem};
use url::Url;

use super::html::Attrs;

/// `<meta>` counts in the first bytes. The standard has parsers look at 1024 ahead and change course
/// later on; looking further ahead at once comes to the same.
const PRESCAN: usize = 8192;

/// Reads the bytes of a page as text; malformed sequences become U+FFFD.
pub fn decode<'a>(
    bytes: &'a [u8],
    http: Option<&str>,
    url: &Url,
) -> (Cow<'a, str>, &'static Encoding) {
    if let Some((encoding, bom)) = Encoding::for_bom(bytes) {
        return (encoding.decode_without_bom_handling(&bytes[bom..]).0, encoding);
    }
    let declared = http
        .and_then(|label| Encoding::for_label(label.as_bytes()))
        .or_else(|| declared(&bytes[..bytes.len().min(PRESCAN)]));
    let encoding = declared.unwrap_or_else(|| guess(bytes, url));
    (encoding.decode_without_bom_handling(bytes).0, encoding)
}

/// The encoding that a `<meta>` near the start names.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let mut rest = bytes;
    while let Some(at) = memchr(b'<', rest) {
        rest = &rest[at..];
        if rest.starts_with(b"<!--") {
            // The dashes may be those that open the comment.
            rest = &rest[2 + memmem::find(&rest[2..], b"-->")? + 3..];
        } else if is_meta(rest) {
            let (attrs, after) = attributes(&rest[5..]);
            if let Some(encoding) = of_meta(&attrs) {
                return Some(encoding);
            }
            rest = after;
        } else {
            rest = &rest[1..];
        }
    }
    None
}

fn is_meta(bytes: &[u8]) -> bool {
    bytes.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case(b"<meta"))
        && bytes.get(5).is_some_and(|byte| byte.is_ascii_whitespace() || *byte == b'/')
}

fn attributes(bytes: &[u8]) -> (Attrs<'_>, &[u8]) {
    // Tags are ASCII in every encoding that can get here; a value that is not is no label either.
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    let (attrs, used) = Attrs::read(valid);
    (attrs, &bytes[used..])
}

fn of_meta(attrs: &Attrs) -> Option<&'static Encoding> {
    let is_content_type =
        attrs.get("http-equiv").is_some_and(|value| value.eq_ignore_ascii_case("content-type"));
    let label = match attrs.get("charset") {
        Some(label) => label.into_owned(),
        None if is_content_type => label_in(&attrs.get("content")?)?.to_owned(),
        None => return None,
    };
    // A page that can be read this far is not UTF-16, whatever it says.
    match Encoding::for_label(label.as_bytes())? {
        encoding if encoding == UTF_16LE || encoding == UTF_16BE => Some(UTF_8),
        encoding if encoding.name() == "x-user-defined" => Some(WINDOWS_1252),
        encoding => Some(encoding),
    }
}

/// The label in `text/html; charset=…`.
pub fn label_in(content: &str) -> Option<&str> {
    let mut rest = content;
    loop {
        let at = rest.as_bytes().windows(7).position(|w| w.eq_ignore_ascii_case(b"charset"))?;
        rest = rest[at + 7..].trim_ascii_start();
        let Some(value) = rest.strip_prefix('=') else { continue };
        let value = value.trim_ascii_start();
        return match value.chars().next()? {
            quote @ ('"' | '\'') => value[1..].split_once(quote).map(|(label, _)| label),
            _ => value.split(|c: char| c.is_ascii_whitespace() || c == ';').next(),
        };
    }
}

/// Valid UTF-8 is taken for what it is; the rest is guessed, with the country of the host as a hint.
fn guess(bytes: &[u8], url: &Url) -> &'static Encoding {
    let escapes = memchr(0x1b, bytes).is_some();
    if !escapes && std::str::from_utf8(bytes).is_ok() {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    let tld = url.domain().and_then(|host| host.rsplit('.').next());
    let tld = tld.filter(|tld| tld.bytes().all(|byte| byte.is_ascii_lowercase()));
    detector.guess(tld.map(str::as_bytes), Utf8Detection::Allow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], http: Option<&str>) -> (String, &'static str) {
        let url = Url::parse("http://example.org/").unwrap();
        let (text, encoding) = decode(bytes, http, &url);
        (text.into_owned(), encoding.name())
    }

    #[test]
    fn the_strongest_claim_wins() {
        let meta = b"<meta charset=windows-1251>\xe9";
        assert_eq!(read(meta, None).1, "windows-1251");
        assert_eq!(read(meta, Some("ISO-8859-2")).1, "ISO-8859-2");
        assert_eq!(read(&[b"\xef\xbb\xbf", &meta[..]].concat(), Some("latin1")).1, "UTF-8");
        assert_eq!(read(meta, Some("nonsense")).1, "windows-1251");
        assert_eq!(read(b"\xff\xfea\0", None), ("a".into(), "UTF-16LE"));
    }

    #[test]
    fn meta_is_found_where_browsers_find_it() {
        for (html, name) in [
            ("<META HTTP-EQUIV=Content-Type CONTENT='text/html; charset = \"koi8-r\"'>", "KOI8-R"),
            ("<!-- <meta charset=big5> --><meta charset=euc-jp>", "EUC-JP"),
            ("<!--><meta charset=gbk>", "GBK"),
            ("<meta charset=utf-16>", "UTF-8"),
            ("<meta name=charset content='text/html; charset=big5'>", "UTF-8"),
            ("<metadata charset=big5>", "UTF-8"),
            ("<meta charset=unheard-of><meta charset=shift_jis>", "Shift_JIS"),
        ] {
            assert_eq!(read(html.as_bytes(), None).1, name, "{html}");
        }
    }

    #[test]
    fn legacy_bytes_become_text() {
        for (label, text) in [
            ("shift_jis", "東京の写真"),
            ("euc-jp", "東京の写真"),
            ("iso-2022-jp", "東京の写真"),
            ("gb18030", "北京的照片"),
            ("big5", "台北的照片"),
            ("euc-kr", "서울 사진"),
            ("windows-1251", "Фото Москвы"),
            ("koi8-r", "Фото Москвы"),
            ("windows-1252", "Café – Zürich"),
            ("iso-8859-2", "Łódź"),
            ("windows-1253", "Αθήνα"),
            ("windows-1255", "ירושלים"),
        ] {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            let (bytes, _, unmappable) = encoding.encode(text);
            assert!(!unmappable, "{label}");
            assert_eq!(read(&bytes, Some(label)).0, text);
            let page = [format!("<meta charset={label}>").as_bytes(), &bytes].concat();
            assert!(read(&page, None).0.ends_with(text), "{label} by meta");
        }
    }

    #[test]
    fn undeclared_bytes_are_guessed() {
        let text = "Привет, это обычный русский текст о фотографиях и путешествиях по городу.";
        let (bytes, ..) = encoding_rs::WINDOWS_1251.encode(text);
        assert_eq!(read(&bytes, None).0, text);
        assert_eq!(read("déjà vu".as_bytes(), None), ("déjà vu".into(), "UTF-8"));
        assert_eq!(read(b"", None).1, "UTF-8");
    }
}
