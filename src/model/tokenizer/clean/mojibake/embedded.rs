//! Runs of mojibake inside a text that is otherwise well.
//!
//! Such a run looks like UTF-8: a character that can stand for a first byte, then as many for
//! continuation bytes as it asks for. Sets as in ftfy 6.3.1: see
//! <https://ftfy.readthedocs.io/en/latest/fixes.html>.

use std::sync::LazyLock;

use regex::Regex;

use super::{badness, undo as undo_all};

/// Characters for the bytes C2 to DF, in all encodings that are tried.
const FIRST_OF_2: &str = "ĂÂÄĀÅÃÆĆČÇĎĐÉĚÊËĖÈĒĘÐĞĢÍÎÏİÌĪĶĹĻŁŃŇŅÑÓÔÖŐÒŌØÕŘŚŠŞŢÞÚÛÜŰÙŪŲŮÝŹŽŻß×\
                          Β-ΡΣ-Ϋά-ίВ-Я";
/// For E0 to EF.
const FIRST_OF_3: &str = "áăâäàāąåãæćčçďéěêëėèēęģíîïìīįķĺļŕźΰ-οа-п";
/// For F0 and F3.
const FIRST_OF_4: &str = "đðğóšπσру";
/// For 80 to BF, those left out that also end a word or a clause.
const CONTINUATION: &str =
    r"\u{80}-¿ĄÆĽŁØŖŚŠŞŤŸŹŽŻŒąæƒľłøŗśšşťźžżœˆˇ˘˛˜˝΄΅ΆΈΉΊΌΎΏЁ-ЌЎЏё-ќўџҐґ†‡‰‹›€№™";
/// Those: dashes, quotes, bullet, ellipsis; and a plain space for a hard one.
const ALSO_CONTINUATION: &str = " –—―‘’‚“”„•…";

static RUN: LazyLock<Regex> = LazyLock::new(|| {
    let next = format!("[{CONTINUATION}{ALSO_CONTINUATION}]");
    let run =
        format!("(?:[{FIRST_OF_2}]{next}|[{FIRST_OF_3}]{next}{{2}}|[{FIRST_OF_4}]{next}{{3}})+");
    Regex::new(&run).expect("the pattern is constant and tested")
});

static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!("[{CONTINUATION}]$")).expect("the pattern is constant and tested")
});

/// Undoes each run that is bad by itself. A run right after a continuation character is part of a
/// larger garble, which a partial repair would make worse.
pub(super) fn undo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut from) = (0, 0);
    while let Some(run) = RUN.find_at(text, from) {
        if continues(&text[..run.start()]) {
            from = text.ceil_char_boundary(run.start() + 1);
            continue;
        }
        from = run.end();
        // A run that is the whole text would come back here for ever.
        if run.len() < text.len() && badness::is_bad(run.as_str()) {
            out.push_str(&text[copied..run.start()]);
            out.push_str(&undo_all(run.as_str()));
            copied = run.end();
        }
    }
    out.push_str(&text[copied..]);
    out
}

fn continues(before: &str) -> bool {
    let last = before.char_indices().next_back();
    last.is_some_and(|(start, _)| BEFORE.is_match(&before[start..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_undone_alone() {
        assert_eq!(undo("日本 â€œquotedâ€\u{9d} 日"), "日本 “quoted” 日");
        assert_eq!(undo("猫 Ã©tÃ©"), "猫 été");
    }

    #[test]
    fn runs_inside_a_garble_stay() {
        assert_eq!(undo("猫 ¿Ã©"), "猫 ¿Ã©");
        assert_eq!(undo("Ã©"), "Ã©");
        assert_eq!(undo("猫 Éa"), "猫 Éa");
    }
}
