//! `[pair]`: by what two images are compared, and which of them belong together.

use serde::{Deserialize, Serialize};

use super::embed::EmbedImages;
use super::load::OutOfRange;

/// `[pair]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pair {
    /// By what images and descriptions are compared.
    pub similarity: Similarity,
    /// Visual similarity of a pair, at least.
    pub min_visual: Bound,
    /// Visual similarity of a pair, at most.
    pub max_visual: Bound,
    /// Similarity of a pair's descriptions, at least.
    pub min_text: Bound,
    /// Similarity of a pair's descriptions, at most.
    pub max_text: Bound,
    /// Pairs of one group, at most.
    pub max_pairs: usize,
    /// Which image of a pair is the query.
    pub direction: Direction,
    /// Images that are further apart on their page, counted in images, form no pair.
    pub window: usize,
}

impl Default for Pair {
    fn default() -> Self {
        Self {
            similarity: Similarity::Lexical,
            min_visual: Bound::Auto,
            max_visual: Bound::Auto,
            min_text: Bound::Auto,
            max_text: Bound::Auto,
            max_pairs: 3,
            direction: Direction::Forward,
            window: 8,
        }
    }
}

impl Pair {
    /// Returns the bounds in effect: the configured ones, else those that suit the similarity. `images` is
    /// the form in which an embeddings endpoint receives images.
    pub fn bounds(&self, images: EmbedImages) -> Bounds {
        let is_text_only = self.similarity == Similarity::Endpoint && images == EmbedImages::None;
        let visual = match self.similarity {
            Similarity::Lexical => Bounds::LEXICAL,
            Similarity::Endpoint if is_text_only => Bounds::LEXICAL,
            Similarity::Clip | Similarity::Endpoint => Bounds::EMBEDDED,
        };
        let text = match self.similarity {
            Similarity::Lexical => Bounds::LEXICAL,
            Similarity::Clip | Similarity::Endpoint => Bounds::EMBEDDED,
        };
        Bounds {
            min_visual: self.min_visual.or(visual.min_visual),
            max_visual: self.max_visual.or(visual.max_visual),
            min_text: self.min_text.or(text.min_text),
            max_text: self.max_text.or(text.max_text),
        }
    }
}

/// Between which similarities two images are a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Visual similarity, at least.
    pub min_visual: f64,
    /// Visual similarity, at most.
    pub max_visual: f64,
    /// Similarity of the descriptions, at least.
    pub min_text: f64,
    /// Similarity of the descriptions, at most.
    pub max_text: f64,
}

impl Bounds {
    /// For perceptual hash and colours, and TF-IDF.
    pub const LEXICAL: Self =
        Self { min_visual: 0.4, max_visual: 0.98, min_text: 0.1, max_text: 0.98 };

    /// For cosines of embeddings: a start, because the paper publishes none and every model has a
    /// scale of its own. `mine tune-pairs` is there to do better.
    pub const EMBEDDED: Self =
        Self { min_visual: 0.8, max_visual: 0.96, min_text: 0.8, max_text: 0.96 };

    /// Refuses bounds that no cosine can be between.
    pub(super) fn check(&self) -> Result<(), OutOfRange> {
        for (key, bound) in self.named() {
            if !(-1.0..=1.0).contains(&bound) {
                return Err(OutOfRange { key, problem: "must be between -1 and 1, or \"auto\"" });
            }
        }
        let [(visual, min_visual), (_, max_visual), (text, min_text), (_, max_text)] = self.named();
        if min_visual > max_visual {
            let problem = "must not be above pair.max_visual";
            return Err(OutOfRange { key: visual, problem });
        }
        if min_text > max_text {
            return Err(OutOfRange { key: text, problem: "must not be above pair.max_text" });
        }
        Ok(())
    }

    /// Each with the name of its key.
    pub fn named(&self) -> [(&'static str, f64); 4] {
        [
            ("pair.min_visual", self.min_visual),
            ("pair.max_visual", self.max_visual),
            ("pair.min_text", self.min_text),
            ("pair.max_text", self.max_text),
        ]
    }
}

/// By what images and descriptions are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Similarity {
    /// Perceptual hash and colours; TF-IDF. No model.
    #[default]
    Lexical,
    /// Cosines of a CLIP checkpoint's embeddings, made in this process.
    Clip,
    /// Cosines of what an embeddings endpoint gives.
    Endpoint,
}

