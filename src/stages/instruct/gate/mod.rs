//! What an instruction has to pass before it goes into the data.
//!
//! Cheap checks on words, no model: [`form`] looks at the instruction alone, [`source`] at what the
//! model had read. What passes is not proven good; what fails is one of a closed list of known faults.
//! Against the page's title only numbers are checked: a name that the title lacks (`an Art Nouveau one`,
//! `in the Middle Ages`) is as often what a person asks for as it is made up.

mod form;
mod source;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::record::Reason;
use crate::text::{detect_language, refusal, words};

/// Texts below this many characters are too short to tell their language.
const MIN_LANGUAGE_CHARS: usize = 40;

/// The most words of a relation: the prompt asks for ten, and more than twice as many are no name of one.
const MAX_RELATION_WORDS: usize = 20;

/// The most characters of a relation.
const MAX_RELATION_CHARS: usize = 120;

/// The most characters of a reason.
const MAX_DETAIL: usize = 300;

/// What a model answers about a pair: `schemas/instruct.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstructReply {
    /// How the two belong together, said before anything is decided.
    pub reasoning: String,
    /// The relation in a few words.
    pub relation: String,
    /// False where there is no sensible relation.
    pub keep: bool,
    /// What a person would ask.
    pub instructions: Vec<String>,
}

/// What the model had read of one image.
#[derive(Clone, Copy, Debug, Default)]
pub struct SideText<'a> {
    /// The page's alternative text.
    pub alt: &'a str,
    /// The description's caption.
    pub caption: &'a str,
    /// The description's labels.
    pub labels: &'a [String],
}

/// What the model had read of a pair.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources<'a> {
    /// The title of the page that shows both.
    pub page_title: &'a str,
    /// The query.
    pub query: SideText<'a>,
    /// The target.
    pub target: SideText<'a>,
}

/// Bounds of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstructRules {
    /// Fewest words.
    pub min_words: usize,
    /// Most words.
    pub max_words: usize,
    /// Most characters.
    pub max_chars: usize,
    /// The language to write in (ISO 639), where that is to be held.
    pub language: Option<String>,
}

impl Default for InstructRules {
    fn default() -> Self {
        Self { min_words: 2, max_words: 40, max_chars: 200, language: Some("en".into()) }
    }
}

/// Why an instruction is not used, and what exactly was seen.
pub type Fault = (Reason, String);

/// Judges each instruction of a reply: tidied, or why it is not used.
///
/// A reply that keeps nothing gives nothing, whatever instructions it has.
pub fn judge(
    reply: &InstructReply,
    sources: &Sources<'_>,
    rules: &InstructRules,
) -> Vec<Result<String, Fault>> {
    let mut seen = SeenInstructions::default();
    let instructions = reply.instructions.iter().filter(|_| reply.keep);
    instructions
        .map(|instruction| {
            let instruction = form::tidy(instruction);
            match fault(&instruction, sources, rules) {
                Some((problem, detail)) => {
                    Err((problem, detail.chars().take(MAX_DETAIL).collect()))
                }
                None if !seen.is_new(&instruction) => {
                    Err((Reason::DuplicateInstruction, instruction))
                }
                None => Ok(instruction),
            }
        })
        .collect()
}

/// The first fault of a relation: it is published beside the instructions.
pub fn relation_fault(relation: &str, rules: &InstructRules) -> Option<Fault> {
    let (chars, all) = (relation.chars().count(), words(relation).count());
    let length = |what: String| Some((Reason::InstructionLength, format!("relation: {what}")));
    if chars > MAX_RELATION_CHARS {
        return length(format!("{chars} characters"));
    }
    if !(1..=MAX_RELATION_WORDS).contains(&all) {
        return length(format!("{all} words"));
    }
    let named = |problem: Reason| move |detail: String| (problem, format!("relation: {detail}"));
    form::malformed(relation)
        .map(named(Reason::Malformed))
        .or_else(|| refusal(relation).map(named(Reason::Refused)))
        .or_else(|| foreign(relation, rules).map(named(Reason::WrongLanguage)))
}

/// The first fault of an instruction that can be told without the others.
fn fault(instruction: &str, sources: &Sources<'_>, rules: &InstructRules) -> Option<Fault> {
    let all = words(instruction).count();
    let chars = instruction.chars().count();
    // Patterns below see a bounded text only.
    if chars > rules.max_chars {
        return Some((Reason::InstructionLength, format!("{chars} characters")));
    }
    let named = |problem: Reason| move |detail: String| (problem, detail);
    form::malformed(instruction)
        .map(named(Reason::Malformed))
        .or_else(|| refusal(instruction).map(named(Reason::Refused)))
        .or_else(|| {
            (all < rules.min_words).then(|| (Reason::InstructionLength, instruction.into()))
        })
        .or_else(|| {
            (all > rules.max_words).then(|| (Reason::InstructionLength, format!("{all} words")))
        })
        .or_else(|| form::names_images(instruction).map(named(Reason::NamesImages)))
        .or_else(|| source::template_like(instruction, sources).map(named(Reason::TemplateLike)))
        .or_else(|| source::repeats(instruction, sources).map(named(Reason::RepeatsMetadata)))
        .or_else(|| source::describes(instruction, sources).map(named(Reason::DescribesTarget)))
        .or_else(|| source::invented(instruction, sources).map(named(Reason::InventedDetail)))
        .or_else(|| foreign(instruction, rules).map(named(Reason::WrongLanguage)))
}

/// The language of an instruction, where it is surely not the one to write in.
fn foreign(instruction: &str, rules: &InstructRules) -> Option<String> {
    let expected = rules.language.as_deref()?;
    if instruction.chars().count() < MIN_LANGUAGE_CHARS {
        return None;
    }
    detect_language(instruction).filter(|found| *found != expected).map(str::to_owned)
}

/// Instructions that a group has already, told apart by their words alone.
#[derive(Clone, Debug, Default)]
pub struct SeenInstructions {
    keys: HashSet<String>,
}

impl SeenInstructions {
    /// Notes an instruction; false where it differs from an earlier one in case, spaces or
    /// punctuation at most.
    pub fn is_new(&mut self, instruction: &str) -> bool {
        self.keys.insert(words(instruction).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests;
