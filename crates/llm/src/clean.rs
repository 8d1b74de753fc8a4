//! What of a server's words may be logged and kept: one short line without a key.
//!
//! Servers echo the key they refuse, and proxies the whole request. This masks what looks like a
//! key, and rather too much than too little; it cannot know a key that looks like a word.

/// The most characters that are kept.
const LONGEST: usize = 300;
/// The most characters that are looked at; masking only ever needs the beginning.
const LOOKED_AT: usize = 4096;
/// What stands for a key.
const MASK: &str = "[key]";

/// How keys of well-known endpoints begin.
const PREFIXES: [&str; 18] = [
    "sk-", "sk_", "pk-", "rk-", "AIza", "AQ.", "ya29.", "eyJ", "gsk_", "hf_", "xai-", "nvapi-",
    "csk-", "pplx-", "fw_", "r8_", "ghp_", "tgp_",
];
/// What stands before a key, given a separator of [`SEPARATORS`].
const LABELS: [&str; 7] =
    ["api key", "api_key", "api-key", "apikey", "key provided", "access_token", "password"];
/// What may stand between a label and a key.
const SEPARATORS: [char; 6] = [' ', ':', '=', '"', '\'', '`'];
/// What ends a key.
const ENDS: [char; 16] =
    [' ', '"', '\'', '`', ',', ';', '(', ')', '[', ']', '{', '}', '<', '>', '&', '\\'];
/// A key glued to a word before it is at least this long; `task-force` is none.
const GLUED: usize = 16;
/// An unknown run of letters and digits from this length on is a key, or worth as little.
const UNKNOWN: usize = 32;

/// Makes one line of at most 300 characters of `text`, control characters out and keys masked.
pub fn clean(text: &str) -> String {
    let masked = mask(&one_line(text));
    // Masked before it is cut, so that no half of a key is left at the end.
    match masked.char_indices().nth(LONGEST) {
        None => masked,
        Some(_) => masked.chars().take(LONGEST - 1).chain(['…']).collect(),
    }
}

