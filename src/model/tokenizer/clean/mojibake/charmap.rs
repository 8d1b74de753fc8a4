//! The single-byte encodings that UTF-8 is mistaken for.
//!
//! "Sloppy" ones let bytes through that they leave open, as browsers do, and have the replacement
//! character as byte 1A, because that is what a lost byte has become. Tables by encoding_rs where
//! it has them. See <https://encoding.spec.whatwg.org/#legacy-single-byte-encodings>.

use std::collections::HashMap;
use std::sync::LazyLock;

use encoding_rs::{
    Encoding, ISO_8859_2, MACINTOSH, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253,
    WINDOWS_1254, WINDOWS_1257,
};

/// Name of the one encoding that is treated apart.
pub(super) const MAC_ROMAN: &str = "macroman";

/// The upper half of code page 437, the IBM PC's.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
                     └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{A0}";

/// What stands for a lost byte.
const LOST: u8 = 0x1A;

/// In the order in which they are tried.
static ALL: LazyLock<[Charmap; 10]> = LazyLock::new(|| {
    let sloppy = |encoding| Charmap::new(encoding_name(encoding), upper_half(encoding), true);
    [
        Charmap::new("latin-1", (0x80..=0xFF).map(char::from).collect(), false),
        sloppy(WINDOWS_1252),
        sloppy(WINDOWS_1251),
        sloppy(WINDOWS_1250),
        sloppy(WINDOWS_1253),
        sloppy(WINDOWS_1254),
        sloppy(WINDOWS_1257),
        Charmap::new(encoding_name(ISO_8859_2), upper_half(ISO_8859_2), false),
        Charmap::new(MAC_ROMAN, upper_half(MACINTOSH), false),
        Charmap::new("cp437", CP437.chars().collect(), false),
    ]
});

/// One encoding, ready to encode.
pub(super) struct Charmap {
    /// For what is peculiar to one.
    pub name: &'static str,
    /// Whether open bytes pass and lost ones are known.
    pub is_sloppy: bool,
    upper: Vec<char>,
    bytes: HashMap<char, u8>,
}

impl Charmap {
    fn new(name: &'static str, upper: Vec<char>, is_sloppy: bool) -> Self {
        let mut bytes: HashMap<char, u8> = upper.iter().copied().zip(0x80..=0xFF).collect();
        if is_sloppy {
            bytes.insert(char::REPLACEMENT_CHARACTER, LOST);
        }
        Self { name, is_sloppy, upper, bytes }
    }

    /// The bytes that this encoding would have shown as the text; `None` if it could not.
    pub fn encode(&self, text: &str) -> Option<Vec<u8>> {
        text.chars().map(|character| self.byte(character)).collect()
    }

    fn byte(&self, character: char) -> Option<u8> {
        match u8::try_from(character) {
            Ok(LOST) if self.is_sloppy => None,
            Ok(byte) if byte.is_ascii() => Some(byte),
            _ => self.bytes.get(&character).copied(),
        }
    }
}

/// All encodings, the likeliest first.
pub(super) fn all() -> impl Iterator<Item = &'static Charmap> {
    ALL.iter()
}

/// What Windows-1252 has in the place of a C1 control; a control that it leaves open stays.
pub(super) fn windows_1252(control: char) -> char {
    let index = (control as usize).checked_sub(0x80);
    index.and_then(|index| ALL[1].upper.get(index)).copied().unwrap_or(control)
}

fn encoding_name(encoding: &'static Encoding) -> &'static str {
    encoding.name()
}

/// What bytes 80 to FF are; open ones are what they are in Latin-1.
fn upper_half(encoding: &'static Encoding) -> Vec<char> {
    (0x80..=0xFF_u8)
        .map(|byte| {
            let bytes = [byte];
            let text = encoding.decode_without_bom_handling(&bytes).0;
            let shown = text.chars().next().filter(|&shown| shown != char::REPLACEMENT_CHARACTER);
            shown.unwrap_or(char::from(byte))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_has_a_byte_for_each_character_it_shows() {
        for map in all() {
            assert_eq!(map.upper.len(), 128, "{}", map.name);
            let text: String = map.upper.iter().collect();
            assert_eq!(map.encode(&text), Some((0x80..=0xFF).collect()), "{}", map.name);
            assert_eq!(map.encode("a\u{FFFD}").is_some(), map.is_sloppy, "{}", map.name);
            assert_eq!(map.encode("\u{1A}").is_none(), map.is_sloppy, "{}", map.name);
            assert_eq!(map.encode("猫"), None);
        }
    }

    #[test]
    fn open_bytes_pass() {
        assert_eq!(windows_1252('\u{80}'), '€');
        assert_eq!(windows_1252('\u{81}'), '\u{81}');
        let greek = all().find(|map| map.name == "windows-1253").unwrap();
        assert_eq!(greek.encode("Ÿª"), None);
        assert_eq!(greek.encode("\u{AA}\u{D2}\u{FF}"), Some(vec![0xAA, 0xD2, 0xFF]));
    }
}
