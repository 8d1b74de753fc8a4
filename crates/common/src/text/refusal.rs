//! Tells an answer from a model that declines to answer.
//!
//! A list of English phrases, not a classifier: a refusal in another language passes here, and is
//! left to the checks on language and length. Belongs into `text`, where two stages can use it.

use std::sync::LazyLock;

use regex::Regex;

/// What assistants say in place of an answer. People say `I can't see the back` too, so a verb that
/// only an assistant uses has to follow.
static PHRASES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?xi)
        \b as \s an \s (ai|artificial|assistant|language \s model|llm)
        | \b (ai|large) \s language \s model \b
        | ^ \W* (i \s am|i'm) \s (very \s|really \s|so \s)? sorry \b
        | ^ \W* (my \s apologies | i \s apologi[sz]e) \b
        | ^ \W* (sorry|unfortunately) , \s (but \s)? (i|we|there|this|no) \b
        | \b i (\s am|'m) \s (unable|not \s able|not \s allowed|not \s comfortable) \b
        | \b i \s (can't|cannot|can \s not|won't|will \s not|could \s not|couldn't|do \s not|don't) \s
          (be \s able|help|assist|comply|fulfil|provide|generate|create|produce|write|answer|describe
          |analy[sz]e|process|access|view|continue|engage|discuss|identify \s (people|person|individual|real)
          |have \s (access|the \s ability) | see \s (an|any|the) \s (image|picture|photo))
        | \b no \s (image|picture|photo) \s (was|has \s been|is) \s (provided|attached|given|uploaded|supplied)
        | \b (image|picture|photo) \s (could \s not|couldn't|cannot|can't) \s be \s (loaded|displayed|viewed|processed)
        | \b (my|content|safety|usage) \s (guidelines|policy|policies) \b
        | \b (provide|upload|attach|share) \s (me \s)? (an|the|another) \s (image|picture|photo) \b",
    )
    .expect("the pattern is constant and tested")
});

/// Finds the phrase by which a model declines, if it does.
pub fn refusal(text: &str) -> Option<String> {
    let plain = text.replace(['’', '‘'], "'");
    PHRASES.find(&plain).map(|found| found.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_found() {
        for text in [
            "I'm sorry, but I can't assist with that request.",
            "I’m sorry, I can’t help with identifying people.",
            "I am unable to view images.",
            "As an AI language model, I cannot see pictures.",
            "Sorry, I cannot describe this.",
            "Unfortunately, no image was provided.",
            "No image was attached, so there is nothing to describe.",
            "The image could not be loaded",
            "I cannot identify people in photographs.",
            "I don't have access to the page.",
            "Describing this would be against my guidelines.",
            "Please upload an image first.",
        ] {
            assert!(refusal(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_people_and_captions_say_is_none() {
        for text in [
            "",
            "I can't see the back, show me that side",
            "I don't know this bird, what does the male look like?",
            "A shop window with a sign that reads Sorry, we're closed",
            "which one is sorry for the mess",
            "someone who cannot swim learns it here",
            "What would an AI paint here?",
            "the photo that the sailor was given",
        ] {
            assert_eq!(refusal(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text: String) {
            refusal(&text);
        }
    }
}
