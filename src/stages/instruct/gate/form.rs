//! What can be told from an instruction alone: tidying, malformed text, and words of the prompt.
//!
//! Patterns for English instructions; in another language only malformed text is found.

use std::sync::LazyLock;

use regex::Regex;

/// What some models put before an instruction.
static LEAD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?xi) ^ \s*
        (?: [-*•–] \s+ | \(? \d{1,2} [.)] \s+
          | (?: so, \s+ | so \s+ )? (?: the \s+ )? instruction (?: \s+ \d )? (?: \s+ (?:can|could|would) \s+ be)? \s* : \s*
        )",
    )
});

/// What has no place in a sentence of a person.
static MALFORMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?xi)
        [{}<>‹›\\`|] | \[[^\]]*\] | \*\* | _{2,} | ",\s*" | "\s*: | \u{fffd}
        | https?:/ | \b www\. | \b [\w-]+ \. (?:com|org|net|html?|jpe?g|png|webp|gif) \b
        | \S @ \S | ^ \W* (?:null|none|n/a|undefined|string) \W* $"#,
    )
});

/// How the prompt, and nobody else, speaks of the two images or of their page.
static IMAGES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)
        (?i: \b (?:query|target|source|reference|candidate|retrieved|input|output|q|t) [\s-]
             (?:image|picture|photo|photograph|img|pic)s? \b )
        | (?i: \b (?:first|second|1st|2nd|former|latter) \s (?:image|picture|photo|photograph|img|pic)s? \b )
          (?<record> (?i: \s (?:ever|taken|made|known|published|in \s history) \b ) )?
        | (?i: \b (?:image|picture|photo|photograph|img|pic)s? \s? \#? (?:[12]|one|two|ii?) \b )
        | \b (?i: image|picture|photo|photograph|img|pic) \s ['\x22]? [ABQT] \b
        | (?i: \b (?:both|the \s two|these \s two|the \s other) \s (?:image|picture|photo|photograph|pic)s? \b )
        | (?i: \b the \s query \b )
        | (?i: \b (?:image|picture|photo|caption|alt \s text) \s (?:caption|metadata|labels?|pair) \b )
        | (?i: \b (?:alt|alternative) \s text \b | \b page \s title \b )
        | (?i: \b (?:this|the|same) \s (?:web \s? page|web \s? site|article) \b )",
    )
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is constant and tested")
}

/// Puts an instruction on one line and takes off what stands around it: numbers, quotes, a lead.
pub fn tidy(instruction: &str) -> String {
    let mut line = instruction.split_whitespace().collect::<Vec<_>>().join(" ");
    loop {
        let bare = LEAD.replace(&line, "");
        let bare = unquoted(bare.trim());
        if bare.len() == line.len() {
            return line;
        }
        line = bare.to_owned();
    }
}

/// Takes off a pair of quotes that has no other inside.
fn unquoted(text: &str) -> &str {
    for (open, close) in [('"', '"'), ('“', '”'), ('\'', '\''), ('«', '»')] {
        let inner = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        if let Some(inner) = inner.filter(|inner| !inner.contains([open, close])) {
            return inner.trim();
        }
    }
    text
}

/// What is malformed, if anything is.
pub fn malformed(instruction: &str) -> Option<String> {
    if !instruction.chars().any(char::is_alphabetic) {
        return Some("no letters".into());
    }
    MALFORMED.find(instruction).map(|found| found.as_str().to_owned())
}

/// The words that speak of the images or the page, if any do.
///
/// `the first photo ever taken of the Moon` is a wish like any other.
pub fn names_images(instruction: &str) -> Option<String> {
    let mut all = IMAGES.captures_iter(instruction).filter(|found| found.name("record").is_none());
    all.next().map(|found| found[0].to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn instructions_are_tidied() {
        for (given, expected) in [
            ("  show me\n the  inside ", "show me the inside"),
            ("\"what's inside?\"", "what's inside?"),
            ("1. “who made it?”", "who made it?"),
            ("- the next step", "the next step"),
            ("So the instruction can be: 'its nest'", "its nest"),
            ("Instruction 2: its nest", "its nest"),
            ("the \"blue\" one", "the \"blue\" one"),
            ("\"blue\" or \"red\"", "\"blue\" or \"red\""),
            ("2 of these in a row", "2 of these in a row"),
            ("\"", "\""),
            ("", ""),
        ] {
            assert_eq!(tidy(given), expected, "{given}");
        }
    }

    #[test]
    fn malformed_text_is_found() {
        for text in [
            "a {colour} one",
            "visit [TITLE]",
            "call [phone] now",
            "what is ____ made of",
            "see https://example.org/x",
            "see www.example.de",
            "like on example.com",
            "ask me@example.org",
            "one\", \"two",
            "\"instructions\": one",
            "<b>inside</b>",
            "`code` of it",
            "IMG_4471.jpg from above",
            "**bold** wish",
            "none",
            "\"N/A\"",
            "12 34",
            "?!",
            "",
        ] {
            assert!(malformed(text).is_some(), "{text}");
        }
        for text in [
            "what's inside?",
            "the 50 mm lens, mounted",
            "\"why\" this (and not that)?",
            "und innen?",
        ] {
            assert_eq!(malformed(text), None, "{text}");
        }
    }

    #[test]
    fn words_of_the_prompt_are_found() {
        for text in [
            "what is in image 1",
            "like picture two but older",
            "go from Image A to Image B",
            "the first image at night",
            "make it like the second photograph",
            "the query image seen from above",
            "show the target picture",
            "the Q image from behind",
            "what the query shows, later",
            "what do both pictures have in common",
            "the two photos side by side",
            "as the other image",
            "what the alt text says",
            "another picture from this article",
            "more from the same website",
        ] {
            assert!(names_images(text).is_some(), "{text}");
        }
        for text in [
            "the first photo ever taken of this mountain",
            "picture a castle on this rock",
            "a picture of it in winter",
            "an archery target at this distance",
            "photo of one of its eggs",
            "the second floor of this house",
            "which page of the manuscript comes next?",
            "the title page of this book",
            "an aerial image of the area",
            "a photograph by the same artist",
            "what would I do first with this?",
            "image of both sides",
        ] {
            assert_eq!(names_images(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_tidying_ends(text in r#"([\x22'“”1. \n*-]|image|first |\PC){0,40}"#) {
            let tidied = tidy(&text);
            prop_assert_eq!(tidy(&tidied), tidied.clone());
            malformed(&tidied);
            names_images(&tidied);
        }
    }
}
