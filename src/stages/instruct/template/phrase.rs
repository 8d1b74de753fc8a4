//! Phrases cut from a caption: the words that the other caption lacks, ready to stand in a sentence.

use std::collections::HashSet;
use std::ops::Range;

use super::diff::{self, Token};
use crate::text as words;

/// How many words of a caption count.
const CAPTION_WORDS: usize = 128;

/// The most characters that a phrase takes from a caption.
const MAX_CHARS: usize = 80;

/// Prepositions that may lead a phrase, of seven languages.
const PREPOSITIONS: &str = "
    above across after against along amid among around at before behind below beneath beside between
    beyond by during for from in inside into near on onto outside over through to toward towards under
    underneath until upon via with within without
    am auf aus bei beim durch für hinter im mit nach neben ohne über unter vor zwischen
    avec chez dans derrière devant en entre par pour sans sous sur
    bajo con desde para por sin sobre
    nel nella per senza sotto su sul sulla
    com em sem sob bij met naast onder op voor zonder";

/// Words that may stand between a preposition and what it leads.
const ARTICLES: &str = "
    a an the its his her their my your our this that der die das dem den ein eine einem einen einer
    le la les l un une des el los las una il lo gli o os as um uma de het een";

/// A caption beside another.
pub struct Caption<'a> {
    /// As written.
    text: &'a str,
    /// Its first words.
    pub tokens: Vec<Token<'a>>,
    /// For each word, whether it is a content word that the other caption lacks.
    fresh: Vec<bool>,
}

/// Some words of a caption.
#[derive(Clone, Debug)]
pub struct Phrase {
    /// With the preposition that leads it, if one does.
    pub whole: String,
    /// From the first content word on.
    pub bare: String,
    /// Whether a preposition leads it.
    pub led: bool,
    /// How many of its content words the other caption lacks.
    fresh: usize,
}

impl<'a> Caption<'a> {
    /// Reads two captions, each in the light of the other.
    pub fn pair(query: &'a str, target: &'a str) -> (Self, Self) {
        let [left, right] = [query, target].map(|text| diff::tokens(text, CAPTION_WORDS));
        let fresh = [fresh(&left, &right), fresh(&right, &left)];
        let [of_left, of_right] = fresh;
        (
            Self { text: query, tokens: left, fresh: of_left },
            Self { text: target, tokens: right, fresh: of_right },
        )
    }

    /// Tells whether any content word is new.
    pub fn has_fresh(&self) -> bool {
        self.is_fresh(&(0..self.tokens.len()))
    }

    /// Tells whether any content word of a stretch is new.
    pub fn is_fresh(&self, range: &Range<usize>) -> bool {
        self.fresh[range.clone()].contains(&true)
    }

    /// Tells whether the other caption has any of the content words.
    pub fn shares_content(&self) -> bool {
        self.tokens.iter().zip(&self.fresh).any(|(token, fresh)| token.content && !fresh)
    }

    /// Cuts a stretch at the ends of clauses and makes a phrase of each part that says something new.
    pub fn phrases(&self, range: &Range<usize>, most: usize) -> Vec<Phrase> {
        let mut phrases = Vec::new();
        let mut start = range.start;
        for end in range.start + 1..=range.end {
            if end == range.end || self.opens(end) {
                phrases.extend(self.phrase(start..end, most));
                start = end;
            }
        }
        phrases
    }

    /// Makes a phrase of the words around the first new one, function words trimmed.
    fn phrase(&self, range: Range<usize>, most: usize) -> Option<Phrase> {
        let new = range.clone().find(|at| self.fresh[*at])?;
        let first = range.clone().find(|at| self.tokens[*at].content)?;
        let lead = self.lead(first);
        let (whole, bare) =
            (self.fit(lead, range.end, new, most), self.fit(first, range.end, new, most));
        Some(Phrase {
            led: whole.start == lead && lead < first,
            fresh: self.fresh[whole.clone()].iter().filter(|fresh| **fresh).count(),
            whole: self.write(&whole),
            bare: self.write(&bare),
        })
    }

    /// Where the preposition is that leads to a word, if there is one; else the word.
    fn lead(&self, first: usize) -> usize {
        let before = |at: usize, list: &str| {
            let listed = |token: &Token<'_>| list.split_whitespace().any(|word| word == token.key);
            at > 0 && !self.opens(at) && listed(&self.tokens[at - 1])
        };
        if before(first, PREPOSITIONS) {
            first - 1
        } else if before(first, ARTICLES) && before(first - 1, PREPOSITIONS) {
            first - 2
        } else {
            first
        }
    }

