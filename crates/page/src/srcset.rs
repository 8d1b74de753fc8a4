//! The `srcset` attribute: a list of image URLs, each with a width or a pixel density.
//!
//! <https://html.spec.whatwg.org/#parsing-a-srcset-attribute>

/// One entry of a `srcset` that the standard calls valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate<'a> {
    /// The URL as written.
    pub url: &'a str,
    /// The `w` descriptor: the image is this many pixels wide.
    pub width: Option<u32>,
    /// The `x` descriptor: image pixels for one CSS pixel.
    pub density: Option<f64>,
}

/// Parses a `srcset`; entries with wrong descriptors are left out.
///
/// ```
/// use magiclens_page::srcset::parse;
///
/// let candidates = parse("small.jpg 320w, large.jpg 1280w, wrong.jpg 3y");
/// let largest = candidates.iter().max_by_key(|candidate| candidate.width);
/// assert_eq!(candidates.len(), 2);
/// assert_eq!(largest.map(|candidate| candidate.url), Some("large.jpg"));
/// ```
pub fn parse(input: &str) -> Vec<Candidate<'_>> {
    let mut candidates = Vec::new();
    let mut rest = input;
    loop {
        rest = rest.trim_start_matches(|c| is_space(c) || c == ',');
        if rest.is_empty() {
            return candidates;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        let url = rest[..end].trim_end_matches(',');
        let (descriptors, after) = if url.len() < end {
            (Some(Descriptors::default()), &rest[end..])
        } else {
            Descriptors::read(&rest[end..])
        };
        rest = after;
        if let Some(Descriptors { width, density, .. }) = descriptors.filter(Descriptors::agree) {
            candidates.push(Candidate { url, width, density });
        }
    }
}

/// HTML's white space, which is ASCII's without the vertical tab.
fn is_space(c: char) -> bool {
    c.is_ascii_whitespace()
}

/// What is said about one URL.
#[derive(Debug, Default)]
struct Descriptors {
    width: Option<u32>,
    density: Option<f64>,
    height: Option<u32>,
}

impl Descriptors {
    /// Reads up to the comma that ends the entry (commas in parentheses do not) and returns what is
    /// left after it. `None` stands for an entry to leave out.
    fn read(input: &str) -> (Option<Self>, &str) {
        let mut found = Some(Self::default());
        let mut start = 0;
        let mut in_parentheses = false;
        for (at, c) in input.char_indices() {
            let ends = is_space(c) || c == ',';
            match c {
                '(' => in_parentheses = true,
                ')' => in_parentheses = false,
                _ if ends && !in_parentheses => {
                    found = found.and_then(|found| found.with(&input[start..at]));
                    start = at + 1;
                    if c == ',' {
                        return (found, &input[start..]);
                    }
                }
                _ => {}
            }
        }
        (found.and_then(|found| found.with(&input[start..])), "")
    }

    /// Adds one descriptor; a second one of its kind or a wrong one spoils the entry.
    fn with(mut self, descriptor: &str) -> Option<Self> {
        let Some(unit) = descriptor.chars().next_back() else { return Some(self) };
        let number = &descriptor[..descriptor.len() - unit.len_utf8()];
        match unit {
            'w' if self.width.is_none() && self.density.is_none() => {
                self.width = Some(integer(number)?);
            }
            'x' if self.width.is_none() && self.density.is_none() && self.height.is_none() => {
                self.density = Some(float(number)?);
            }
            'h' if self.height.is_none() && self.density.is_none() => {
                self.height = Some(integer(number)?);
            }
            _ => return None,
        }
        Some(self)
    }

    /// A height says something only beside a width.
    fn agree(&self) -> bool {
        self.height.is_none() || self.width.is_some()
    }
}

/// A valid non-negative integer that is not zero.
fn integer(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = text.parse().unwrap_or(u32::MAX);
    (value > 0).then_some(value)
}

/// A valid floating-point number that is not negative; Rust alone would also take `+1`, `1.`, `inf`.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole.is_empty() || digits(whole)) && digits(fraction),
        None => digits(mantissa),
    };
    let exponent_fits =
        exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)));
    if !mantissa_fits || !exponent_fits {
        return None;
    }
    text.parse().ok().filter(|value| *value >= 0.0)
}

#[cfg(test)]
mod tests {
    use magiclens_testing::{conformance, shared};
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::super::html::decode;
    use super::*;

    #[derive(Deserialize)]
    struct Corpus {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        raw: String,
        first_url: String,
        desc: String,
    }

    #[test]
    fn all_cases_of_the_web_platform_tests_agree() {
        let Some(path) = shared("corpora/srcset_cases.json") else { return };
        let text = std::fs::read_to_string(path).unwrap();
        let corpus: Corpus = serde_json::from_str(&text).unwrap();
        for case in &corpus.cases {
            // The file's `srcset` and `first_url` lost their control characters. `raw` is JavaScript.
            let raw = case.raw.replace(r"\\", r"\");
            let srcset = decode(&raw);
            let candidates = parse(&srcset);
            let first = candidates.first().map_or("", |candidate| candidate.url);
            let first: String = first.chars().filter(|c| !c.is_control()).collect();
            assert_eq!(first, case.first_url, "{}: {:?}", case.desc, case.raw);
        }
        conformance("srcset", corpus.cases.len());
    }

    #[test]
    fn descriptors_are_kept() {
        let entry = |url, width, density| Candidate { url, width, density };
        assert_eq!(
            parse("a.jpg 320w 200h, b.jpg 1.5x,c.jpg, d,e 2x, f(1,2).jpg 1e1x, ,g 0w"),
            [
                entry("a.jpg", Some(320), None),
                entry("b.jpg", None, Some(1.5)),
                entry("c.jpg", None, None),
                entry("d,e", None, Some(2.0)),
                entry("f(1,2).jpg", None, Some(10.0)),
            ]
        );
        assert_eq!(parse("a 99999999999w")[0].width, Some(u32::MAX));
    }

    proptest! {
        #[test]
        fn never_panics_and_urls_are_not_blank(input in r"[ ,\t()a-c0-9.wxh+eé-]{0,60}|\PC{0,60}") {
            for candidate in parse(&input) {
                prop_assert!(!candidate.url.is_empty());
                prop_assert!(!candidate.url.contains(' ') && !candidate.url.ends_with(','));
                prop_assert!(candidate.width != Some(0));
            }
        }
    }
}
