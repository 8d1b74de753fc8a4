//! Copyright in the metadata of an image: Exif, IPTC, XMP and the format's own copyright text.
//!
//! The text is data from a stranger: whole, but short and without control characters.

use exif::{In, Reader, Tag, Value};

use super::container::Container;
use super::orient::Orientation;

/// Longest text kept, in characters.
const MAX_CHARS: usize = 500;
/// Metadata blocks above this size are not looked into.
const MAX_BLOCK: usize = 1 << 20;

/// Values that are read from the Exif block.
pub(super) struct Exif {
    /// Upright where the block does not say.
    pub orientation: Orientation,
    copyright: Option<String>,
    artist: Option<String>,
}

impl Exif {
    /// Reads the block as far as it goes: a broken one is no reason to lose the image.
    pub fn read(container: &Container<'_>) -> Self {
        let block = container.exif.filter(|block| block.len() <= MAX_BLOCK);
        let exif = block.and_then(|block| {
            let mut reader = Reader::new();
            reader.continue_on_error(true);
            let read = reader.read_raw(block.to_vec());
            read.or_else(|error| error.distill_partial_result(|_| {})).ok()
        });
        let field = |tag| exif.as_ref()?.get_field(tag, In::PRIMARY);
        let text = |tag| field(tag).and_then(|field| ascii(&field.value));
        let orientation = field(Tag::Orientation).and_then(|field| field.value.get_uint(0));
        Self {
            orientation: orientation.map_or(Orientation::UPRIGHT, Orientation::from_tag),
            copyright: text(Tag::Copyright),
            artist: text(Tag::Artist),
        }
    }
}

/// Copyright notices first, then licence URLs, then the author; `None` where nothing is said.
pub(super) fn rights(container: &Container<'_>, exif: &Exif) -> Option<String> {
    let packet = container.xmp.as_deref().filter(|packet| packet.len() <= MAX_BLOCK);
    let packet = String::from_utf8_lossy(packet.unwrap_or_default());
    let notices = [
        exif.copyright.clone(),
        container.iptc.and_then(iptc_copyright),
        xmp_value(&packet, "dc:rights"),
        container.copyright.clone(),
        xmp_value(&packet, "cc:license"),
        xmp_value(&packet, "xmpRights:WebStatement"),
        exif.artist.as_deref().map(|artist| format!("by {artist}")),
    ];
    let mut kept: Vec<String> = Vec::new();
    for notice in notices.into_iter().flatten() {
        let notice = clean(&notice);
        if !notice.is_empty() && notice != "by" && !kept.iter().any(|other| other.contains(&notice))
        {
            kept.push(notice);
        }
    }
    let text: String = kept.join("; ").chars().take(MAX_CHARS).collect();
    (!text.is_empty()).then_some(text)
}

