//! What a description of an image has to pass, and how it is put in order.
//!
//! The model is asked whether the image is fit for a data set; what that leads to is configuration.
//! Nothing here compares the description with the image: no second model is asked.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::record::{AltText, Flag, Reason, Safety};
use crate::text::{content_words, refusal};

/// Longest caption, in characters.
const MAX_CAPTION: usize = 300;

/// Labels of one image, at most.
const MAX_LABELS: usize = 8;

/// Longest label, in characters: a longer one is a sentence.
const MAX_LABEL: usize = 40;

/// The most characters of a reason.
const MAX_DETAIL: usize = 300;

/// How a caption starts in which the model speaks of itself.
const FIRST_PERSON: [&str; 6] = ["i ", "i'm ", "i’m ", "sorry", "as an ai", "unfortunately"];

/// What a model answers about an image: `schemas/describe.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeReply {
    /// What is visible.
    pub caption: String,
    /// Content labels, the most telling first.
    pub labels: Vec<String>,
    /// Whether it is fit for a public data set.
    pub safety: Safety,
    /// What else speaks against it.
    pub flags: Vec<Flag>,
    /// How the page's alternative text fits.
    pub alt_text: AltText,
}

/// What is turned down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeRules {
    /// Kinds of unsafe images.
    pub reject_safety: Vec<Safety>,
    /// Flags that one of is enough.
    pub reject_flags: Vec<Flag>,
}

/// Puts an answer in order, or says why it is not used.
///
/// Of several reasons the first of [`Reason::ALL`] counts, so that an unsafe image is never counted
/// as anything less.
pub fn judge(
    reply: DescribeReply,
    rules: &DescribeRules,
) -> Result<DescribeReply, (Reason, String)> {
    if rules.reject_safety.contains(&reply.safety) {
        return Err((Reason::Unsafe, reply.safety.as_str().into()));
    }
    if let Some(flag) = reply.flags.iter().find(|flag| rules.reject_flags.contains(flag)) {
        return Err((Reason::Flagged, flag.as_str().into()));
    }
    if let Some(phrase) = declined(&reply.caption) {
        return Err((Reason::Refused, phrase.chars().take(MAX_DETAIL).collect()));
    }
    if content_words(&reply.caption).is_empty() {
        let detail = reply.caption.trim().chars().take(MAX_DETAIL).collect();
        return Err((Reason::EmptyCaption, detail));
    }
    let mut seen = HashSet::new();
    Ok(DescribeReply {
        caption: caption(&reply.caption),
        labels: labels(&reply.labels),
        flags: reply.flags.into_iter().filter(|flag| seen.insert(*flag)).collect(),
        ..reply
    })
}

/// The phrase by which the model declines; no caption speaks in the first person.
fn declined(caption: &str) -> Option<String> {
    refusal(caption).or_else(|| {
        let lower = caption.trim_start().to_lowercase();
        let start = FIRST_PERSON.into_iter().find(|start| lower.starts_with(start))?;
        Some(start.trim().to_owned())
    })
}

/// One line, cut at the end of a word where it is too long.
fn caption(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((end, _)) = line.char_indices().nth(MAX_CAPTION) else { return line };
    let start: String = line[..end].chars().take(MAX_CAPTION - 1).collect();
    let words = start.rsplit_once(' ').map_or(start.as_str(), |(words, _)| words);
    format!("{}…", words.trim_end_matches([' ', ',', ';', ':', '-']))
}

