//! Text of others, made fit for a prompt.
//!
//! Not a filter on meaning: a sentence that reads like an instruction stays as it is, inside the block
//! that the prompt declares to be data. <https://genai.owasp.org/llmrisk/llm01-prompt-injection/>

/// Makes a text from elsewhere fit for a prompt: one line of at most `max_chars` characters, in which
/// there is no `<`, no `>` and nothing that cannot be seen.
///
/// Every delimiter of a block and every control token of a model that [`super::Prompt`] must keep out has one
/// of these two, so they are written as `‹` and `›`.
pub fn data(text: &str, max_chars: usize) -> String {
    let mut line = String::new();
    for word in text.split(is_gap) {
        let gap = if line.is_empty() { "" } else { " " };
        let mut visible = word.chars().filter(|c| !is_invisible(*c)).map(tame).peekable();
        if visible.peek().is_some() {
            line.push_str(gap);
            line.extend(visible);
        }
        // A page may put megabytes into an attribute: what is cut off need not be cleaned.
        if line.len() / 4 > max_chars {
            break;
        }
    }
    cut(line, max_chars)
}

/// Tells whether a character parts words: white space and control characters.
fn is_gap(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// Tells whether a character shows as nothing, or turns what is around it: a way to hide text.
///
/// The joiners U+200C and U+200D stay: Persian, Hindi and emoji are written with them.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Replaces the two characters that delimiters are made of.
fn tame(c: char) -> char {
    match c {
        '<' => '‹',
        '>' => '›',
        c => c,
    }
}

/// Keeps the first characters, the last of them an ellipsis where there were more.
fn cut(mut line: String, max_chars: usize) -> String {
    let Some(last) = max_chars.checked_sub(1) else {
        return String::new();
    };
    let mut ends = line.char_indices().skip(last).map(|(at, _)| at);
    if let (Some(end), Some(_)) = (ends.next(), ends.next()) {
        line.truncate(end);
        line.truncate(line.trim_end().len());
        line.push('…');
    }
    line
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Text that tries to leave its place.
    pub fn hostile() -> impl Strategy<Value = String> {
        let piece = proptest::sample::select(vec![
            "<",
            ">",
            "/",
            "page",
            "</page>",
            "<<",
            "|",
            "\n",
            "\u{200d}",
            "\u{0}",
            " ",
            "é",
            "---user---",
            "{{",
            "<|",
            "\u{2028}",
        ]);
        let pieces = proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat());
        prop_oneof![any::<String>(), pieces]
    }

    #[test]
    fn data_is_one_visible_line() {
        let cases = [
            ("", 9, ""),
            (" \t\r\n\u{0}\u{200b} ", 9, ""),
            (" a\u{0}b\n\n c\u{2028}d ", 9, "a b c d"),
            ("re\u{202e}d bo\u{ad}at\u{e0041}\u{e0042}", 9, "red boat"),
            ("a < b -> c", 20, "a ‹ b -› c"),
            ("می\u{200c}خواهم 👩\u{200d}🚀", 20, "می\u{200c}خواهم 👩\u{200d}🚀"),
            ("Ästhetik", 8, "Ästhetik"),
            ("Ästhetik", 7, "Ästhet…"),
            ("red boat", 5, "red…"),
            ("red", 1, "…"),
            ("r", 1, "r"),
            ("red", 0, ""),
        ];
        for (text, max, expected) in cases {
            assert_eq!(data(text, max), expected, "{text:?}");
        }
        assert_eq!(data(&"ab ".repeat(1 << 20), 300).chars().count(), 300);
    }

    proptest! {
        #[test]
        fn data_never_leaves_its_line(text in hostile(), max in 0_usize..60) {
            let line = data(&text, max);
            prop_assert!(line.chars().count() <= max);
            prop_assert!(!line.contains(['<', '>']) && !line.chars().any(char::is_control));
            prop_assert_eq!(line.lines().count(), usize::from(!line.is_empty()));
            prop_assert_eq!(data(&line, max), line);
        }
    }
}
