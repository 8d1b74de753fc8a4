//! Which words two texts share in the same order, and the stretches in between that they do not.
//!
//! A longest common subsequence in which a content word counts more than a function word, so that
//! texts line up on what they show. <https://en.wikipedia.org/wiki/Longest_common_subsequence>

use std::ops::Range;

use crate::text as words;

/// What a shared content word counts; a shared function word counts one.
const CONTENT_WEIGHT: u32 = 4;

/// A word of a text.
#[derive(Clone, Debug)]
pub struct Token<'a> {
    /// Its first byte in the text.
    pub start: usize,
    /// As written.
    pub text: &'a str,
    /// Lower-cased, for comparing.
    pub key: String,
    /// Whether it is no function word.
    pub content: bool,
}

/// A stretch that differs: words of the query in the place of words of the target.
#[derive(Clone, Debug, PartialEq)]
pub struct Hunk {
    /// Words that only the query has here.
    pub gone: Range<usize>,
    /// Words that only the target has here.
    pub new: Range<usize>,
}

/// The first words of a text.
pub fn tokens(text: &str, most: usize) -> Vec<Token<'_>> {
    let token = |(start, text)| {
        let key = words::fold(text);
        Token { start, text, content: !words::is_stopword(&key), key }
    };
    words::pieces(text).take(most).map(token).collect()
}

/// Lists the stretches that differ, in order.
pub fn hunks(query: &[Token<'_>], target: &[Token<'_>]) -> Vec<Hunk> {
    let mut hunks = Vec::new();
    let (mut gone, mut new) = (0, 0);
    let end = (query.len(), target.len());
    for (i, j) in shared(query, target).into_iter().chain([end]) {
        if gone < i || new < j {
            hunks.push(Hunk { gone: gone..i, new: new..j });
        }
        (gone, new) = (i + 1, j + 1);
    }
    hunks
}

/// Pairs up the shared words of the weightiest common subsequence.
fn shared(query: &[Token<'_>], target: &[Token<'_>]) -> Vec<(usize, usize)> {
    let best = table(query, target);
    let mut pairs = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < query.len() && j < target.len() {
        if query[i].key == target[j].key && best[i][j] == best[i + 1][j + 1] + weight(&query[i]) {
            pairs.push((i, j));
            i += 1;
            j += 1;
        } else if best[i][j] == best[i + 1][j] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// The weight that can still be shared from each pair of words on.
fn table(query: &[Token<'_>], target: &[Token<'_>]) -> Vec<Vec<u32>> {
    let mut best = vec![vec![0; target.len() + 1]; query.len() + 1];
    for i in (0..query.len()).rev() {
        for j in (0..target.len()).rev() {
            let skip = best[i + 1][j].max(best[i][j + 1]);
            let same = query[i].key == target[j].key;
            let both = if same { best[i + 1][j + 1] + weight(&query[i]) } else { 0 };
            best[i][j] = skip.max(both);
        }
    }
    best
}

/// What sharing a word counts.
fn weight(token: &Token<'_>) -> u32 {
    if token.content { CONTENT_WEIGHT } else { 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn differ(query: &str, target: &str) -> Vec<Hunk> {
        hunks(&tokens(query, 100), &tokens(target, 100))
    }

    #[test]
    fn stretches_lie_between_shared_words() {
        assert_eq!(differ("a red car", "A red car"), []);
        assert_eq!(differ("a red car", "a blue car"), [Hunk { gone: 1..2, new: 1..2 }]);
        assert_eq!(
            differ("car", "old car here"),
            [Hunk { gone: 0..0, new: 0..1 }, Hunk { gone: 1..1, new: 2..3 },]
        );
        assert_eq!(differ("", "x"), [Hunk { gone: 0..0, new: 0..1 }]);
    }

    #[test]
    fn content_words_win_over_function_words() {
        let found = differ("of the house", "house of the");
        assert_eq!(found, [Hunk { gone: 0..2, new: 0..0 }, Hunk { gone: 3..3, new: 1..3 }]);
    }

    proptest! {
        #[test]
        fn what_is_left_is_the_same(query in "([a-c]|in| ){0,20}", target in "([a-c]|in| ){0,20}") {
            let (query, target) = (tokens(&query, 100), tokens(&target, 100));
            let hunks = hunks(&query, &target);
            let left = |tokens: &[Token<'_>], side: fn(&Hunk) -> &Range<usize>| -> Vec<String> {
                let kept = |at: &usize| !hunks.iter().any(|hunk| side(hunk).contains(at));
                (0..tokens.len()).filter(kept).map(|at| tokens[at].key.clone()).collect()
            };
            prop_assert_eq!(left(&query, |hunk| &hunk.gone), left(&target, |hunk| &hunk.new));
        }
    }
}