fn one_line(text: &str) -> String {
    let seen = text.chars().take(LOOKED_AT).filter(|char| !is_invisible(*char));
    let spaced: String = seen.map(|char| if char.is_control() { ' ' } else { char }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Marks that take no room or turn the text around: a log shows something else than is there.
fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

fn mask(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    let mut before = None;
    while let Some(char) = rest.chars().next() {
        if let Some((kept, key)) = key_at(rest, before) {
            out.push_str(&rest[..kept]);
            out.push_str(MASK);
            rest = &rest[kept + key..];
            before = None;
        } else {
            out.push(char);
            rest = &rest[char.len_utf8()..];
            before = Some(char);
        }
    }
    out
}

/// Finds a key at the beginning of `rest`: how many bytes to keep before it, and its own.
fn key_at(rest: &str, before: Option<char>) -> Option<(usize, usize)> {
    let starts = !before.is_some_and(|char| char.is_alphanumeric() || char == '_');
    prefixed(rest, starts).or_else(|| labelled(rest)).or_else(|| unknown(rest, starts))
}

fn prefixed(rest: &str, starts: bool) -> Option<(usize, usize)> {
    let prefix = PREFIXES.iter().find(|prefix| rest.starts_with(**prefix))?;
    let key = run(&rest[prefix.len()..]);
    let is_key = if starts { key > 0 } else { key >= GLUED };
    is_key.then_some((0, prefix.len() + key))
}

fn labelled(rest: &str) -> Option<(usize, usize)> {
    let is = |label: &str| {
        rest.get(..label.len()).is_some_and(|start| start.eq_ignore_ascii_case(label))
    };
    if is("bearer") {
        return separated(rest, "bearer".len(), |_| true);
    }
    if let Some(label) = ["key=", "token=", "secret="].into_iter().find(|label| is(label)) {
        return separated(rest, label.len() - 1, |_| true);
    }
    let label = LABELS.into_iter().find(|label| is(label))?;
    separated(rest, label.len(), |between| !between.trim_matches(' ').is_empty())
}

/// The key after a label of `label` bytes, where `fits` says so of what is between.
fn separated(rest: &str, label: usize, fits: fn(&str) -> bool) -> Option<(usize, usize)> {
    let after = &rest[label..];
    let between = after.len() - after.trim_start_matches(SEPARATORS).len();
    let key = run(&after[between..]);
    (between > 0 && key > 0 && fits(&after[..between])).then_some((label + between, key))
}

fn unknown(rest: &str, starts: bool) -> Option<(usize, usize)> {
    if !starts {
        return None;
    }
    let of_a_key = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let key = rest.find(|char| !of_a_key(char)).unwrap_or(rest.len());
    let key = &rest[..key];
    let has = |kind: fn(&char) -> bool| key.chars().any(|char| kind(&char));
    let random = has(char::is_ascii_digit) && has(char::is_ascii_alphabetic);
    (key.len() >= UNKNOWN && random).then_some((0, key.len()))
}

fn run(text: &str) -> usize {
    text.find(ENDS).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_masked() {
        for (text, cleaned) in [
            (
                "Incorrect API key provided: sk-proj-abc***xyz. Find",
                "Incorrect API key provided: [key] Find",
            ),
            ("Incorrect API key provided: my-own-secret", "Incorrect API key provided: [key]"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer [key]"),
            ("bearer: 'abc'", "bearer: '[key]'"),
            ("POST /v1?key=AIzaSyA-1_b&alt=json", "POST /v1?key=[key]&alt=json"),
            ("Consumer 'api_key:AIzaSyA' is suspended", "Consumer 'api_key:[key]' is suspended"),
            (r#"{"x-api-key": "abc", "n": 1}"#, r#"{"x-api-key": "[key]", "n": 1}"#),
            (r"line\nsk-abcdefghijklmnop0123", r"line\n[key]"),
            ("token ya29.a0Af_B", "token [key]"),
            ("(sk-1)", "([key])"),
            ("key 0123456789abcdef0123456789abcdef!", "key [key]!"),
        ] {
            assert_eq!(clean(text), cleaned);
        }
    }

    #[test]
    fn words_are_not() {
        for text in [
            "API key not valid. Please pass a valid API key.",
            "the task-force sits on a disk-usage desk",
            "model claude-3-5-sonnet-20241022 not found",
            "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
            "max_tokens=100 is too large",
            "[key] Bearer [key]",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn one_short_line() {
        assert_eq!(clean(" a\r\n\tb\u{0}c\u{2028}d\u{202e}e\u{1b}[31m "), "a b c de [31m");
        assert_eq!(clean(&"ä".repeat(300)), "ä".repeat(300));
        assert_eq!(clean(&"ä ".repeat(9000)).chars().count(), 300);
        assert!(clean(&format!("{} sk-abcdefgh", "ä".repeat(295))).ends_with(" [ke…"));
    }

    proptest! {
        #[test]
        fn anything_becomes_one_short_line(
            text in "\\PC{0,400}|.{0,400}|[a-zA-Z:=\" \\n-]{0,400}",
        ) {
            let once = clean(&text);
            prop_assert!(once.chars().count() <= LONGEST);
            prop_assert!(!once.contains(char::is_control));
        }

        #[test]
        fn no_key_survives(
            before in "([a-z]{0,8}[ \"'(=:\\n])?",
            prefix in prop::sample::select(PREFIXES.to_vec()),
            key in "[A-Za-z0-9_-]{6,80}",
            after in "([ \"',)}&\\n].{0,40})?",
            length in 0_usize..600,
        ) {
            let text = format!("{}{before}{prefix}{key}{after}", "x ".repeat(length / 2));
            prop_assert!(!clean(&text).contains(&key), "{}", clean(&text));
        }

        #[test]
        fn no_bearer_survives(
            key in "[A-Za-z0-9._~+/-]{7,80}",
            label in "Bearer |key=|bearer: |api_key: |API key provided: ",
        ) {
            let cleaned = clean(&format!("bad {label}{key} given"));
            prop_assert!(!cleaned.contains(&key), "{cleaned}");
        }
    }
}
