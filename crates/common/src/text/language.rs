//! Which language a text is in, by its script and letter trigrams; no model and no look at the page.
//!
//! Codes are ISO 639-1 where there is one, as in `lang` attributes. <https://docs.rs/whatlang>

use whatlang::Lang;

/// More text than this changes no answer.
const MAX_CHARS: usize = 2000;

/// Trigrams guess badly below this many letters.
const MIN_LETTERS: usize = 20;

/// Three-letter codes that whatlang gives and their two-letter forms.
const SHORT: &str = "
    afr:af aka:ak amh:am ara:ar aze:az bel:be ben:bn bul:bg cat:ca ces:cs cmn:zh cym:cy dan:da
    deu:de ell:el eng:en epo:eo est:et fin:fi fra:fr guj:gu heb:he hin:hi hrv:hr hun:hu hye:hy
    ind:id ita:it jav:jv jpn:ja kan:kn kat:ka khm:km kor:ko lat:la lav:lv lit:lt mal:ml mar:mr
    mkd:mk mya:my nep:ne nld:nl nob:nb ori:or pan:pa pes:fa pol:pl por:pt ron:ro rus:ru sin:si
    slk:sk slv:sl sna:sn spa:es srp:sr swe:sv tam:ta tel:te tgl:tl tha:th tuk:tk tur:tr ukr:uk
    urd:ur uzb:uz vie:vi yid:yi zul:zu";

/// Names the language of a text, or `None` where the text is too short or the guess is unsure.
pub fn detect(text: &str) -> Option<&'static str> {
    let head = head(text);
    if letters(head) < MIN_LETTERS {
        return None;
    }
    whatlang::detect(head).filter(whatlang::Info::is_reliable).map(|info| code(info.lang()))
}

/// The first `MAX_CHARS` characters.
fn head(text: &str) -> &str {
    text.char_indices().nth(MAX_CHARS).map_or(text, |(end, _)| &text[..end])
}

/// Counts letters; one of Chinese, Japanese or Korean says as much as three.
fn letters(text: &str) -> usize {
    let letters = text.chars().filter(|c| c.is_alphabetic());
    letters
        .map(|c| if matches!(c, '\u{3040}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}') { 3 } else { 1 })
        .sum()
}

/// The two-letter code, or the three-letter one of a language that has no other.
fn code(lang: Lang) -> &'static str {
    let long = lang.code();
    let mut pairs = SHORT.split_whitespace().filter_map(|pair| pair.split_once(':'));
    pairs.find(|(three, _)| *three == long).map_or(long, |(_, two)| two)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn languages_are_told_apart() {
        let cases = [
            (
                "en",
                "Our kitchen was finished last summer. The cabinets are made of oak and the counter is white marble.",
            ),
            (
                "de",
                "Der schnelle braune Fuchs springt über den faulen Hund, während die Kinder zuschauen.",
            ),
            (
                "fr",
                "Le château se trouve au bord de la rivière, entouré de jardins et de grands arbres.",
            ),
            (
                "es",
                "El perro corre por la playa mientras los niños juegan con una pelota de colores.",
            ),
            (
                "it",
                "Questa è una fotografia della cattedrale di Firenze vista dalla collina al tramonto.",
            ),
            (
                "pt",
                "A fotografia mostra as crianças que estão brincando na praia ao pôr do sol em setembro.",
            ),
            (
                "ru",
                "Наша кухня была закончена прошлым летом. Шкафы сделаны из дуба, а столешница — из белого мрамора, и мы добавили большое окно.",
            ),
            ("el", "Ο σκύλος τρέχει στην παραλία ενώ τα παιδιά παίζουν με την μπάλα."),
            ("zh", "孩子们在海滩上玩球，狗在旁边跑来跑去。"),
            ("ja", "子供たちが海辺でボール遊びをしています。"),
            ("ko", "아이들이 바닷가에서 공놀이를 하고 있습니다."),
            ("he", "הילדים משחקים בכדור על חוף הים והכלב רץ לידם."),
        ];
        for (code, text) in cases {
            assert_eq!(detect(text), Some(code), "{text}");
        }
    }

    #[test]
    fn short_or_wordless_text_has_no_language() {
        for text in ["", "red dress", "IMG_2041.jpg", "1234567890 1234567890 1234567890 --- !!!"] {
            assert_eq!(detect(text), None, "{text}");
        }
    }

    #[test]
    fn every_language_of_whatlang_has_a_two_letter_code() {
        for lang in Lang::all() {
            assert_eq!(code(*lang).len(), 2, "{lang:?}");
        }
    }

    #[test]
    fn only_the_head_counts() {
        let text = "é".repeat(MAX_CHARS + 5);
        assert_eq!(head(&text).chars().count(), MAX_CHARS);
        assert_eq!(head("short"), "short");
    }

    proptest! {
        #[test]
        fn never_panics(text in r"\PC{0,80}") {
            detect(&text);
        }
    }
}