impl Similarity {
    /// The name in configuration and fingerprints.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lexical => "lexical",
            Self::Clip => "clip",
            Self::Endpoint => "endpoint",
        }
    }
}

/// A bound that is set, or left to the similarity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Bound {
    /// What fits the similarity.
    #[default]
    Auto,
    /// This.
    At(f64),
}

impl Bound {
    fn or(self, other: f64) -> f64 {
        match self {
            Self::Auto => other,
            Self::At(value) => value,
        }
    }
}

/// A bound as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number or \"auto\"")]
enum Written {
    Number(f64),
    Digits(Digits),
    Word(Word),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Auto,
}

/// A number in a string: what `--set pair.min_visual=0.5` gives for a key whose default is a word.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Digits(f64);

impl TryFrom<String> for Digits {
    type Error = std::num::ParseFloatError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.trim().parse().map(Self)
    }
}

impl From<Digits> for String {
    fn from(Digits(value): Digits) -> Self {
        value.to_string()
    }
}

impl From<Written> for Bound {
    fn from(written: Written) -> Self {
        match written {
            Written::Number(value) | Written::Digits(Digits(value)) => Self::At(value),
            Written::Word(Word::Auto) => Self::Auto,
        }
    }
}

impl From<Bound> for Written {
    fn from(bound: Bound) -> Self {
        match bound {
            Bound::Auto => Self::Word(Word::Auto),
            Bound::At(value) => Self::Number(value),
        }
    }
}

/// Choice of the query image of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The one that the page shows first.
    Forward,
    /// Each once: a pair counts twice.
    Both,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(text: &str) -> Result<Bound, String> {
        let pair: Result<Pair, _> = toml::from_str(&format!("min_visual = {text}"));
        pair.map(|pair| pair.min_visual).map_err(|error| error.to_string())
    }

    #[test]
    fn a_bound_is_a_number_or_auto() {
        for (text, expected) in [
            ("0.5", Bound::At(0.5)),
            ("1", Bound::At(1.0)),
            ("\"0.25\"", Bound::At(0.25)),
            ("\"auto\"", Bound::Auto),
        ] {
            assert_eq!(bound(text), Ok(expected), "{text}");
        }
        for text in ["\"high\"", "true", "[1]"] {
            assert!(bound(text).unwrap_err().contains("a number or \"auto\""), "{text}");
        }
    }

    #[test]
    fn a_bound_survives_being_kept() {
        let pair = Pair { min_text: Bound::At(0.7), ..Pair::default() };
        let text = toml::to_string(&pair).unwrap();
        assert!(
            text.contains("min_visual = \"auto\"") && text.contains("min_text = 0.7"),
            "{text}"
        );
        assert_eq!(toml::from_str::<Pair>(&text).unwrap(), pair);
    }

    #[test]
    fn bounds_are_numbers_with_something_between_them() {
        let check = |min: f64, max: f64| {
            Bounds { min_visual: min, max_visual: max, ..Bounds::LEXICAL }.check()
        };
        assert_eq!(check(-1.0, 1.0), Ok(()));
        assert_eq!(check(0.5, 0.5), Ok(()));
        for (min, max, key) in [
            (f64::NAN, 1.0, "pair.min_visual"),
            (0.0, f64::INFINITY, "pair.max_visual"),
            (-1.5, 1.0, "pair.min_visual"),
            (0.6, 0.5, "pair.min_visual"),
        ] {
            assert_eq!(check(min, max).unwrap_err().key, key, "{min} {max}");
        }
        let text = Bounds { min_text: 0.99, ..Bounds::LEXICAL };
        assert_eq!(text.check().unwrap_err().key, "pair.min_text");
    }

    #[test]
    fn what_is_not_set_fits_the_similarity() {
        let of = |similarity, images| {
            let pair = Pair { similarity, max_text: Bound::At(0.5), ..Pair::default() };
            let Bounds { min_visual, max_visual, min_text, max_text } = pair.bounds(images);
            [min_visual, max_visual, min_text, max_text]
        };
        use Similarity::{Clip, Endpoint, Lexical};
        assert_eq!(of(Lexical, EmbedImages::Infinity), [0.4, 0.98, 0.1, 0.5]);
        assert_eq!(of(Clip, EmbedImages::None), [0.8, 0.96, 0.8, 0.5]);
        assert_eq!(of(Endpoint, EmbedImages::Messages), [0.8, 0.96, 0.8, 0.5]);
        assert_eq!(of(Endpoint, EmbedImages::None), [0.4, 0.98, 0.8, 0.5]);
    }
}
