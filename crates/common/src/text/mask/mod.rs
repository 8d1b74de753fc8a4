//! Takes e-mail addresses and phone numbers out of a text before it is put in a prompt or exported.
//!
//! A filter for privacy, not a validator: where a number could as well be a year, a date, a price, a
//! size, an ISBN, an IP address or an id, it stays. Names and postal addresses are not looked for.
//! Addresses follow <https://www.rfc-editor.org/rfc/rfc5322#section-3.4.1>.

mod phones;
mod stretch;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands for an e-mail address.
const EMAIL: &str = "[email]";

/// What stands for a phone number.
const PHONE: &str = "[phone]";

/// The mark between name and host: `@`, or `at` in brackets.
const AT: &str = r"(?: @ | ＠ | %40 | \s{0,2} [\[({<] \s? (?:at|@) \s? [\])}>] \s{0,2} )";

/// The mark between the parts of a host: a dot, or `dot` in brackets.
const DOT: &str =
    r"(?: \. | \s{0,2} [\[({<] \s? (?:dot|punkt|point|ponto|punto|\.) \s? [\])}>] \s{0,2} )";

/// An address in any of its usual forms.
///
/// Latin endings come first, so that text without spaces may follow an address. A quoted name has no
/// brackets, so that `[email]` never becomes part of another address. The last form, all in words, is
/// kept to a few endings: `look at polka dot dress` is no address.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = format!(
        r#"(?xi)
        (?: mailto: (?://)? )?
        (?: "[^"\s\[\]@]{{1,64}}" | (?<name> \w [\w.!\#$%&'*+^~-]* ) )
        {AT}
        (?:
            \[ (?:ipv6:)? [0-9a-f.:]{{3,45}} \]
            | [\p{{L}}\p{{N}}] [\w-]* (?: {DOT} [\w-]+ )* {DOT}
              (?<ending> xn--[a-z0-9-]{{2,59}} | [a-z]{{2,24}} | [\p{{L}}\p{{M}}]{{2,24}} )
        )
        | \w [\w.+-]* \s at \s [\w-]+ (?: \s dot \s [\w-]+ )*
          \s dot \s (?:com|org|net|edu|gov|info) (?-u:\b)"#
    );
    compile(&pattern)
});

/// Endings that make `logo@2x.png` a file and not an address.
const FILES: [&str; 11] =
    ["avif", "bmp", "gif", "heic", "ico", "jpeg", "jpg", "png", "svg", "tiff", "webp"];

/// Replaces e-mail addresses by `[email]` and phone numbers by `[phone]`.
pub fn mask(text: &str) -> Cow<'_, str> {
    match replace(text, addresses(text), EMAIL) {
        Cow::Borrowed(text) => replace(text, phones::find(text), PHONE),
        Cow::Owned(text) => Cow::Owned(replace(&text, phones::find(&text), PHONE).into_owned()),
    }
}

/// Compiles a pattern of this module.
fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is constant and tested")
}

/// Puts a label in the place of each range.
fn replace<'a>(text: &'a str, ranges: Vec<Range<usize>>, label: &str) -> Cow<'a, str> {
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for range in ranges {
        masked.push_str(&text[done..range.start]);
        masked.push_str(label);
        done = range.end;
    }
    masked.push_str(&text[done..]);
    Cow::Owned(masked)
}

/// Finds the e-mail addresses.
fn addresses(text: &str) -> Vec<Range<usize>> {
    ADDRESS.captures_iter(text).filter_map(|captures| address(&captures)).collect()
}

/// The range of one address, or `None` for a file name.
///
/// In `联系joe@example.com` no space parts text and name, so a name in Latin letters starts after the
/// last character of a script without spaces.
fn address(captures: &Captures<'_>) -> Option<Range<usize>> {
    let ending = captures.name("ending").map_or("", |ending| ending.as_str());
    if FILES.iter().any(|file| ending.eq_ignore_ascii_case(file)) {
        return None;
    }
    let whole = captures.get_match().range();
    let Some(name) = captures.name("name").filter(|name| name.start() == whole.start) else {
        return Some(whole);
    };
    let latin = name
        .as_str()
        .rfind(|c| c >= '\u{2e80}')
        .map_or(0, |at| at + name.as_str()[at..].chars().next().map_or(0, char::len_utf8));
    let start = if latin < name.len() { name.start() + latin } else { name.start() };
    Some(start..whole.end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_masked() {
        let cases = [
            ("mail joe@example.com.", "mail [email]."),
            ("<joe.o'neill+tag@mail.example.co.uk>", "<[email]>"),
            ("mailto:joe@example.com?subject=hi", "[email]?subject=hi"),
            ("joe%40example.com", "[email]"),
            ("a_b-c@xn--bcher-kva.example, x", "[email], x"),
            ("jürgen@bücher.de; иван@пример.рф", "[email]; [email]"),
            ("联系我们joe@example.com谢谢", "联系我们[email]谢谢"),
            ("用户@例子.广告", "[email]"),
            (r#""joe"@example.com joe@[192.168.0.1]"#, "[email] [email]"),
            ("joe (at) example (dot) com now", "[email] now"),
            ("joe [at] mail [dot] example [dot] org", "[email]"),
            ("joe(at)example.com, jane{at}example.com", "[email], [email]"),
            ("joe@example [dot] com", "[email]"),
            ("Joe AT example DOT com", "[email]"),
            ("(joe@example.com)(jane@example.com)", "([email])([email])"),
        ];
        for (text, expected) in cases {
            assert_eq!(mask(text), expected, "{text}");
        }
    }

    #[test]
    fn other_uses_of_at_stay() {
        let cases = [
            "logo@2x.png and Icon@3X.JPG",
            "react@18.2.0",
            "follow @joe on the site",
            "medium.com/@joe.smith/post",
            "a look at polka dot dress",
            "12 roses @ 3.50",
            "[email] at example dot com",
            "lunch (at) noon",
        ];
        for text in cases {
            assert!(matches!(mask(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    /// Pieces that together make most of the awkward cases.
    fn pieced() -> impl Strategy<Value = String> {
        let piece = proptest::sample::select(vec![
            "joe",
            "@",
            "x.com",
            "[email]",
            "[phone]",
            " (at) ",
            " [dot] com",
            "\"",
            " at ",
            " dot com",
            "+44",
            "0044",
            " 20 7946 0102",
            "555-123-4567",
            "(555) ",
            "123-4567",
            "tel: ",
            "phone",
            "020 7946 0102",
            "612 345 678",
            "2024-05-06",
            "1990-2020",
            "10",
            "0",
            "978",
            " ",
            "-",
            ".",
            "/",
            ",",
            ":",
            "(",
            ")",
            "+",
            "€",
            "x",
            "冬",
            "é",
            "call ",
            "\n",
            " / ",
            ",50 €",
            "☎",
        ]);
        proptest::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn masking_twice_changes_nothing(text in prop_oneof![pieced(), r"\PC{0,60}".boxed()]) {
            let once = mask(&text).into_owned();
            prop_assert_eq!(&mask(&once), &once);
        }

        #[test]
        fn text_without_digits_and_at_is_borrowed(text in r"[a-z \p{Han}.,()\[\]é-]{0,60}") {
            prop_assume!(!text.contains("at"));
            prop_assert!(matches!(mask(&text), Cow::Borrowed(_)));
        }
    }
}
