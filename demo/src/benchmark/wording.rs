//! Instructions as the miner's templates word them where one phrase takes the place of another.
//!
//! The templates are the miner's own (`stages/instruct/template`), which this crate cannot use: it is
//! what the miner is tested with. A test of the miner holds the two lists together.

/// Templates for any phrase; `{now}` and `{was}` are `{new}` and `{gone}` without their preposition.
const REPLACED: [&str; 5] = [
    "{new} instead of {gone}",
    "change {was} to {now}",
    "replace {was} with {now}",
    "the same, but {new} instead of {gone}",
    "{now} rather than {was}",
];

/// Templates for phrases with a preposition.
const LED: [&str; 4] =
    ["the same, but {new}", "show it {new}", "now {new}", "the same thing {new}"];

/// Templates for phrases without one.
const PLAIN: [&str; 4] = ["the same, but {new}", "show {new}", "now with {new}", "make it {new}"];

/// How a phrase stands in an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// With its preposition, if it has one: `on the beach`, `red`.
    pub whole: String,
    /// Without: `beach`, `red`.
    pub bare: String,
}

/// Words the change from one phrase to another, by one of the nine templates.
pub fn instruction(gone: &Phrase, new: &Phrase, template: usize) -> String {
    let simple = if new.whole == new.bare { PLAIN } else { LED };
    let templates = [&REPLACED[..], &simple[..]].concat();
    templates[template % templates.len()]
        .replace("{new}", &new.whole)
        .replace("{gone}", &gone.whole)
        .replace("{now}", &new.bare)
        .replace("{was}", &gone.bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase(whole: &str, bare: &str) -> Phrase {
        Phrase { whole: whole.into(), bare: bare.into() }
    }

    #[test]
    fn phrases_stand_with_or_without_their_preposition() {
        let (beach, street) = (phrase("on the beach", "beach"), phrase("in the street", "street"));
        assert_eq!(instruction(&street, &beach, 1), "change street to beach");
        assert_eq!(
            instruction(&street, &beach, 3),
            "the same, but on the beach instead of in the street"
        );
        assert_eq!(instruction(&street, &beach, 6), "show it on the beach");
        let (red, blue) = (phrase("red", "red"), phrase("blue", "blue"));
        assert_eq!(instruction(&red, &blue, 8), "make it blue");
        assert_eq!(instruction(&red, &blue, 9), "blue instead of red");
    }
}
