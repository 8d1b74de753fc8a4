//! Whether a text holds neighbours that hardly anyone writes and wrong decoding makes.
//!
//! Characters that occur in mojibake fall into kinds, and rules name the pairs of kinds that do not
//! stand side by side by intention: an accented small letter before a currency sign, say. Kinds and
//! rules are facts of ftfy 6.3.1, whose verdicts are to be met; see
//! <https://ftfy.readthedocs.io/en/latest/heuristic.html>.

use std::sync::LazyLock;

use regex::Regex;

/// Kinds by name, as the inside of a character class.
const KINDS: [(&str, &str); 15] = [
    // Found anywhere, so no sign by themselves: hard space, soft hyphen, dashes, ….
    ("common", r"\u{A0}\u{AD}·´–—―…’"),
    ("c1", r"\u{80}-\u{9F}"),
    // Hardly ever written.
    ("bad", r"¦¤¨¬¯¸ƒˆˇ˘˛˜†‡‰⌐◊\u{FFFD}ªº"),
    ("law", "¶§"),
    ("currency", "¢£¥₧€"),
    ("open", r"¡«¿©\u{384}\u{385}‘‚“„•‹\u{F8FF}"),
    ("close", "®»˝”›™"),
    ("numeric", "²³¹±¼½¾×µ÷⁄∂∆∏∑√∞∩∫≈≠≡≤≥№"),
    // Letters of faces such as (ò_ó), which stand next to anything.
    ("kaomoji", "Ò-ÖÙ-Üò-öø-üŐŌŪŲ°"),
    ("upper", "À-ÑØÜÝĂĀĄĆČĎĐĘĚĒĖĞĢİĪĶĹĽŁĻŃŇŅŒŘŚŞŠŢŤŮŰŸŹŻŽҐ"),
    ("lower", "ßà-ñăąāćčďđęěēėğģįīķĺľłļœŕśşšťüźżžґﬁﬂ"),
    ("upper_common", "ÞΑ-ΩΆΈΉΊΌΎΏΪΫЁ-Я"),
    ("lower_common", "α-ωάέήίΰа-џ"),
    ("box", "│┌┐┘├┤┬┼═-╬▀▄█▌▐░▒▓"),
    ("arabic", "{common}{currency}{bad}{numeric}{open}ŸŠ®°µ»"),
];

/// What is unlikely, by kinds and characters. In order of the encodings that make it.
const RULES: [&str; 36] = [
    "[{c1}]",
    // Kinds that do not meet.
    "[{bad}{lower}{upper}{box}{open}{close}{currency}{numeric}{law}][{bad}]",
    "[a-zA-Z][{lower_common}{upper_common}][{bad}]",
    "[{bad}][{lower}{upper}{box}{open}{close}{currency}{numeric}{law}]",
    "[{lower}{lower_common}{box}{close}{currency}{numeric}][{upper}]",
    "[{box}{close}{currency}{numeric}][{lower}]",
    "[{lower}{box}{close}][{currency}]",
    r"[\s\x1C-\x1F][{upper}][{currency}]",
    "[{upper}{box}][{numeric}{law}]",
    "[{lower}{upper}{box}{currency}{close}][{open}][{numeric}]",
    "[{lower}{upper}{currency}{numeric}{box}{law}][{close}][{open}]",
    "[{currency}{numeric}{box}][{open}]",
    "[a-z][{upper}][{open}{currency}]",
    "[{box}][{kaomoji}]",
    "[{lower}{upper}{currency}{numeric}{open}{close}{law}][{box}]",
    "[{box}][{close}]",
    r"[{lower}{upper}][{open}{close}][\p{L}\p{N}_]",
    "[Œœ][^A-Za-z]",
    "[{upper}]°",
    // Windows-1252.
    r"[ÂÃÎÐ][€œŠš¢£Ÿž\u{A0}\u{AD}®©°·»{open}{close}–—´]",
    "×[²³]",
    "[ØÙ][{arabic}][ØÙ][{arabic}]",
    "à[²µ¹¼½¾]",
    // MacRoman.
    "√[±∂†≠®™´≤≥¥µø]",
    "≈[°¢]",
    "‚Ä[ìîïòôúùû†°¢π]",
    "‚[âó][àä°ê]",
    // Windows-1251.
    "вЂ",
    "[ВГРС][{c1}{bad}{open}{close}{currency}°µ][ВГРС]",
    "ГўВЂВ.[A-Za-z ]",
    // Windows-1252 again: a hard space, and what was meant for one.
    r"Ã[\u{A0}¡]",
    r"(?:^|[a-z][\s\x1C-\x1F]?)[ÃÂ] ",
    "[a-z.,?!{close}]Â[ {open}{close}]",
    // Windows-1253 and 1257.
    r"β€[™\u{A0}Ά\u{AD}®°]",
    "[ΒΓΞΟ][{c1}{bad}{open}{close}{currency}°][ΒΓΞΟ]",
    "ā€",
];

static UNLIKELY: LazyLock<Regex> = LazyLock::new(|| {
    let mut pattern = RULES.join("|");
    // Backwards, because the last kind is made of others.
    for (name, members) in KINDS.iter().rev() {
        pattern = pattern.replace(&format!("{{{name}}}"), members);
    }
    Regex::new(&pattern).expect("the pattern is constant and tested")
});

/// Whether any rule is met.
pub(super) fn is_bad(text: &str) -> bool {
    UNLIKELY.is_match(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_filled_in() {
        let pattern = UNLIKELY.as_str();
        assert!(KINDS.iter().all(|(name, _)| !pattern.contains(&format!("{{{name}}}"))));
        assert!(RULES.iter().all(|rule| !rule.is_empty()));
    }

    #[test]
    fn pairs_are_told_apart() {
        for bad in ["Ã¶", "â€™", "a\u{80}", "Ð¿Ñ€", "√©√±", "вЂњ", "œ ", "Ã ", "a Â b", "×²"]
        {
            assert!(is_bad(bad), "{bad}");
        }
        for good in ["ö", "é€", "Œuvre", "naïve ©", "¿Dónde?", "Øresund", "Ãb"] {
            assert_eq!(is_bad(good), good == "é€", "{good}");
        }
    }
}
