//! Character references: `&amp;`, `&#xe9;` and the 2,231 named ones, which html5ever brings along.
//!
//! <https://html.spec.whatwg.org/#character-reference-state>

use std::borrow::Cow;

use html5ever::data::{C1_REPLACEMENTS, NAMED_ENTITIES};
use memchr::memchr2;

/// Where a reference stands: in an attribute, `&copy=` and `&copyx` are not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Text,
    Attribute,
}

/// Resolves the character references of an attribute value and replaces NUL.
pub fn decode(raw: &str) -> Cow<'_, str> {
    decode_in(raw, Place::Attribute)
}

/// Resolves the character references of text and replaces NUL.
pub fn decode_text(raw: &str) -> Cow<'_, str> {
    decode_in(raw, Place::Text)
}

fn decode_in(raw: &str, place: Place) -> Cow<'_, str> {
    let Some(first) = memchr2(b'&', 0, raw.as_bytes()) else {
        return Cow::Borrowed(raw);
    };
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    let mut next = Some(first);
    while let Some(at) = next {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let used = match rest.as_bytes()[at] {
            0 => {
                out.push(char::REPLACEMENT_CHARACTER);
                0
            }
            _ => reference(tail, place, &mut out),
        };
        rest = &tail[used..];
        next = memchr2(b'&', 0, rest.as_bytes());
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Writes what the reference after an `&` stands for and returns how many bytes it took.
fn reference(tail: &str, place: Place, out: &mut String) -> usize {
    let used = match tail.as_bytes() {
        [b'#', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => numeric(tail, 2, 16, out),
        [b'#', digit, ..] if digit.is_ascii_digit() => numeric(tail, 1, 10, out),
        [letter, ..] if letter.is_ascii_alphanumeric() => named(tail, place, out),
        _ => 0,
    };
    if used == 0 {
        out.push('&');
    }
    used
}

fn numeric(tail: &str, start: usize, base: u32, out: &mut String) -> usize {
    let mut value = 0u32;
    let mut end = start;
    while let Some(digit) = tail.as_bytes().get(end).and_then(|&b| (b as char).to_digit(base)) {
        value = value.saturating_mul(base).saturating_add(digit);
        end += 1;
    }
    let replaced = match value {
        0 => None,
        0x80..=0x9f => C1_REPLACEMENTS[value as usize - 0x80].or(char::from_u32(value)),
        _ => char::from_u32(value),
    };
    out.push(replaced.unwrap_or(char::REPLACEMENT_CHARACTER));
    end + usize::from(tail.as_bytes().get(end) == Some(&b';'))
}

fn named(tail: &str, place: Place, out: &mut String) -> usize {
    let mut longest = None;
    let mut end = 0;
    // The table also holds every beginning of a name, with 0 as its character.
    while let Some(byte) = tail.as_bytes().get(end).filter(|byte| byte.is_ascii()) {
        end += 1;
        match NAMED_ENTITIES.get(&tail[..end]) {
            None => break,
            Some(&(0, _)) => {}
            Some(&chars) => longest = Some((end, *byte, chars)),
        }
    }
    let Some((end, last, (one, two))) = longest else { return 0 };
    let next = tail.as_bytes().get(end);
    let runs_on = next.is_some_and(|&b| b == b'=' || b.is_ascii_alphanumeric());
    if place == Place::Attribute && last != b';' && runs_on {
        return 0;
    }
    out.extend([one, two].into_iter().filter(|&c| c != 0).filter_map(char::from_u32));
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_as_browsers_do() {
        for (raw, text, attribute) in [
            ("plain", "plain", "plain"),
            ("a&amp;b&lt", "a&b<", "a&b<"),
            ("?a=1&copy=2", "?a=1©=2", "?a=1&copy=2"),
            ("&notit;&notin;", "¬it;∉", "&notit;∉"),
            (
                "&#233;&#xE9;&#128;&#0;&#xD800;&#99999999999;",
                "éé€\u{fffd}\u{fffd}\u{fffd}",
                "éé€\u{fffd}\u{fffd}\u{fffd}",
            ),
            ("&;&#;&#x;& &é&bogus;&", "&;&#;&#x;& &é&bogus;&", "&;&#;&#x;& &é&bogus;&"),
            ("&NotEqualTilde;", "≂̸", "≂̸"),
            ("a\0b", "a\u{fffd}b", "a\u{fffd}b"),
        ] {
            assert_eq!(decode_text(raw), text);
            assert_eq!(decode(raw), attribute);
        }
    }
}
