//! Bytes that were UTF-8 before somebody touched them: hard spaces made plain, bytes lost, pairs
//! of surrogates, a null in two bytes.
//!
//! See <https://ftfy.readthedocs.io/en/latest/fixes.html> and, for surrogates,
//! <https://www.unicode.org/reports/tr26/>.

use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

/// UTF-8 sequences with a plain space for byte A0, where that gives a likely character.
static SPACED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&[
        r"[\xC2\xC3\xC5\xCE\xD0\xD9]\x20",
        r"[\xE2\xE3]\x20[\x80-\x84\x86-\x9F\xA1-\xBF]",
        r"[\xE0-\xE3][\x80-\x84\x86-\x9F\xA1-\xBF]\x20",
        r"\xF0\x20[\x80-\xBF][\x80-\xBF]",
        r"\xF0[\x80-\xBF]\x20[\x80-\xBF]",
        r"\xF0[\x80-\xBF][\x80-\xBF]\x20",
    ])
});

/// Sequences of which a byte was lost: 1A, or at most one question mark.
static LOSSY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&[
        r"[\xC2-\xDF]\x1A",
        r"[\xC2\xC3]\?",
        r"\xED[\xA0-\xAF][\x1A?]\xED[\xB0-\xBF][\x1A?\x80-\xBF]",
        r"\xED[\xA0-\xAF][\x1A?\x80-\xBF]\xED[\xB0-\xBF][\x1A?]",
        r"[\xE0-\xEF][\x1A?][\x1A\x80-\xBF]",
        r"[\xE0-\xEF][\x1A\x80-\xBF][\x1A?]",
        r"[\xF0-\xF4][\x1A?][\x1A\x80-\xBF][\x1A\x80-\xBF]",
        r"[\xF0-\xF4][\x1A\x80-\xBF][\x1A?][\x1A\x80-\xBF]",
        r"[\xF0-\xF4][\x1A\x80-\xBF][\x1A\x80-\xBF][\x1A?]",
        r"\x1A",
    ])
});

/// Forms that Java and UTF-16 databases write: a null as C0 80, a character as two surrogates.
static VARIANT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&[r"\xC0\x80", r"\xED[\xA0-\xAF][\x80-\xBF]\xED[\xB0-\xBF][\x80-\xBF]"])
});

/// After "à " these make one word of Portuguese: às, àquele, àquela, àquilo. A second space means
/// that the first was a hard one.
const NO_WORD_ENDS: [&[u8]; 5] = [b" ", b"quele", b"quela", b"quilo", b"s "];

fn pattern(choices: &[&str]) -> Regex {
    Regex::new(&format!("(?-u){}", choices.join("|")))
        .expect("the patterns are constant and tested")
}

/// Puts byte A0 back where a space stands for it.
pub(super) fn with_hard_spaces(bytes: Vec<u8>) -> Vec<u8> {
    if !SPACED.is_match(&bytes) {
        return bytes;
    }
    let restore = |found: &Captures<'_>| -> Vec<u8> {
        found[0].iter().map(|&byte| if byte == b' ' { 0xA0 } else { byte }).collect()
    };
    SPACED.replace_all(&with_a_grave(&bytes), restore).into_owned()
}

/// The French word "à" keeps a space behind it.
fn with_a_grave(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        out.push(byte);
        rest = after;
        if let (0xC3, Some(after)) = (byte, after.strip_prefix(b" "))
            && !NO_WORD_ENDS.iter().any(|end| after.starts_with(end))
        {
            out.extend(b"\xA0 ");
            rest = after;
        }
    }
    out
}

/// Makes each sequence that lost a byte a replacement character.
pub(super) fn with_losses_marked(bytes: Vec<u8>) -> Vec<u8> {
    LOSSY.replace_all(&bytes, "\u{FFFD}".as_bytes()).into_owned()
}

/// Decodes UTF-8 and its two variants; `None` if it is something else.
pub(super) fn decode(bytes: Vec<u8>) -> Option<String> {
    let standard = VARIANT.replace_all(&bytes, |found: &Captures<'_>| character(&found[0]));
    String::from_utf8(standard.into_owned()).ok()
}

fn character(variant: &[u8]) -> Vec<u8> {
    let &[_, b, c, _, e, f] = variant else { return vec![0] };
    let bits = |byte: u8, mask: u8, shift: u32| u32::from(byte & mask) << shift;
    let point =
        0x1_0000 + bits(b, 0x0F, 16) + bits(c, 0x3F, 10) + bits(e, 0x0F, 6) + bits(f, 0x3F, 0);
    char::from_u32(point).map(|character| character.to_string().into_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_become_hard_where_a_letter_comes_of_it() {
        for (bytes, wanted) in [
            (&b"voil\xC3 le"[..], "voilà le"),
            (b"\xC3 la", "à la"),
            (b"\xC3  la", "à la"),
            (b"\xC3 quele \xC3 s vezes", "àquele às vezes"),
            (b"\xE2\x80 x", "\u{2020}x"),
            (b"plain text", "plain text"),
        ] {
            assert_eq!(decode(with_hard_spaces(bytes.to_vec())).as_deref(), Some(wanted));
        }
    }

    #[test]
    fn losses_are_marked_once() {
        let marked = with_losses_marked(b"\xE2\x80\x1A \xC3? \x1A \xF0\x9F\x1A\x1A a?".to_vec());
        assert_eq!(String::from_utf8(marked).unwrap(), "\u{FFFD} \u{FFFD} \u{FFFD} \u{FFFD} a?");
    }

    #[test]
    fn variants_decode_and_lone_surrogates_do_not() {
        let decoded = |bytes: &[u8]| decode(bytes.to_vec());
        assert_eq!(decoded(b"a\xC0\x80b").as_deref(), Some("a\0b"));
        assert_eq!(decoded(b"\xED\xA0\xBD\xED\xB8\x8D").as_deref(), Some("😍"));
        assert_eq!(decoded("힣é".as_bytes()).as_deref(), Some("힣é"));
        assert_eq!(decoded(b"\xED\xA0\xBD"), None);
        assert_eq!(decoded(b"\xC0\x81"), None);
    }
}
