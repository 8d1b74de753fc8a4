//! Characters in a form that was not meant: ligatures, full width, curly quotes, odd line breaks,
//! controls.
//!
//! The sets are those of ftfy 6.3.1: see <https://ftfy.readthedocs.io/en/latest/fixes.html>.

use std::sync::LazyLock;

use icu_normalizer::ComposingNormalizerBorrowed;
use regex::Regex;

/// What colours text in a terminal.
static ESCAPE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("\u{1b}\\[[\\d;]*[a-zA-Z]").expect("the pattern is constant and tested")
});

/// Replaces each character by the plain one, and drops what has none.
pub(super) fn straighten(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut after_return = false;
    for character in text.chars() {
        let is_pair = after_return && character == '\n';
        after_return = character == '\r';
        if !is_pair {
            push(character, &mut plain);
        }
    }
    if plain.contains('\u{1b}') {
        plain = ESCAPE.replace_all(&plain, "").into_owned();
    }
    plain.retain(|character| !is_control(character));
    plain
}

fn push(character: char, out: &mut String) {
    match character {
        ' '..='~' => out.push(character),
        '\r' | '\u{2028}' | '\u{2029}' | '\u{85}' => out.push('\n'),
        '\u{3000}' => out.push(' '),
        '\u{2BC}' | '\u{2018}'..='\u{201B}' => out.push('\''),
        '\u{201C}'..='\u{201F}' => out.push('"'),
        '\u{FF01}'..='\u{FFEF}' => out.push_str(&standard_width(character)),
        _ => match ligature(character) {
            Some(letters) => out.push_str(letters),
            None => out.push(character),
        },
    }
}

/// Half- and full-width forms by their compatibility mapping.
fn standard_width(character: char) -> String {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    nfkc.normalize(character.encode_utf8(&mut [0; 4])).into_owned()
}

/// Latin ligatures, and digraphs that one old code page or other had as one character.
fn ligature(character: char) -> Option<&'static str> {
    Some(match character {
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        'ŉ' => "'n",
        'Ǳ' => "DZ",
        'ǲ' => "Dz",
        'ǳ' => "dz",
        'Ǆ' => "DŽ",
        'ǅ' => "Dž",
        'ǆ' => "dž",
        'Ǉ' => "LJ",
        'ǈ' => "Lj",
        'ǉ' => "lj",
        'Ǌ' => "NJ",
        'ǋ' => "Nj",
        'ǌ' => "nj",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' => "ſt",
        'ﬆ' => "st",
        _ => return None,
    })
}

/// Controls without a use in text; tabs, line feeds and what shapes scripts stay.
fn is_control(character: char) -> bool {
    matches!(character,
        '\0'..='\u{8}' | '\u{B}' | '\u{E}'..='\u{1F}' | '\u{7F}'
        | '\u{206A}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFC}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_become_plain() {
        for (text, wanted) in [
            ("ﬂuﬃeﬆ ǆep", "fluffiest džep"),
            ("ＬＯＵＤ\u{3000}ＮＯＩＳＥＳ Ｕﾀｰﾝ", "LOUD NOISES Uターン"),
            ("\u{201c}here\u{2019}s\u{201d} \u{201f}a\u{201a}", "\"here's\" \"a'"),
            ("a\r\nb\rc\u{2028}d\u{85}e\r\r\nf", "a\nb\nc\nd\ne\n\nf"),
            ("\u{1b}[36;44mblue\u{1b}[0m \u{1b}x \u{7}\u{feff}", "blue x "),
        ] {
            assert_eq!(straighten(text), wanted);
        }
    }

    #[test]
    fn what_shapes_text_stays() {
        let text = "👨\u{200d}👩 \u{200f}\u{202a}æß\t\u{c}\u{1D173}";
        assert_eq!(straighten(text), text);
    }
}
