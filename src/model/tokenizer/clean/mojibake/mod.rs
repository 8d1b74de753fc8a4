//! Text that was decoded by the wrong encoding, decoded again by the right one.
//!
//! A text that holds unlikely neighbours ([`badness`]) and fits a single-byte encoding
//! ([`charmap`]) whose bytes are UTF-8 ([`utf8`]) was UTF-8 once. Where only a part of it was, that
//! part is done alone ([`embedded`]). The rules are those of ftfy 6.3.1: see
//! <https://ftfy.readthedocs.io/en/latest/heuristic.html>.

mod badness;
mod charmap;
mod embedded;
mod utf8;

use std::borrow::Cow;

use charmap::Charmap;

/// Steps before the rest is taken as it is: each undoes one layer, and shortens the text.
const MAX_STEPS: usize = 32;

/// Undoes all layers of wrong decoding; most texts have none and are given back.
pub(super) fn undo(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..MAX_STEPS {
        match step(&text) {
            Some(better) if better != text => text = Cow::Owned(better),
            _ => break,
        }
    }
    text
}

/// One layer; `None` where the text looks as it was meant.
fn step(text: &str) -> Option<String> {
    if text.is_ascii() || !badness::is_bad(text) {
        return None;
    }
    charmap::all()
        .find_map(|map| reread(text, map))
        .or_else(|| Some(embedded::undo(text)).filter(|better| better != text))
        .or_else(|| Some(without_c1(text)))
}

/// The text as UTF-8 whose bytes were shown by this encoding.
fn reread(text: &str, map: &Charmap) -> Option<String> {
    let mut bytes = map.encode(text)?;
    // MacRoman has an en dash where others have an accented letter: too common before a space.
    if map.name != charmap::MAC_ROMAN {
        bytes = utf8::with_hard_spaces(bytes);
    }
    if map.is_sloppy {
        bytes = utf8::with_losses_marked(bytes);
    }
    utf8::decode(bytes)
}

/// C1 controls have no use: Windows-1252 was meant.
fn without_c1(text: &str) -> String {
    let windows = |character: char| match character {
        '\u{80}'..='\u{9F}' => charmap::windows_1252(character),
        _ => character,
    };
    text.chars().map(windows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_decoding_is_undone() {
        for (text, wanted) in [
            ("schÃ¶n mojibake", "schön mojibake"),
            ("âœ” No problems", "✔ No problems"),
            ("voilÃ le travail", "voilà le travail"),
            ("Ã la mode, Ã  la carte", "à la mode, à la carte"),
            ("â€œlike thisâ€\u{FFFD}", "\u{201c}like this\u{FFFD}"),
            ("RUF MICH ZURÃœCK", "RUF MICH ZURÜCK"),
            ("Ã\u{83}Â¶", "ö"),
            ("\u{85}dots\u{81}", "…dots\u{81}"),
            ("ñ aside, itâ€™s ð\u{9f}\u{98}\u{8a}", "ñ aside, it\u{2019}s 😊"),
        ] {
            assert_eq!(undo(text), wanted, "{text}");
        }
    }

    #[test]
    fn good_text_is_left_alone() {
        for text in [
            "Ångström, café, naïve — “quoted”… 10 €",
            "PARCE QUE SUR LEURS PLAQUES IL Y MARQUÉ…",
            "Привет, мир! 猫の写真 ¯\\_(ツ)_/¯",
            "Bremer/Mccoy – DrÃ¥ber",
        ] {
            assert_eq!(undo(text), text);
        }
    }
}
