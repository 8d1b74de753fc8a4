//! Text of strangers as it may be shown: on a terminal, in a log, on a page.

use std::borrow::Cow;
use std::fmt::Write;

/// Returns true for control characters and for marks that change the direction of writing
/// (<https://www.unicode.org/reports/tr9/>).
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with such characters written out, as `\u{202e}`; line ends and tabs are spaces.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => shown.push(' '),
            c if is_unseen(c) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// The same, and no more than `most` characters of it.
pub fn excerpt(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", visible(&text[..end])),
        None => visible(text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_written_out() {
        assert_eq!(
            visible("a\u{202e}b\u{1b}[31m\u{2066}\u{9b}"),
            r"a\u{202e}b\u{1b}[31m\u{2066}\u{9b}"
        );
        assert_eq!(visible("one\ntwo\tthree"), "one two three");
        for plain in ["", "Grüße, שלום, 你好 👩‍👩‍👧", "<script>"] {
            assert!(matches!(visible(plain), Cow::Borrowed(shown) if shown == plain));
        }
    }

    #[test]
    fn excerpts_end_between_characters() {
        assert_eq!(excerpt("äöü", 3), "äöü");
        assert_eq!(excerpt("äöüß", 3), "äöü…");
        assert_eq!(excerpt(&"x".repeat(1 << 20), 10), "xxxxxxxxxx…");
    }
}
