//! What can be told from an instruction beside what its writer had read: copies, templates, inventions.
//!
//! Words are compared as they are, without stemming: a paraphrase passes, which is what is wanted.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::{SideText, Sources};
use crate::text::{content_words, is_stopword, words};

/// A caption of fewer words may stand in an instruction as part of it: `red boat`.
const MIN_COPIED_WORDS: usize = 5;

/// The same of an alternative text, which is the page's and has names in it: `Brandvik harbour in winter`.
const MIN_COPIED_ALT_WORDS: usize = 3;

/// Of which so many tell something.
const MIN_COPIED_ALT_CONTENT: usize = 2;

/// A text of fewer content words is described completely by any good instruction.
const MIN_DESCRIBED_WORDS: usize = 6;

/// Share of the target's content words, in percent, from which it is described completely.
const DESCRIBED_PERCENT: usize = 80;

/// Starts and middles that only the template baseline has; the instruction comes as plain words.
static SKELETON: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x) ^ (?: the \s )? same (?: \s thing | \s (?:image|picture|photo|scene) )? \s (?:but|only|except) \b
        | ^ the \s same \s thing \b
        | ^ (?: change | replace | swap | exchange | substitute ) \s .+ \s (?: to | into | with | for | by ) \s .+ $",
    )
    .expect("the pattern is constant and tested")
});

/// Words by which the baseline leads what it copies from the target's text, the longest first.
const LEADS: [&str; 10] = [
    "show me it",
    "show it",
    "show me",
    "show",
    "now with",
    "now",
    "make it",
    "find me",
    "find",
    "it is",
];

/// Words by which the baseline joins what it copies from both texts.
const JOINTS: [&str; 2] = [" instead of ", " rather than "];

/// Words that may stand before a copied phrase without changing it.
const ARTICLES: [&str; 3] = ["a", "an", "the"];

/// The texts of one side that are sentences.
fn texts<'a>(side: &SideText<'a>) -> [&'a str; 2] {
    [side.alt, side.caption]
}

/// The words of a text in one string, with one space between.
fn plain(text: &str) -> String {
    words(text).collect::<Vec<_>>().join(" ")
}

/// Tells whether the words of `part` follow each other in `whole`; both are [`plain`].
fn runs_in(part: &str, whole: &str) -> bool {
    !part.is_empty() && format!(" {whole} ").contains(&format!(" {part} "))
}

/// The template that an instruction follows, if it does.
///
/// Some templates are what people say as well (`show …`, `… instead of …`): they count where all that
/// fills them is copied.
pub fn template_like(instruction: &str, sources: &Sources<'_>) -> Option<String> {
    let said = plain(instruction);
    if let Some(found) = SKELETON.find(&said) {
        return Some(found.as_str().to_owned());
    }
    let lead =
        LEADS.into_iter().find(|lead| said.strip_prefix(lead).is_some_and(|r| r.starts_with(' ')));
    let rest = lead.map_or(said.as_str(), |lead| said[lead.len()..].trim());
    for joint in JOINTS {
        if let Some((new, gone)) = rest.split_once(joint)
            && copied(new, &sources.target)
            && copied(gone, &sources.query)
        {
            return Some(format!("…{joint}…"));
        }
    }
    lead.filter(|_| rest.contains(' ') && copied(rest, &sources.target))
        .map(|lead| format!("{lead} …"))
}

/// Tells whether a phrase is a run of words of a side's text, an article aside.
fn copied(phrase: &str, side: &SideText<'_>) -> bool {
    let bare = phrase.split_once(' ').filter(|(first, _)| ARTICLES.contains(first));
    let bare = bare.map_or(phrase, |(_, bare)| bare);
    bare.split(' ').any(|word| !is_stopword(word))
        && texts(side).into_iter().any(|text| runs_in(bare, &plain(text)))
}

/// The text of either side that an instruction repeats, if it does.
pub fn repeats(instruction: &str, sources: &Sources<'_>) -> Option<String> {
    let said = plain(instruction);
    let is_repeated = |text: &str, is_telling: bool| {
        let plain = plain(text);
        said == plain || is_telling && runs_in(&plain, &said)
    };
    [sources.query, sources.target].into_iter().find_map(|SideText { alt, caption, .. }| {
        let is_alt = words(alt).count() >= MIN_COPIED_ALT_WORDS
            && content_words(alt).len() >= MIN_COPIED_ALT_CONTENT;
        let is_caption = words(caption).count() >= MIN_COPIED_WORDS;
        [(alt, is_alt), (caption, is_caption)]
            .into_iter()
            .find_map(|(text, is_telling)| is_repeated(text, is_telling).then(|| text.to_owned()))
    })
}

/// How much of a text of the target an instruction has, if that is nearly everything.
pub fn describes(instruction: &str, sources: &Sources<'_>) -> Option<String> {
    let said: HashSet<_> = words(instruction).collect();
    texts(&sources.target).into_iter().find_map(|text| {
        let all = content_words(text);
        let covered = all.iter().filter(|word| said.contains(*word)).count();
        (all.len() >= MIN_DESCRIBED_WORDS && covered * 100 >= all.len() * DESCRIBED_PERCENT)
            .then(|| format!("{covered} of {} content words", all.len()))
    })
}

/// A number of two digits or more that nothing the writer had read has.
///
/// `60s` is known from `1960`, and `1,200` from `1200`. Turning something by 360 degrees invents
/// nothing.
pub fn invented(instruction: &str, sources: &Sources<'_>) -> Option<String> {
    let mut known = vec!["360".to_owned()];
    known.extend(numbers(sources.page_title));
    for side in [&sources.query, &sources.target] {
        let all = texts(side).into_iter().chain(side.labels.iter().map(String::as_str));
        known.extend(all.flat_map(numbers));
    }
    let new = |number: &String| !known.iter().any(|known| known.ends_with(number.as_str()));
    numbers(instruction).into_iter().filter(|number| number.len() > 1).find(new)
}