/// One line: control characters and runs of white space become one space.
fn clean(text: &str) -> String {
    let spaced = text.chars().take(4 * MAX_CHARS).map(|c| if c.is_control() { ' ' } else { c });
    spaced.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn ascii(value: &Value) -> Option<String> {
    let Value::Ascii(parts) = value else { return None };
    let parts = parts.iter().map(|part| String::from_utf8_lossy(part));
    Some(parts.collect::<Vec<_>>().join(" "))
}

/// Data set 2:116 of IPTC-IIM.
fn iptc_copyright(mut sets: &[u8]) -> Option<String> {
    while let [0x1C, record, number, high, low, rest @ ..] = sets {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let value = rest.get(..length)?;
        if (*record, *number) == (2, 116) {
            return Some(String::from_utf8_lossy(value).into_owned());
        }
        sets = &rest[length..];
    }
    None
}

/// A property of an XMP packet, written as an attribute, a resource or an element. A scan rather
/// than an RDF parser: a namespace bound to another prefix is missed.
fn xmp_value(packet: &str, name: &str) -> Option<String> {
    packet.match_indices(name).find_map(|(at, _)| {
        let before = packet[..at].chars().next_back()?;
        let after = &packet[at + name.len()..];
        let value =
            if before == '<' { element(after, name)? } else { attribute(after)?.to_owned() };
        Some(unescape(&value)).filter(|value| !value.trim().is_empty())
    })
}

/// The quoted value after `=`.
fn attribute(after_name: &str) -> Option<&str> {
    let value = after_name.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split(quote).next()
}

/// The text inside the element, or its `rdf:resource`.
fn element(after_name: &str, name: &str) -> Option<String> {
    if !after_name.starts_with([' ', '\t', '\r', '\n', '/', '>']) {
        return None;
    }
    let (tag, rest) = after_name.split_once('>')?;
    if let Some((_, resource)) = tag.split_once("rdf:resource") {
        return attribute(resource).map(str::to_owned);
    }
    let inner = rest.split_once(&format!("</{name}"))?.0;
    let texts =
        inner.split('<').map(|piece| piece.rsplit_once('>').map_or(piece, |(_, text)| text));
    Some(texts.collect::<Vec<_>>().join(" "))
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#169;", "©")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn of(container: &Container<'_>) -> Option<String> {
        rights(container, &Exif::read(container))
    }

    /// A TIFF structure with ASCII tags.
    fn tiff(tags: &[(u16, &str)]) -> Vec<u8> {
        let mut directory = b"II*\0\x08\0\0\0".to_vec();
        directory.extend((tags.len() as u16).to_le_bytes());
        let mut at = 8 + 2 + 12 * tags.len() as u32 + 4;
        let mut texts = Vec::new();
        for (tag, text) in tags {
            let length = text.len() as u32 + 1;
            directory.extend(tag.to_le_bytes());
            directory.extend([2, 0]);
            directory.extend(length.to_le_bytes());
            directory.extend(at.to_le_bytes());
            texts.extend(text.bytes().chain([0]));
            at += length;
        }
        directory.extend([0; 4]);
        directory.extend(texts);
        directory
    }

    #[test]
    fn exif_iptc_and_text_are_joined_without_repeats() {
        let exif = tiff(&[(0x013B, "A. Turner"), (0x8298, "(c) 2019 A. Turner")]);
        let iptc = b"\x1C\x02\x50\0\x01x\x1C\x02\x74\0\x12(c) 2019 A. Turner";
        let container = Container {
            exif: Some(&exif),
            iptc: Some(iptc),
            copyright: Some("All rights\r\n\0 reserved".into()),
            ..Container::default()
        };
        let wanted = "(c) 2019 A. Turner; All rights reserved; by A. Turner";
        assert_eq!(of(&container).as_deref(), Some(wanted));
    }

    #[test]
    fn xmp_is_read_as_elements_resources_and_attributes() {
        for (packet, wanted) in [
            (
                "<dc:rights>\n<rdf:Alt><rdf:li xml:lang='x-default'>&#169; Tom &amp; Co</rdf:li></rdf:Alt></dc:rights>",
                "© Tom & Co",
            ),
            (
                "<cc:license rdf:resource=\"https://creativecommons.org/licenses/by/4.0/\"/>",
                "https://creativecommons.org/licenses/by/4.0/",
            ),
            (
                "<rdf:Description xmpRights:WebStatement='https://example.org/terms' dc:rights=\"mine\">",
                "mine; https://example.org/terms",
            ),
        ] {
            let xmp = Some(Cow::Borrowed(packet.as_bytes()));
            let container = Container { xmp, ..Container::default() };
            assert_eq!(of(&container).as_deref(), Some(wanted));
        }
    }

    #[test]
    fn nothing_said_is_none_and_much_said_is_cut() {
        assert_eq!(of(&Container::default()), None);
        let blank = Container { copyright: Some(" \n\t".into()), ..Container::default() };
        assert_eq!(of(&blank), None);
        let long = Container { copyright: Some("é".repeat(2000)), ..Container::default() };
        assert_eq!(of(&long).map(|text| text.chars().count()), Some(MAX_CHARS));
        let broken = Container { exif: Some(b"II*\0\xFF\xFF\xFF\xFF"), ..Container::default() };
        assert_eq!(of(&broken), None);
    }
}
