//! Instructions by template: what the caption of the target image says that the query image's does not.
//!
//! The baseline of the MagicLens paper's ablation, with no language model: both captions are aligned
//! word by word ([`diff`]), the words that are new ([`phrase`]) are put into a template that a seed
//! picks. Templates are English whatever the captions are. <https://arxiv.org/abs/2403.19651>

mod diff;
mod phrase;

use crate::text as words;
use phrase::{Caption, Phrase};

/// The most words that a phrase takes from a caption.
const MAX_WORDS: usize = 12;

/// The most words that name a picture with which the query shares nothing.
const MAX_NAME_WORDS: usize = 8;

/// Templates for one phrase in the place of another; `{now}` and `{was}` have no preposition.
const REPLACED: [&str; 5] = [
    "{new} instead of {gone}",
    "change {was} to {now}",
    "replace {was} with {now}",
    "the same, but {new} instead of {gone}",
    "{now} rather than {was}",
];

/// Templates for phrases that start with a preposition: `in winter`.
const LED: [&str; 4] =
    ["the same, but {new}", "show it {new}", "now {new}", "the same thing {new}"];

/// Templates for phrases that do not: `red boots`.
const PLAIN: [&str; 4] = ["the same, but {new}", "show {new}", "now with {new}", "make it {new}"];

/// Templates for one phrase of each kind.
const MIXED: [&str; 2] = ["the same, but {new}", "now {new}"];

/// How to get from the query image to the target image.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What differs, in one short sentence.
    pub relation: String,
    /// What to ask for, at most 200 characters.
    pub instruction: String,
}

/// Writes an instruction from two captions, or `None` where the target's has no new content word.
///
/// The same captions and seed always give the same. Only the first 128 words of each count.
pub fn instruct(query: &str, target: &str, seed: u64) -> Option<Change> {
    let (query, target) = Caption::pair(query, target);
    if !target.has_fresh() {
        return None;
    }
    if !target.shares_content() {
        return another(&target);
    }
    let hunks: Vec<_> = diff::hunks(&query.tokens, &target.tokens)
        .into_iter()
        .filter(|hunk| query.is_fresh(&hunk.gone) || target.is_fresh(&hunk.new))
        .collect();
    let gone: Vec<_> = hunks.iter().flat_map(|hunk| query.phrases(&hunk.gone, MAX_WORDS)).collect();
    let new: Vec<_> = hunks.iter().flat_map(|hunk| target.phrases(&hunk.new, MAX_WORDS)).collect();
    match (gone.as_slice(), new.as_slice()) {
        ([gone], [new]) if hunks.len() == 1 => replaced(gone, new, &target, seed),
        (_, new) => added(&phrase::richest_two(new), &target, seed),
    }
}

/// Names the target's picture where the captions have no content word in common.
fn another(target: &Caption<'_>) -> Option<Change> {
    let phrases = target.phrases(&(0..target.tokens.len()), MAX_NAME_WORDS);
    let name = phrase::richest(&phrases)?;
    Some(Change {
        relation: "another picture of the same page".into(),
        instruction: format!("find {}", name.bare),
    })
}

/// Says that one phrase took the place of another.
fn replaced(gone: &Phrase, new: &Phrase, target: &Caption<'_>, seed: u64) -> Option<Change> {
    let simple: &[&str] = if new.led { &LED } else { &PLAIN };
    let templates = [&REPLACED, simple].concat();
    let fill = |template: &str| {
        template
            .replace("{new}", &new.whole)
            .replace("{gone}", &gone.whole)
            .replace("{now}", &new.bare)
            .replace("{was}", &gone.bare)
    };
    Some(Change {
        relation: format!("\"{}\" replaces \"{}\"", new.whole, gone.whole),
        instruction: pick(&templates, fill, target, seed)?,
    })
}

/// Says what is new, in one phrase or two.
fn added(new: &[&Phrase], target: &Caption<'_>, seed: u64) -> Option<Change> {
    let templates: &[&str] = match new {
        all if all.iter().all(|phrase| phrase.led) => &LED,
        all if all.iter().any(|phrase| phrase.led) => &MIXED,
        _ => &PLAIN,
    };
    let wholes: Vec<_> = new.iter().map(|phrase| phrase.whole.as_str()).collect();
    let joined = wholes.join(" and ");
    let verb = if new.len() == 1 { "is" } else { "are" };
    Some(Change {
        relation: format!("\"{}\" {verb} new", wholes.join("\" and \"")),
        instruction: pick(templates, |template| template.replace("{new}", &joined), target, seed)?,
    })
}