    /// Shortens a stretch to the limits, from the end first, with one word kept in any case.
    fn fit(&self, mut start: usize, mut end: usize, kept: usize, most: usize) -> Range<usize> {
        let long =
            |start: usize, end: usize| end - start > most || self.length(start..end) > MAX_CHARS;
        while end > kept + 1 && (!self.tokens[end - 1].content || long(start, end)) {
            end -= 1;
        }
        while start < kept && (!self.tokens[start].content || start + 1 < end) && long(start, end) {
            start += 1;
        }
        start..end
    }

    /// The characters of a stretch as written in the caption, white space and all.
    fn length(&self, range: Range<usize>) -> usize {
        self.slice(&range).chars().count()
    }

    /// A stretch as written in the caption.
    fn slice(&self, range: &Range<usize>) -> &'a str {
        let last = &self.tokens[range.end - 1];
        &self.text[self.tokens[range.start].start..last.start + last.text.len()]
    }

    /// Writes a stretch for use inside a sentence.
    fn write(&self, range: &Range<usize>) -> String {
        let slice = self.slice(range);
        let first = &self.tokens[range.start];
        let lowered = if self.opens(range.start) && is_capitalised(first) {
            let mut chars = slice.chars();
            let initial = chars.next().map(char::to_lowercase);
            initial.into_iter().flatten().chain(chars).collect()
        } else {
            slice.to_owned()
        };
        let spaced = lowered.split_whitespace().collect::<Vec<_>>().join(" ");
        spaced.chars().filter(|c| !c.is_control()).take(MAX_CHARS).collect()
    }

    /// Tells whether a word is the first of its clause.
    fn opens(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(1).map(|before| &self.tokens[before]) else {
            return true;
        };
        let gap = &self.text[before.start + before.text.len()..self.tokens[at].start];
        let marks =
            |c: char| c.is_control() || ";!?|()[]{}<>\"“”„«»•·…—。！？、，；：｜".contains(c);
        let stops = [". ", ".\u{a0}", ": ", " - ", " – ", " / "];
        gap.contains(marks) || stops.iter().any(|stop| gap.contains(stop))
    }
}

/// The phrase that says most, the first of those that say as much.
pub fn richest(phrases: &[Phrase]) -> Option<&Phrase> {
    phrases.iter().rev().max_by_key(|phrase| phrase.fresh)
}

/// The two phrases that say most, in order.
pub fn richest_two(phrases: &[Phrase]) -> Vec<&Phrase> {
    let mut ranked: Vec<_> = phrases.iter().enumerate().collect();
    ranked.sort_by_key(|(_, phrase)| std::cmp::Reverse(phrase.fresh));
    ranked.truncate(2);
    ranked.sort_by_key(|(at, _)| *at);
    ranked.into_iter().map(|(_, phrase)| phrase).collect()
}

/// For each word, whether it is a content word that the others lack.
fn fresh(tokens: &[Token<'_>], others: &[Token<'_>]) -> Vec<bool> {
    let known: HashSet<_> = others.iter().map(|token| token.key.as_str()).collect();
    tokens.iter().map(|token| token.content && !known.contains(token.key.as_str())).collect()
}

/// Tells whether only the first letter is a capital, which an acronym's never is.
fn is_capitalised(token: &Token<'_>) -> bool {
    let mut chars = token.text.chars();
    let first = chars.next().is_some_and(char::is_uppercase);
    let lone = chars.clone().next().is_none();
    first && !chars.any(char::is_uppercase) && (!lone || words::is_stopword(&token.key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The phrases of a caption beside an empty one.
    fn phrases(text: &str) -> Vec<String> {
        let (_, caption) = Caption::pair("", text);
        let phrases = caption.phrases(&(0..caption.tokens.len()), 12);
        phrases.into_iter().map(|phrase| phrase.whole).collect()
    }

    #[test]
    fn clauses_are_cut_and_trimmed() {
        let cases: [(&str, &[&str]); 7] = [
            ("In the snow and", &["in the snow"]),
            ("The Red dress. A hat (of wool)", &["Red dress", "hat", "wool"]),
            ("NASA logo | iPhone case | X ray", &["NASA logo", "iPhone case", "X ray"]),
            ("dog\n\n  and\tcat", &["dog", "cat"]),
            ("size  2.5 x  3", &["size 2.5 x 3"]),
            ("café crème à Paris", &["café crème à Paris"]),
            ("of the", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(phrases(text), expected, "{text}");
        }
    }

    #[test]
    fn long_stretches_are_cut_at_words() {
        let found =
            phrases("one two three four five six seven eight nine ten and the twelve thirteen");
        assert_eq!(found, ["two three four five six seven eight nine ten and the twelve"]);
        let word = "a".repeat(50);
        assert_eq!(phrases(&format!("{word} {word}")), [word.as_str()]);
        assert_eq!(phrases(&"é".repeat(300)), ["é".repeat(80)]);
    }
}
