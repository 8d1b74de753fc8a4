//! Character references, twice: as Python's `html.unescape` reads them, and as ftfy does.
//!
//! The names are the standard's, from html5ever's table. See
//! <https://html.spec.whatwg.org/multipage/named-characters.html>.

use std::borrow::Cow;
use std::sync::LazyLock;

use html5ever::data::{C1_REPLACEMENTS, NAMED_ENTITIES};
use regex::{Captures, Regex};

/// Longest run of characters that can be a name.
const MAX_NAME: usize = 32;

static STRICT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"&#?[0-9A-Za-z]{1,24};").expect("the pattern is constant and tested")
});

/// Replaces references as browsers do: those that may go without a semicolon included.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    let Some(mut start) = text.find('&') else { return text.into() };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..start]);
    loop {
        let rest = &text[start + 1..];
        let taken = reference(rest, &mut out).unwrap_or_else(|| {
            out.push('&');
            0
        });
        let after = &rest[taken..];
        let next = after.find('&').unwrap_or(after.len());
        out.push_str(&after[..next]);
        start += 1 + taken + next;
        if next == after.len() {
            return out.into();
        }
    }
}

/// Replaces only references that end in a semicolon, and names that were put in capitals: in a text
/// that is no markup, `&NTILDE;` can mean only one thing, `&notit` several.
pub(super) fn unescape_strict(text: &str) -> Cow<'_, str> {
    STRICT.replace_all(text, |found: &Captures<'_>| strict(&found[0]))
}

fn strict(reference: &str) -> String {
    let name = &reference[1..];
    if name.starts_with('#') {
        let unescaped = unescape(reference).into_owned();
        return if unescaped.contains(';') { reference.to_owned() } else { unescaped };
    }
    named(name).or_else(|| capitals(name)).unwrap_or_else(|| reference.to_owned())
}

/// `EACUTE;` for `eacute;`, unless browsers would read something of it as it stands.
fn capitals(name: &str) -> Option<String> {
    let is_capital = |byte: u8| !byte.is_ascii_lowercase();
    if !name.bytes().all(is_capital) || longest_name(name).is_some() {
        return None;
    }
    named(&name.to_ascii_lowercase()).map(|value| value.to_uppercase())
}

/// Appends what the reference after `&` stands for; gives the bytes it took.
fn reference(rest: &str, out: &mut String) -> Option<usize> {
    if rest.starts_with('#') {
        return numeric(rest, out);
    }
    let length = longest_name(rest)?;
    out.push_str(&named(&rest[..length])?);
    Some(length)
}

/// Length of the longest name at the start.
fn longest_name(rest: &str) -> Option<usize> {
    let letters = rest.bytes().take(MAX_NAME).take_while(u8::is_ascii_alphanumeric).count();
    let whole = letters + usize::from(rest[letters..].starts_with(';'));
    (2..=whole).rev().find(|&length| named(&rest[..length]).is_some())
}

/// The table also has the starts of names, which stand for nothing.
fn named(name: &str) -> Option<String> {
    let &(first, second) = NAMED_ENTITIES.get(name)?;
    let characters = [first, second].into_iter().filter(|&point| point != 0);
    Some(characters.filter_map(char::from_u32).collect()).filter(|text: &String| !text.is_empty())
}

/// `#` and digits: decimal, or hexadecimal after an x.
fn numeric(rest: &str, out: &mut String) -> Option<usize> {
    let (skip, radix) = if rest[1..].starts_with(['x', 'X']) { (2, 16) } else { (1, 10) };
    let digits = &rest[skip..];
    let length = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    if length == 0 {
        return None;
    }
    let point = digits[..length].chars().fold(0, |sum: u32, digit| {
        sum.saturating_mul(radix).saturating_add(digit.to_digit(radix).unwrap_or(0))
    });
    out.extend(character(point));
    let end = skip + length;
    Some(end + usize::from(rest[end..].starts_with(';')))
}

/// What a number stands for: Windows-1252 for C1, nothing for other controls and noncharacters.
fn character(point: u32) -> Option<char> {
    match point {
        0 => Some('\u{FFFD}'),
        0x80..=0x9F => C1_REPLACEMENTS[(point - 0x80) as usize].or(char::from_u32(point)),
        0x01..=0x08 | 0x0B | 0x0E..=0x1F | 0x7F | 0xFDD0..=0xFDEF => None,
        _ if point & 0xFFFE == 0xFFFE && point <= 0x10_FFFF => None,
        _ => Some(char::from_u32(point).unwrap_or('\u{FFFD}')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_as_python_reads_them() {
        for (text, wanted) in [
            ("a &lt;b&gt; &copy 2023 &notit; &notanentity; &", "a <b> © 2023 ¬it; ¬anentity; &"),
            ("caf&eacute;&eacute &NotEqualTilde; &ampamp;", "caféé ≂̸ &amp;"),
            ("&#39;&#x27;&#X41&#65x &#; &#x; &#xg", "''AAx &#; &#x; &#xg"),
            (
                "&#128;&#x81;&#0;&#1;&#xFFFE;&#xD800;&#x110000;&#99999999999;",
                "€\u{81}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}",
            ),
            ("&#13;&#xfdd0;&&amp;&", "\r&&&"),
            ("&CounterClockwiseContourIntegral;é&é", "∳é&é"),
        ] {
            assert_eq!(unescape(text), wanted, "{text}");
        }
    }

    #[test]
    fn strict_references_end_and_may_be_in_capitals() {
        for (text, wanted) in [
            ("&lt;tag&gt; &copy 2023 &notit;", "<tag> &copy 2023 &notit;"),
            ("P&EACUTE;REZ BUNDESSTRA&SZLIG;E", "PÉREZ BUNDESSTRASSE"),
            ("&ntilde; &Ntilde; &NTILDE; &nTILDE;", "ñ Ñ Ñ &nTILDE;"),
            ("&#35; &#x2019; &#12ab; &GTDOT;", "# \u{2019} &#12ab; &GTDOT;"),
        ] {
            assert_eq!(unescape_strict(text), wanted, "{text}");
        }
    }
}