/// Fills the template that the seed picks, or the next one that does not repeat the target's caption.
fn pick(
    templates: &[&str],
    fill: impl Fn(&str) -> String,
    target: &Caption<'_>,
    seed: u64,
) -> Option<String> {
    let first = (seed % templates.len() as u64) as usize;
    let turned = templates[first..].iter().chain(&templates[..first]);
    turned.map(|template| fill(template)).find(|instruction| {
        let keys = target.tokens.iter().map(|token| &token.key);
        !words::words(instruction).eq(keys.cloned())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Every instruction that some seed gives, and the relation.
    fn all(query: &str, target: &str) -> (String, HashSet<String>) {
        let changes: Vec<_> = (0..24).map(|seed| instruct(query, target, seed).unwrap()).collect();
        let relation = changes[0].relation.clone();
        (relation, changes.into_iter().map(|change| change.instruction).collect())
    }

    #[test]
    fn one_phrase_replaces_another() {
        let (relation, found) = all("A park in summer", "A park in winter");
        assert_eq!(relation, r#""in winter" replaces "in summer""#);
        assert_eq!(found.len(), 9);
        for one in
            ["in winter instead of in summer", "change summer to winter", "show it in winter"]
        {
            assert!(found.contains(one), "{one}: {found:?}");
        }
    }

    #[test]
    fn what_is_new_is_shown() {
        let (relation, found) = all("Leather boots", "Leather boots with a red zip and the");
        assert_eq!(relation, r#""with a red zip" is new"#);
        assert!(found.contains("the same, but with a red zip"), "{found:?}");
        let (relation, found) = all("dress on a table", "red dress on a chair in the garden");
        assert_eq!(relation, r#""red" and "on a chair in the garden" are new"#);
        assert!(found.contains("now red and on a chair in the garden"), "{found:?}");
        let (relation, _) = all("Kitchen", "Kitchen. White oak cabinets | Smith | NASA lab");
        assert_eq!(relation, r#""white oak cabinets" and "NASA lab" are new"#);
    }

    #[test]
    fn nothing_shared_names_the_target() {
        let change =
            instruct("Sunset", "The Old bridge of Florence, seen from a hill at the very end", 3);
        let change = change.unwrap();
        assert_eq!(change.relation, "another picture of the same page");
        assert_eq!(change.instruction, "find Old bridge of Florence, seen from a hill");
        assert_eq!(instruct("", "Paris", 0).unwrap().instruction, "find paris");
    }

    #[test]
    fn nothing_new_is_no_change() {
        for (query, target) in [
            ("a red car", "red car"),
            ("red car", "Car, red!"),
            ("dog", "the dog is on it"),
            ("dog", ""),
            ("", "of the"),
        ] {
            assert_eq!(instruct(query, target, 1), None, "{query} / {target}");
        }
    }

    #[test]
    fn the_whole_caption_is_not_repeated() {
        for seed in 0..24 {
            let change = instruct("show me", "show red me", seed);
            assert!(change.is_none_or(|change| change.instruction != "show red me"));
            let change = instruct("same red", "The same, but blue", seed).unwrap();
            assert_ne!(change.instruction, "the same, but blue");
        }
    }

    #[test]
    fn other_scripts_work() {
        assert_eq!(all("红色的车", "蓝色的车").0, r#""蓝" replaces "红""#);
        let (relation, _) = all("Собака на пляже", "Собака на снегу");
        assert_eq!(relation, r#""снегу" replaces "пляже""#);
    }

    /// Captions from a few words, so that some are shared.
    fn caption() -> impl Strategy<Value = String> {
        let word = proptest::sample::select(vec![
            "red",
            "Car",
            "in",
            "the",
            "winter",
            "show",
            "same",
            "but",
            "冬",
            "É",
            "|",
            ". ",
            "NASA",
            "",
            "İstanbul",
            "now",
            "an",
            "İ",
            "Pneumonoultramicroscopicsilicovolcanoconiosisandmore",
        ]);
        proptest::collection::vec(word, 0..30).prop_map(|words| words.join(" "))
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![caption(), any::<String>(), r"\PC{0,80}", "[a-zA-Z\u{e9}]{0,300}"]
    }

    /// What models are measured by is worded as what they were trained on.
    #[test]
    fn the_demos_benchmark_asks_as_the_templates_do() {
        let benchmark = magiclens_demo::Benchmark::generate(1);
        for query in benchmark.queries.iter().step_by(7) {
            let [image, target] = [query.image, query.target].map(|at| benchmark.gallery[at].alt());
            let (_, instructions) = all(&image, &target);
            assert!(instructions.contains(&query.text), "{image} to {target}: {}", query.text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn laws_hold(query in text(), target in text(), seed: u64) {
            let change = instruct(&query, &target, seed);
            prop_assert_eq!(&change, &instruct(&query, &target, seed));
            let known = words::content_words(&query);
            let new = words::content_words(&target).iter().any(|word| !known.contains(word));
            prop_assert_eq!(change.is_some(), new);
            if let Some(change) = change {
                prop_assert!(change.instruction.chars().count() <= 200);
                let plain = !change.instruction.contains(['{', '}', '\n']);
                prop_assert!(plain, "{}", change.instruction);
                let shared = words::content_words(&target).iter().any(|word| known.contains(word));
                prop_assert!(!shared || change.instruction != target);
            }
        }
    }
}