/// Labels in lower case, each once; `animal;playset` is two.
fn labels(labels: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    labels
        .iter()
        .flat_map(|label| label.split([',', ';', '|', '\n']))
        .map(|label| {
            let lower = label.to_lowercase();
            let words: Vec<_> = lower.split_whitespace().collect();
            words.join(" ").trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
        })
        .filter(|label| (1..=MAX_LABEL).contains(&label.chars().count()))
        .filter(|label| seen.insert(label.clone()))
        .take(MAX_LABELS)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::endpoint::Checked;

    fn rules() -> DescribeRules {
        DescribeRules {
            reject_safety: vec![Safety::Sexual, Safety::Violent, Safety::Personal, Safety::Other],
            reject_flags: vec![Flag::Advertisement, Flag::Placeholder],
        }
    }

    fn reply(caption: &str, labels: &[&str]) -> DescribeReply {
        DescribeReply {
            caption: caption.into(),
            labels: labels.iter().map(|&label| label.into()).collect(),
            safety: Safety::Ok,
            flags: vec![],
            alt_text: AltText::Absent,
        }
    }

    fn problem(reply: DescribeReply) -> (Reason, String) {
        judge(reply, &rules()).unwrap_err()
    }

    #[test]
    fn a_description_is_put_in_order() {
        let labels = ["Rope  Ladder", "boat;Sea,  boat", " #sail. ", "", "!", "Möwe"];
        let mut given = reply("  A red\n boat.  ", &labels);
        given.flags = vec![Flag::Watermark, Flag::Watermark];
        let found = judge(given, &rules()).unwrap();
        assert_eq!(found.caption, "A red boat.");
        assert_eq!(found.labels, ["rope ladder", "boat", "sea", "sail", "möwe"]);
        assert_eq!(found.flags, [Flag::Watermark]);
        let many: Vec<_> = (0..20).map(|n| format!("label {n}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(judge(reply("boat", &many), &rules()).unwrap().labels, many[..8]);
    }

    #[test]
    fn a_long_caption_ends_with_a_word() {
        let exact = format!("{} end", "x".repeat(MAX_CAPTION - 4));
        assert_eq!(caption(&exact), exact);
        assert_eq!(caption(&format!("{exact}s")), format!("{}…", "x".repeat(MAX_CAPTION - 4)));
        assert_eq!(caption(&"é".repeat(400)), format!("{}…", "é".repeat(MAX_CAPTION - 1)));
        assert!(caption(&"red, ".repeat(90)).ends_with("red…"));
    }

    #[test]
    fn what_is_unfit_is_turned_down() {
        let unsafe_one = DescribeReply { safety: Safety::Violent, ..reply("I'm sorry", &[]) };
        assert_eq!(problem(unsafe_one), (Reason::Unsafe, "violent".into()));
        let flags = vec![Flag::TextHeavy, Flag::Placeholder];
        let flagged = DescribeReply { flags, ..reply("a grey box", &[]) };
        assert_eq!(problem(flagged.clone()), (Reason::Flagged, "placeholder".into()));
        let lax = DescribeRules { reject_safety: vec![], reject_flags: vec![] };
        assert!(judge(flagged, &lax).is_ok());
        for text in ["I’m sorry, but I can’t help.", "I see a man.", "Unfortunately blurred"] {
            assert_eq!(problem(reply(text, &[])).0, Reason::Refused, "{text}");
        }
        for text in ["", " … ", "the and of"] {
            assert_eq!(problem(reply(text, &["boat"])).0, Reason::EmptyCaption, "{text}");
        }
    }

    #[test]
    fn the_schema_has_the_same_names() {
        let schema = Checked::new(include_str!("../../../schemas/describe.json")).unwrap();
        let names = |path: &str| schema.value().pointer(path).unwrap().clone();
        let all = |found: Vec<&str>| serde_json::Value::from(found);
        let safety = Safety::ALL.iter().map(|one| one.as_str()).collect();
        assert_eq!(names("/properties/safety/enum"), all(safety));
        let flags = Flag::ALL.iter().map(|one| one.as_str()).collect();
        assert_eq!(names("/properties/flags/items/enum"), all(flags));
        let alt = AltText::ALL.iter().map(|one| one.as_str()).collect();
        assert_eq!(names("/properties/alt_text/enum"), all(alt));
        let given = reply("A red boat", &["boat"]);
        let text = serde_json::to_string(&given).unwrap();
        assert_eq!(schema.read::<DescribeReply>(&text).unwrap(), given);
        assert!(schema.read::<DescribeReply>(&text.replace("absent", "none")).is_err());
    }

    proptest! {
        #[test]
        fn laws_hold(text: String, labels in proptest::collection::vec(r"\PC{0,50}", 0..14)) {
            let labels: Vec<_> = labels.iter().map(String::as_str).collect();
            match judge(reply(&text, &labels), &rules()) {
                Ok(found) => {
                    prop_assert!(found.caption.chars().count() <= MAX_CAPTION);
                    prop_assert!(found.labels.len() <= MAX_LABELS);
                    prop_assert!(found.labels.iter().all(|label| !label.is_empty()));
                    prop_assert_eq!(judge(found.clone(), &rules()), Ok(found));
                }
                Err((_, detail)) => prop_assert!(detail.chars().count() <= MAX_DETAIL),
            }
        }
    }
}
