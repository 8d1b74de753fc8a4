//! The gate as a whole: the demonstrations pass, each fault is named, nothing panics.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::endpoint::Checked;

const DEMONSTRATIONS: &str = include_str!("../../../../prompts/instruct.v1.demonstrations.json");
const SCHEMA: &str = include_str!("../../../../schemas/instruct.json");

#[derive(Deserialize)]
struct Side {
    alt: String,
    caption: String,
    labels: Vec<String>,
}

#[derive(Deserialize)]
struct Demonstration {
    page_title: String,
    query: Side,
    target: Side,
    reasoning: String,
    relation: String,
    instructions: Vec<String>,
}

impl Side {
    fn text(&self) -> SideText<'_> {
        SideText { alt: &self.alt, caption: &self.caption, labels: &self.labels }
    }
}

fn reply(instructions: &[&str]) -> InstructReply {
    InstructReply {
        reasoning: "because".into(),
        relation: "inside of the building".into(),
        keep: true,
        instructions: instructions.iter().map(|&text| text.into()).collect(),
    }
}

/// The outcome of one instruction about a tower and its stairs.
fn outcome(instruction: &str) -> Result<String, Fault> {
    let side = |caption| SideText { caption, ..SideText::default() };
    let sources = Sources {
        page_title: "The old water tower",
        query: side("A round brick water tower above bare trees"),
        target: side("An iron spiral staircase winds upwards along a curved brick wall"),
    };
    judge(&reply(&[instruction]), &sources, &InstructRules::default()).remove(0)
}

#[test]
fn the_demonstrations_pass() {
    let all: Vec<Demonstration> = serde_json::from_str(DEMONSTRATIONS).unwrap();
    let schema = Checked::new(SCHEMA).unwrap();
    let mut seen = SeenInstructions::default();
    for one in all {
        let given = InstructReply {
            reasoning: one.reasoning,
            relation: one.relation,
            keep: true,
            instructions: one.instructions,
        };
        let text = serde_json::to_string(&given).unwrap();
        assert_eq!(schema.read::<InstructReply>(&text).unwrap(), given);
        let sources = Sources {
            page_title: &one.page_title,
            query: one.query.text(),
            target: one.target.text(),
        };
        let kept = judge(&given, &sources, &InstructRules::default());
        assert_eq!(kept, given.instructions.iter().cloned().map(Ok).collect::<Vec<_>>());
        assert!((1..=2).contains(&kept.len()));
        assert!(given.instructions.iter().all(|instruction| seen.is_new(instruction)));
        assert!((2..=10).contains(&words(&given.relation).count()));
        assert_eq!(relation_fault(&given.relation, &InstructRules::default()), None);
        for instruction in &given.instructions {
            assert!((3..=25).contains(&words(instruction).count()), "{instruction}");
        }
    }
}

#[test]
fn each_fault_is_named() {
    for (instruction, problem) in [
        ("stairs {to add}", Reason::Malformed),
        ("I'm sorry, but I can't help with that.", Reason::Refused),
        ("inside", Reason::InstructionLength),
        (&"up and ".repeat(22), Reason::InstructionLength),
        (&"upwards ".repeat(30), Reason::InstructionLength),
        ("what is in the second image?", Reason::NamesImages),
        ("the same, but with stairs", Reason::TemplateLike),
        ("a round brick water tower above bare trees, inside", Reason::RepeatsMetadata),
        (
            "wall, brick and curved, an iron staircase that winds in a spiral",
            Reason::DescribesTarget,
        ),
        ("how did one climb it in 1890?", Reason::InventedDetail),
        (
            "Wie kommt man nach oben, wenn man durch die kleine Tür gegangen ist?",
            Reason::WrongLanguage,
        ),
    ] {
        match outcome(instruction) {
            Err((found, detail)) => {
                assert_eq!(found, problem, "{instruction}: {detail}");
                assert!(!detail.is_empty());
            }
            Ok(_) => panic!("{instruction} passed"),
        }
    }
    assert_eq!(outcome(" \"How do you get up there?\" ").unwrap(), "How do you get up there?");
}

