//! From a clean text to ids: the split into words, and the merged bytes of each.
//!
//! The merging itself is `instant-clip-tokenizer`'s, which brings OpenAI's vocabulary; its split of
//! a text is not used, because it knows the markers by other names and folds less case. See
//! <https://github.com/openai/CLIP/blob/main/clip/simple_tokenizer.py>.

use std::cell::RefCell;
use std::collections::HashMap;

use instant_clip_tokenizer::Tokenizer as Merges;
use regex::Regex;

use super::{END, START, within};

/// The original's pattern: markers, contractions, letters, one number, anything else. Only the
/// first two are blind to case: U+0345, a mark that folds to a letter, is neither a letter nor
/// anything else to Python's `regex`, and vanishes.
const WORD: &str = concat!(
    r"(?i:<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d)|",
    r"\p{L}+|\p{N}|[^\s\p{L}\p{N}\x{345}]+",
);

/// Longest word that is merged, in bytes: no token has more than 32, so a longer word does not fit
/// the context and only its first tokens are wanted.
const MAX_WORD: usize = 75 * 32;

/// Words that a thread caches before it clears the cache.
const MAX_CACHED: usize = 1 << 16;
/// Longer words are not worth remembering.
const MAX_CACHED_WORD: usize = 32;

thread_local! {
    /// Ids by word: a thread of its own has no lock to wait for, and instructions share few words.
    static CACHE: RefCell<HashMap<Box<str>, Box<[u32]>>> = RefCell::default();
}

/// Splits and merges.
pub(super) struct Words {
    pattern: Regex,
    merges: Merges,
}

impl Words {
    /// With OpenAI's vocabulary.
    pub fn clip() -> Self {
        let pattern = Regex::new(WORD).expect("the pattern is constant and tested");
        Self { pattern, merges: Merges::new() }
    }

    /// Appends the ids of a clean text until there are `limit`; says whether it came to the end.
    pub fn append(&self, text: &str, ids: &mut Vec<u32>, limit: usize) -> bool {
        CACHE.with_borrow_mut(|cache| {
            if cache.len() > MAX_CACHED {
                cache.clear();
            }
            for word in self.pattern.find_iter(text) {
                if ids.len() >= limit {
                    return false;
                }
                let word = word.as_str();
                if let Some(known) = cache.get(word) {
                    ids.extend_from_slice(known);
                    continue;
                }
                let new = self.merged(word);
                ids.extend_from_slice(&new);
                if word.len() <= MAX_CACHED_WORD {
                    cache.insert(word.into(), new.into());
                }
            }
            true
        })
    }

    fn merged(&self, word: &str) -> Vec<u32> {
        if let Some(ids) = special(word) {
            return ids.to_vec();
        }
        let mut tokens = Vec::new();
        self.merges.encode(within(word, MAX_WORD).0, &mut tokens);
        tokens.into_iter().map(|token| u32::from(token.to_u16())).collect()
    }
}

/// The markers, and the two words that the pattern takes whole because long s folds to s, while
/// the merging crate's own split would not.
fn special(word: &str) -> Option<&'static [u32]> {
    match word {
        "<|startoftext|>" => Some(&[START]),
        "<|endoftext|>" => Some(&[END]),
        "'ſ" => Some(&[6, 129, 379]),
        "<|ſtartoftext|>" => Some(&[27, 91, 129, 123, 2002, 6659, 18_169, 91, 285]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        let pattern = Regex::new(WORD).unwrap();
        pattern.find_iter(text).map(|word| word.as_str()).collect()
    }

    #[test]
    fn words_split_as_in_the_original() {
        assert_eq!(
            split("it's 42, isn't it?!"),
            ["it", "'s", "4", "2", ",", "isn", "'t", "it", "?!"]
        );
        assert_eq!(split("'ſpots 'llama ''s"), ["'ſ", "pots", "'ll", "ama", "''", "s"]);
        assert_eq!(split("a\u{345}b!\u{345}!"), ["a", "b", "!", "!"]);
        assert_eq!(split("a<|endoftext|>b<|end"), ["a", "<|endoftext|>", "b", "<|", "end"]);
    }

    /// Every word reaches the merging crate alone: were it split again there, or its case changed,
    /// the ids would differ from the original's.
    #[test]
    fn no_word_is_split_again() {
        let words = Words::clip();
        let merged = |word: &str| words.merged(word);
        assert_eq!(merged("'s"), [568]);
        for letter in (0..=0x10_FFFF).filter_map(char::from_u32) {
            let lower = letter.to_lowercase().to_string();
            for word in words.pattern.find_iter(&lower) {
                assert_eq!(word.as_str().to_lowercase(), word.as_str(), "{letter:?}");
            }
        }
        // The last byte of a word, and only that, carries the end-of-word mark (ids 256 to 511).
        for word in ["'(", "\u{307}\u{301}", "\u{200d}\u{fe0f}", "<[_]>"] {
            let mut ends = merged(word);
            let last = ends.pop().unwrap();
            assert!(ends.iter().all(|id| !(256..512).contains(id)), "{word:?} {ends:?} {last}");
        }
    }

    #[test]
    fn a_word_without_end_costs_no_more_than_its_start() {
        let words = Words::clip();
        let mut ids = Vec::new();
        assert!(words.append(&"ab".repeat(500_000), &mut ids, 77));
        assert!(ids.len() > 77);
    }

    #[test]
    fn the_second_time_is_the_same() {
        let words = Words::clip();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        words.append("supercalifragilistic wörter 😀", &mut first, 77);
        words.append("supercalifragilistic wörter 😀", &mut second, 77);
        assert_eq!(first, second);
    }
}
