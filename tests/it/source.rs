//! Rust source as tokens, as far as the tests of the source need it: words and punctuation with their
//! lines, comments and literals left out.

use std::fs;
use std::path::{Path, PathBuf};

/// A word or one character of punctuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// From 1.
    pub line: usize,
    /// Text of it.
    pub text: String,
}

/// Every `.rs` file below `folder`, sorted; folders that are not the project's own are left out.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return files };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "libtorch"].contains(&&*name) {
            files.extend(rust_files(&path));
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The root of the package.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Splits source into tokens.
pub fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let start = at;
        at = skip(&chars, at);
        if at == start {
            at = word_end(&chars, at).max(at + 1);
            let text: String = chars[start..at].iter().collect();
            if !text.trim().is_empty() {
                tokens.push(Token { line, text });
            }
        }
        line += chars[start..at].iter().filter(|&&c| c == '\n').count();
    }
    tokens
}

fn word_end(chars: &[char], at: usize) -> usize {
    at + chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count()
}

/// The end of the comment or literal at `at`, or `at` itself where there is none.
fn skip(chars: &[char], at: usize) -> usize {
    let starts = |text: &str| chars[at..].iter().copied().take(text.len()).eq(text.chars());
    if starts("//") {
        return at + chars[at..].iter().take_while(|c| **c != '\n').count();
    }
    if starts("/*") {
        return block_comment(chars, at);
    }
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        let next = chars.get(at + prefix.len());
        starts(prefix) && (next == Some(&'"') || prefix.ends_with('r') && next == Some(&'#'))
    });
    match prefix {
        Some(prefix) if prefix.ends_with('r') => raw_string(chars, at, at + prefix.len()),
        Some(prefix) => quoted(chars, at + prefix.len(), '"'),
        None if starts("b'") => quoted(chars, at + 1, '\''),
        // 'x' and '\n' are characters, 'x without a quote after it is a lifetime.
        None if starts("'\\") || starts("'") && chars.get(at + 2) == Some(&'\'') => {
            quoted(chars, at, '\'')
        }
        None => at,
    }
}

fn block_comment(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// `at` is the opening quote.
fn quoted(chars: &[char], at: usize, quote: char) -> usize {
    let mut at = at + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// `hashes` is where the hashes begin; `r#word` is a word and not skipped.
fn raw_string(chars: &[char], start: usize, hashes: usize) -> usize {
    let count = chars[hashes..].iter().take_while(|c| **c == '#').count();
    if chars.get(hashes + count) != Some(&'"') {
        return start;
    }
    let mut end = vec!['"'];
    end.resize(count + 1, '#');
    let body = hashes + count + 1;
    let length = chars[body..].windows(end.len()).position(|window| window == end);
    length.map_or(chars.len(), |length| body + length + end.len())
}

#[test]
fn comments_and_literals_are_no_tokens() {
    let source = r####"
// a
/* b /* c */ d */ let x = "e \" f" + 'g' + '\'' + b'h' + r"i" + r#"j " k"# + br##"l"## + c"m";
fn n<'o>(p: &'o str, r#type: u8, bar: u8) { r }"####;
    let words: Vec<(usize, String)> = tokens(source)
        .into_iter()
        .filter(|token| token.text.chars().all(char::is_alphabetic))
        .map(|token| (token.line, token.text))
        .collect();
    let expected = "3 let 3 x 4 fn 4 n 4 o 4 p 4 o 4 str 4 r 4 type 4 bar 4 r";
    let got: Vec<String> = words.iter().map(|(line, word)| format!("{line} {word}")).collect();
    assert_eq!(got.join(" "), expected);
}