#[test]
fn a_relation_is_a_few_words_and_nothing_else() {
    for (relation, problem) in [
        ("", Reason::InstructionLength),
        (" …", Reason::InstructionLength),
        (&"up and ".repeat(11), Reason::InstructionLength),
        (&"a".repeat(121), Reason::InstructionLength),
        ("see https://example.org/more", Reason::Malformed),
        ("<b>inside</b>", Reason::Malformed),
        ("12", Reason::Malformed),
        ("I'm sorry, I can't help with that", Reason::Refused),
        ("das Innere eines Turms, den man von außen schon gesehen hat", Reason::WrongLanguage),
    ] {
        let fault = relation_fault(relation, &InstructRules::default());
        let (found, detail) = fault.unwrap_or_else(|| panic!("{relation} passed"));
        assert_eq!(found, problem, "{relation}: {detail}");
        assert!(detail.starts_with("relation: "), "{detail}");
    }
}

#[test]
fn a_reply_says_a_thing_once() {
    let all = reply(&["How do you get up?", "the way up, inside", "how do you get UP"]);
    let found = judge(&all, &Sources::default(), &InstructRules::default());
    assert!(found[0].is_ok() && found[1].is_ok());
    assert_eq!(found[2].as_ref().unwrap_err().0, Reason::DuplicateInstruction);
}

#[test]
fn a_reply_that_keeps_nothing_gives_nothing() {
    let none = InstructReply { keep: false, ..reply(&["How do you get up?"]) };
    assert!(judge(&none, &Sources::default(), &InstructRules::default()).is_empty());
    assert!(judge(&reply(&[]), &Sources::default(), &InstructRules::default()).is_empty());
}

#[test]
fn rules_are_followed() {
    let rules = InstructRules { min_words: 1, max_words: 3, max_chars: 10, language: None };
    let found = judge(&reply(&["ab", "a b c d", "abcdefghijk"]), &Sources::default(), &rules);
    let problems: Vec<_> = found.into_iter().map(|one| one.err().map(|(p, _)| p)).collect();
    assert_eq!(problems, [None, Some(Reason::InstructionLength), Some(Reason::InstructionLength)]);
    let german = "Wie kommt man nach oben, wenn man durch die kleine Tür gegangen ist?";
    for (language, ok) in [(None, true), (Some("de"), true), (Some("fr"), false)] {
        let rules =
            InstructRules { language: language.map(str::to_owned), ..InstructRules::default() };
        assert_eq!(judge(&reply(&[german]), &Sources::default(), &rules)[0].is_ok(), ok);
    }
}

#[test]
fn a_group_has_an_instruction_once() {
    let mut seen = SeenInstructions::default();
    assert!(seen.is_new("What's inside?"));
    assert!(!seen.is_new("what’s  INSIDE"));
    assert!(seen.is_new("what is inside"));
}

proptest! {
    #[test]
    fn never_panics(instructions in proptest::collection::vec(r"\PC{0,80}|[a-z ]{0,60}", 0..4), text: String) {
        let all = InstructReply { instructions, ..reply(&[]) };
        let side = SideText { alt: &text, ..SideText::default() };
        let sources = Sources { page_title: &text, query: side, target: side };
        let rules = InstructRules::default();
        for outcome in judge(&all, &sources, &rules) {
            match outcome {
                Ok(kept) => {
                    prop_assert!(kept.chars().count() <= rules.max_chars && !kept.contains('\n'));
                    let again = judge(&reply(&[&kept]), &sources, &rules);
                    prop_assert_eq!(again, [Ok(kept)]);
                }
                Err((_, detail)) => prop_assert!(detail.chars().count() <= MAX_DETAIL),
            }
        }
    }
}
