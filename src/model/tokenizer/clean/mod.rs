//! What the original does to a text before it splits it: repair, unescape, collapse, lower.
//!
//! [`repair`] does what `ftfy.fix_text` 6.3.1 does with its defaults: entities ([`html`]), mojibake
//! ([`mojibake`]), odd forms of characters ([`forms`]), NFC; again until nothing changes. Tested
//! against it, not derived from its code. See <https://ftfy.readthedocs.io/en/latest/config.html>.

mod forms;
mod html;
mod mojibake;

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// Rounds of repair before a text is taken as it is: each undoes one layer of escaping.
const MAX_ROUNDS: usize = 100;

/// The text as the pattern for words expects it.
pub(super) fn clean(text: &str) -> String {
    if is_plain(text) {
        return collapsed(text);
    }
    let unescaped = html::unescape(&repair(text)).into_owned();
    collapsed(&html::unescape(&unescaped))
}

/// Printable ASCII without entities is what repair makes of it.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'&')
}

/// Lower case, with single spaces inside and none around.
fn collapsed(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        if !spaced.is_empty() {
            spaced.push(' ');
        }
        spaced.push_str(word);
    }
    if spaced.is_ascii() {
        spaced.make_ascii_lowercase();
        return spaced;
    }
    spaced.to_lowercase()
}

fn is_space(character: char) -> bool {
    character.is_whitespace()
}

/// Repairs line by line, as mojibake seldom crosses lines. Markup anywhere means that entities are
/// meant, from that line on.
fn repair(text: &str) -> String {
    let mut is_markup = false;
    text.split_inclusive('\n')
        .map(|line| {
            is_markup |= line.contains('<');
            repaired_line(line, !is_markup)
        })
        .collect()
}

fn repaired_line(line: &str, unescape: bool) -> String {
    let mut text = line.to_owned();
    for _ in 0..MAX_ROUNDS {
        let unescaped = if unescape { html::unescape_strict(&text) } else { (&*text).into() };
        let decoded = mojibake::undo(&unescaped);
        let next = composed(&forms::straighten(&decoded)).into_owned();
        if next == text {
            break;
        }
        text = next;
    }
    text
}

fn composed(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_collapse_and_case_falls() {
        assert_eq!(clean("  A\u{a0}\u{3000}b\tC \n"), "a b c");
        assert_eq!(clean("ΟΔΥΣΣΕΥΣ İ"), "οδυσσευς i\u{307}");
        assert_eq!(clean(" \n"), "");
    }

    #[test]
    fn entities_stay_in_markup_until_the_end() {
        assert_eq!(repair("a &amp; b\n<b> &amp;\n&amp;"), "a & b\n<b> &amp;\n&amp;");
        assert_eq!(clean("<b> &amp;amp;amp; &lt"), "<b> &amp; <");
        assert_eq!(clean("&amp;amp;amp;amp;lt;"), "<");
    }

    #[test]
    fn plain_text_is_left_alone() {
        let text = "find this object, but with a 10% larger window (left)!";
        assert!(is_plain(text));
        assert_eq!(repair(text), text);
        assert!(!is_plain("a & b") && !is_plain("tab\t") && !is_plain("é"));
    }

    #[test]
    fn repairs_follow_one_another() {
        assert_eq!(
            repair("Broken text&hellip; it&#x2019;s ﬂubberiﬁc!"),
            "Broken text… it's flubberific!"
        );
        assert_eq!(repair("&macr;\\_(ã\u{83}\u{84})_/&macr;"), "¯\\_(ツ)_/¯");
        assert_eq!(repair("cafe\u{301}\u{7}"), "café");
    }
}