/// Runs of digits; separators of thousands are taken out.
fn numbers(text: &str) -> Vec<String> {
    let chars: Vec<_> = text.chars().collect();
    let mut found = vec![String::new()];
    for (at, c) in chars.iter().enumerate() {
        let digits = |range: std::ops::Range<usize>| {
            chars.get(range).is_some_and(|part| part.iter().all(char::is_ascii_digit))
        };
        let separates = matches!(c, ',' | '.' | '\'' | '’' | ' ' | '\u{a0}' | '\u{202f}')
            && at > 0
            && digits(at - 1..at)
            && digits(at + 1..at + 4)
            && !digits(at + 4..at + 5);
        match found.last_mut() {
            Some(number) if c.is_ascii_digit() => number.push(*c),
            Some(number) if !number.is_empty() && !separates => found.push(String::new()),
            _ => {}
        }
    }
    found.retain(|number| !number.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn side<'a>(alt: &'a str, caption: &'a str) -> SideText<'a> {
        SideText { alt, caption, labels: &[] }
    }

    const QUERY: &str = "A red wooden boat lies on a beach in summer";
    const TARGET: &str =
        "A grey steel ferry with two funnels leaves the harbour of Brandvik in winter";

    fn pair() -> Sources<'static> {
        Sources {
            page_title: "Boats since 1,960",
            query: side("Boat No. 12", QUERY),
            target: side("Old ferry", TARGET),
        }
    }

    #[test]
    fn templates_are_told_from_people() {
        for text in [
            "the same, but in winter",
            "The same thing, but grey",
            "same photo only bigger",
            "change summer to winter",
            "Replace the wooden boat with a steel ferry.",
            "swap the boat for a ferry",
            "in winter instead of in summer",
            "show it in winter rather than in summer",
            "steel ferry instead of a red wooden boat",
            "show old ferry",
            "find grey steel ferry with two funnels",
            "now in winter",
            "make it in winter",
        ] {
            assert!(template_like(text, &pair()).is_some(), "{text}");
        }
        for text in [
            "show me where it is built",
            "something that crosses by engine instead of by oar",
            "how does one get across in winter?",
            "find a bigger ship that sails from here",
            "what changed to make rowing unusual?",
            "I want to trade this for something faster",
            "the same coast in the cold season",
            "now what?",
            "in winter",
        ] {
            assert_eq!(template_like(text, &pair()), None, "{text}");
        }
    }

    #[test]
    fn copies_are_found() {
        for text in [
            QUERY,
            "old FERRY!",
            "show me: a grey steel ferry with two funnels leaves the harbour of Brandvik, in winter.",
        ] {
            assert!(repeats(text, &pair()).is_some(), "{text}");
        }
        for text in ["the old ferry at sea", "a red wooden boat", "", "a steel ferry"] {
            assert_eq!(repeats(text, &pair()), None, "{text}");
        }
        let with_alt = |alt| Sources { target: side(alt, TARGET), ..pair() };
        for alt in ["Brandvik harbour in winter", "the ferry Sigrun", "Ferry, Brandvik, dawn"] {
            let text = format!("what leaves from {} today?", alt.to_lowercase());
            assert_eq!(repeats(&text, &with_alt(alt)).as_deref(), Some(alt), "{text}");
            assert_eq!(repeats("what leaves from here today?", &with_alt(alt)), None);
        }
        for alt in ["the ferry", "on the boat", "ferry"] {
            assert_eq!(repeats(&format!("who works {alt}?"), &with_alt(alt)), None, "{alt}");
        }
    }

    #[test]
    fn complete_descriptions_are_found() {
        let text = "in winter the steel ferry, two grey funnels, leaves Brandvik's harbour";
        assert_eq!(describes(text, &pair()).unwrap(), "9 of 9 content words");
        assert!(
            describes("two funnels on a grey steel ferry leave the harbour", &pair()).is_none()
        );
        let short = Sources { target: side("", "Red boat at sea"), ..Sources::default() };
        assert_eq!(describes("a red boat at sea", &short), None);
    }

    #[test]
    fn invented_numbers_are_found() {
        for (text, expected) in [
            ("what was here in 1890?", Some("1890")),
            ("boats of 1960 or the '60s", None),
            ("boat 12 of 15", Some("15")),
            ("with 3 masts", None),
            ("what it cost: 19,600 crowns", Some("19600")),
            ("a 360 degree view", None),
            ("its 2nd life", None),
        ] {
            assert_eq!(invented(text, &pair()).as_deref(), expected, "{text}");
        }
        assert_eq!(
            numbers("1,200 and 1 200.50, 3.5 or 2,0001"),
            ["1200", "1200", "50", "3", "5", "2", "0001"]
        );
        assert!(numbers("").is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(text in r"\PC{0,60}", alt in r"\PC{0,60}", digits in "[0-9,. ']{0,12}") {
            for (text, alt) in [(&text, &alt), (&digits, &text), (&text, &text)] {
                let sources = Sources { query: side(alt, text), target: side(text, alt), page_title: alt };
                template_like(text, &sources);
                repeats(text, &sources);
                describes(text, &sources);
                let titled = Sources { page_title: text, ..sources };
                prop_assert_eq!(invented(text, &titled), None);
            }
        }
    }
}
