//! From a text to CLIP's token ids, equal to those of the original implementation.
//!
//! [`clean`] makes the text what the original makes of it, [`words`] splits it and merges the bytes
//! of each word. The vocabulary is the published `bpe_simple_vocab_16e6`, which the crate
//! `instant-clip-tokenizer` carries; it decides nothing else here. Padding, with 0, is
//! [`Tokenizer::batch`]'s. See <https://arxiv.org/abs/2103.00020>, section 2.4, and
//! <https://github.com/openai/CLIP/blob/main/clip/simple_tokenizer.py>.

mod clean;
mod words;

use tch::Tensor;
use words::Words;

/// Id of the start token: first in every sequence.
pub const START: u32 = 49_406;
/// Id of the end token: last in every sequence, and where the text tower reads its output.
pub const END: u32 = 49_407;
/// Number of ids: all are below.
pub const VOCABULARY: u32 = 49_408;
/// Longest sequence that the text tower takes, start and end included.
pub const CONTEXT: usize = 77;

/// Longest text that is looked at, in bytes. No 75 tokens are as long, so what is cut off here
/// would be cut off anyway; and no text, however hostile, takes more than milliseconds.
const MAX_TEXT: usize = 16 << 10;

/// The ids of one text: [`START`], at most 75 others, [`END`]. Not padded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// From 2 to [`CONTEXT`] ids.
    pub ids: Vec<u32>,
    /// Whether the text was longer and lost its end, where the original reports an error.
    pub cut: bool,
}

/// CLIP's byte-pair tokenizer with OpenAI's vocabulary.
///
/// Takes a moment to build (the merges are read from text), so make one and share it: encoding
/// takes `&self`, from any number of threads.
pub struct Tokenizer {
    words: Words,
}

impl Tokenizer {
    /// Reads the vocabulary that is compiled in.
    pub fn clip() -> Self {
        Self { words: Words::clip() }
    }

    /// Encodes a text: cleans it, splits it into words, merges their bytes.
    ///
    /// Longer texts are cut so that [`END`] still closes them (the original's `truncate=True`),
    /// because the text tower reads its output there. A literal `<|endoftext|>` becomes [`END`] in
    /// the middle, as in the original.
    pub fn encode(&self, text: &str) -> Tokens {
        let (text, shortened) = within(text, MAX_TEXT);
        let mut ids = Vec::with_capacity(16);
        ids.push(START);
        let complete = self.words.append(&clean::clean(text), &mut ids, CONTEXT);
        let cut = shortened || !complete || ids.len() >= CONTEXT;
        ids.truncate(CONTEXT - 1);
        ids.push(END);
        Tokens { ids, cut }
    }

    /// Encodes several texts as one tensor, `[texts, longest]`, padded with 0, and counts those that were
    /// cut.
    pub fn batch(&self, texts: &[&str]) -> (Tensor, usize) {
        let all: Vec<_> = texts.iter().map(|text| self.encode(text)).collect();
        let longest = all.iter().map(|tokens| tokens.ids.len()).max().unwrap_or(0);
        let mut ids = vec![0_i64; texts.len() * longest];
        for (row, tokens) in ids.chunks_mut(longest.max(1)).zip(&all) {
            row.iter_mut().zip(&tokens.ids).for_each(|(id, &token)| *id = i64::from(token));
        }
        let ids = Tensor::from_slice(&ids).reshape([texts.len() as i64, longest as i64]);
        (ids, all.iter().filter(|tokens| tokens.cut).count())
    }
}

/// The start of the text, at most `limit` bytes, and whether that is less than all.
fn within(text: &str, limit: usize) -> (&str, bool) {
    let end = text.floor_char_boundary(limit);
    (&text[..end], end < text.len())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use magiclens_testing::{conformance, shared};
    use proptest::prelude::*;

    use super::*;

    static CLIP: LazyLock<Tokenizer> = LazyLock::new(Tokenizer::clip);

    #[derive(serde::Deserialize)]
    struct Line {
        i: usize,
        text: String,
        ids: Vec<u32>,
        too_long: bool,
    }

    /// Texts with the ids of the original implementation.
    fn golden() -> Option<Vec<Line>> {
        let lines = std::fs::read_to_string(shared("golden/tokenizer/texts.jsonl")?).unwrap();
        Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    #[test]
    fn all_ids_equal_the_original_ones() {
        let Some(lines) = golden() else { return };
        for line in &lines {
            let tokens = CLIP.encode(&line.text);
            assert_eq!(tokens.cut, line.too_long, "line {}", line.i);
            if line.too_long {
                assert_eq!(tokens.ids[..CONTEXT - 1], line.ids[..CONTEXT - 1], "line {}", line.i);
            } else {
                assert_eq!(tokens.ids, line.ids, "line {}: {:?}", line.i, line.text);
            }
        }
        conformance("tokenizer", lines.len());
    }

    #[test]
    fn the_end_closes_a_text_that_is_cut() {
        for words in [74, 75, 76, 1000, 100_000] {
            let tokens = CLIP.encode(&"word ".repeat(words));
            assert_eq!(tokens.ids.len(), CONTEXT.min(words + 2));
            assert_eq!(tokens.ids.last(), Some(&END));
            assert_eq!(tokens.cut, words > 75, "{words}");
        }
    }

    #[test]
    fn markers_in_the_text_are_the_marker_ids() {
        let ids = CLIP.encode("a<|EndOfText|>b <|startoftext|>").ids;
        assert_eq!(ids, [START, 320, END, 321, START, END]);
        // Other tokenizers' names for them are text.
        assert!(CLIP.encode("<start_of_text>").ids[1..].iter().all(|&id| id != START));
    }

    #[test]
    fn hostile_texts_end() {
        let nested = format!("&{};", "amp;".repeat(20_000));
        for text in ["é".repeat(100_000), "Ã".repeat(100_000), nested, "\n".repeat(100_000)] {
            let tokens = CLIP.encode(&text);
            assert!(tokens.ids.len() <= CONTEXT && tokens.cut);
        }
    }

    proptest! {
        #[test]
        fn every_text_gives_a_sequence(text in any::<String>()) {
            let Tokens { ids, cut } = CLIP.encode(&text);
            prop_assert_eq!(ids[0], START);
            prop_assert_eq!(ids[ids.len() - 1], END);
            prop_assert!((2..=CONTEXT).contains(&ids.len()));
            prop_assert!(ids.iter().all(|&id| id < VOCABULARY));
            prop_assert!(!cut || ids.len() == CONTEXT);
        }

        #[test]
        fn mangled_texts_give_a_sequence(text in "(&(#x?)?[0-9a-z]{0,6};?|[Â-ÿ€-™â\u{80}-\u{9f}]| |<|\\PC){0,40}") {
            let ids = CLIP.encode(&text).ids;
            prop_assert!(ids[0] == START && ids[ids.len() - 1] == END && ids.len() <= CONTEXT);
        }
    }
}
