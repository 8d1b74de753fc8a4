//! Splits a page into tags and text without copying any of it.
//!
//! Character references stay as they are ([`super::decode`] resolves them where they are needed);
//! comments are skipped. <https://html.spec.whatwg.org/#tokenization>

use std::borrow::Cow;

use memchr::memchr;

use super::entity::decode;

/// What comes next on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// Text between two tags, character references unresolved.
    Text(&'a str),
    /// Text of a CDATA section, in which `&` is an ordinary character.
    Cdata(&'a str),
    /// A start tag; its attributes are in [`Tokenizer::attrs`].
    Start { name: &'a str, self_closing: bool },
    /// An end tag.
    End { name: &'a str },
    /// `<!DOCTYPE …>` and whether it is the one of today.
    Doctype { modern: bool },
    /// A comment, or what counts as one.
    Comment,
}

/// The attributes of the last start tag, in source order.
#[derive(Debug, Default)]
pub struct Attrs<'a> {
    list: Vec<(&'a str, &'a str)>,
    source: &'a str,
}

impl<'a> Attrs<'a> {
    /// The value of an attribute (named in lower case), character references resolved.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.raw(name).map(decode)
    }

    /// The value as written. The first of two attributes with one name counts.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let found = self.list.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|&(_, value)| value)
    }

    /// Reads attributes that stand for themselves, up to a `>`; also returns how far that is.
    pub fn read(text: &'a str) -> (Self, usize) {
        let mut tokenizer = Tokenizer::new(text);
        tokenizer.attributes(0);
        (tokenizer.attrs, tokenizer.at)
    }

    /// Everything between the tag's name and its `>`.
    pub(super) fn source(&self) -> &'a str {
        self.source
    }
}

/// A position on a page.
#[derive(Debug)]
pub struct Tokenizer<'a> {
    pub(super) html: &'a str,
    pub(super) at: usize,
    pub attrs: Attrs<'a>,
}

impl<'a> Tokenizer<'a> {
    pub fn new(html: &'a str) -> Self {
        Self { html, at: 0, attrs: Attrs::default() }
    }

    /// The next token; `foreign` says whether CDATA sections mean anything here.
    pub fn next(&mut self, foreign: bool) -> Option<Token<'a>> {
        loop {
            let rest = &self.html[self.at..];
            let bytes = rest.as_bytes();
            match bytes.first()? {
                b'<' => match bytes.get(1) {
                    Some(b'/') => match bytes.get(2) {
                        Some(letter) if letter.is_ascii_alphabetic() => {
                            return self.tag(2).map(|(name, _)| Token::End { name });
                        }
                        Some(b'>') => self.at += 3,
                        Some(_) => return self.bogus(2),
                        None => return self.text(2),
                    },
                    Some(letter) if letter.is_ascii_alphabetic() => {
                        return self
                            .tag(1)
                            .map(|(name, self_closing)| Token::Start { name, self_closing });
                    }
                    Some(b'!') => return self.declaration(foreign),
                    Some(b'?') => return self.bogus(1),
                    _ => return self.text(1),
                },
                _ => return self.text(0),
            }
        }
    }

    /// Reads text up to the next `<`, of which the first `skip` bytes are text in any case.
    fn text(&mut self, skip: usize) -> Option<Token<'a>> {
        let rest = &self.html[self.at..];
        let end = memchr(b'<', &rest.as_bytes()[skip..]).map_or(rest.len(), |end| skip + end);
        self.at += end;
        Some(Token::Text(&rest[..end]))
    }

    /// Skips to behind the next `>`.
    fn bogus(&mut self, skip: usize) -> Option<Token<'a>> {
        let rest = &self.html[self.at + skip..];
        self.at = match memchr(b'>', rest.as_bytes()) {
            Some(end) => self.at + skip + end + 1,
            None => self.html.len(),
        };
        Some(Token::Comment)
    }

    /// Reads what starts with `<!`.
    fn declaration(&mut self, foreign: bool) -> Option<Token<'a>> {
        let rest = &self.html[self.at + 2..];
        if rest.starts_with("--") {
            self.at += 4;
            self.skip_comment();
            return Some(Token::Comment);
        }
        if foreign && rest.starts_with("[CDATA[") {
            let body = &rest[7..];
            let end = memchr::memmem::find(body.as_bytes(), b"]]>");
            self.at = end.map_or(self.html.len(), |end| self.at + 9 + end + 3);
            return Some(Token::Cdata(&body[..end.unwrap_or(body.len())]));
        }
        if rest.as_bytes().get(..7).is_some_and(|word| word.eq_ignore_ascii_case(b"doctype")) {
            let name = rest[7..].trim_start();
            let modern = name.as_bytes().get(..4).is_some_and(|n| n.eq_ignore_ascii_case(b"html"));
            self.bogus(2)?;
            return Some(Token::Doctype { modern });
        }
        self.bogus(2)
    }

    /// Skips to behind `-->` or `--!>`; the dashes may be those that open the comment only in
    /// `<!-->` and `<!--->`.
    fn skip_comment(&mut self) {
        let start = self.at;
        let bytes = self.html.as_bytes();
        let mut from = start;
        while let Some(found) = memchr(b'>', &bytes[from..]) {
            let gt = from + found;
            let inside = &bytes[start..gt];
            if matches!(inside, b"" | b"-") || inside.ends_with(b"--") || inside.ends_with(b"--!") {
                self.at = gt + 1;
                return;
            }
            from = gt + 1;
        }
        self.at = bytes.len();
    }

    /// Reads a tag whose name starts `skip` bytes from here: its name and whether it closes itself.
    /// A tag that the page ends in is none.
    pub(super) fn tag(&mut self, skip: usize) -> Option<(&'a str, bool)> {
        let bytes = self.html.as_bytes();
        let start = self.at + skip;
        let mut at = start;
        while !matches!(
            bytes.get(at),
            None | Some(b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' | b'/' | b'>')
        ) {
            at += 1;
        }
        let name = &self.html[start..at];
        self.attributes(at).map(|self_closing| (name, self_closing))
    }

    /// Reads attributes up to behind the `>`: whether a `/` is just before it.
    fn attributes(&mut self, start: usize) -> Option<bool> {
        let bytes = self.html.as_bytes();
        let mut at = start;
        self.attrs.list.clear();
        let mut self_closing = false;
        loop {
            match bytes.get(at) {
                None => {
                    self.at = bytes.len();
                    return None;
                }
                Some(b'>') => break,
                Some(b'/') => {
                    self_closing = true;
                    at += 1;
                }
                Some(byte) if is_space(*byte) => {
                    self_closing = false;
                    at += 1;
                }
                Some(_) => {
                    self_closing = false;
                    at = self.attribute(at);
                }
            }
        }
        self.attrs.source = &self.html[start..at];
        self.at = at + 1;
        Some(self_closing)
    }

    /// Reads one attribute and returns where it ends.
    fn attribute(&mut self, start: usize) -> usize {
        let bytes = self.html.as_bytes();
        let mut at = start + 1;
        while let Some(&byte) = bytes.get(at) {
            if is_space(byte) || matches!(byte, b'/' | b'>' | b'=') {
                break;
            }
            at += 1;
        }
        let name = &self.html[start..at];
        let after_name = at;
        at = skip_space(bytes, at);
        if bytes.get(at) != Some(&b'=') {
            self.attrs.list.push((name, ""));
            return after_name;
        }
        at = skip_space(bytes, at + 1);
        let (from, to, end) = match bytes.get(at) {
            Some(&quote @ (b'"' | b'\'')) => match memchr(quote, &bytes[at + 1..]) {
                Some(len) => (at + 1, at + 1 + len, at + 2 + len),
                None => return bytes.len(),
            },
            _ => {
                let from = at;
                while bytes.get(at).is_some_and(|&byte| !is_space(byte) && byte != b'>') {
                    at += 1;
                }
                (from, at, at)
            }
        };
        self.attrs.list.push((name, &self.html[from..to]));
        end
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r' | b' ')
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|&byte| is_space(byte)) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(html: &str) -> Vec<Token<'_>> {
        let mut tokenizer = Tokenizer::new(html);
        std::iter::from_fn(|| tokenizer.next(false)).collect()
    }

    #[test]
    fn odd_markup_is_read_as_the_standard_says() {
        use Token::*;
        let start = |name| Start { name, self_closing: false };
        for (html, expected) in [
            ("a<b>c</b>", vec![Text("a"), start("b"), Text("c"), End { name: "b" }]),
            ("1 < 2 <3", vec![Text("1 "), Text("< 2 "), Text("<3")]),
            ("<", vec![Text("<")]),
            ("</", vec![Text("</")]),
            ("</>x", vec![Text("x")]),
            ("</ x>y", vec![Comment, Text("y")]),
            (
                "<!-->a<!--->b<!-- > -- > --!>c",
                vec![Comment, Text("a"), Comment, Text("b"), Comment, Text("c")],
            ),
            ("<!--a--!-->b", vec![Comment, Text("b")]),
            ("<?php a > b", vec![Comment, Text(" b")]),
            ("<![CDATA[a>b", vec![Comment, Text("b")]),
            ("<!doctype HTML>", vec![Doctype { modern: true }]),
            (
                "<br/><br / ><br/x>",
                vec![Start { name: "br", self_closing: true }, start("br"), start("br")],
            ),
            ("<a", vec![]),
            ("<a href='x", vec![]),
        ] {
            assert_eq!(tokens(html), expected, "{html}");
        }
    }

    #[test]
    fn attributes_survive_bad_quoting() {
        let mut tokenizer =
            Tokenizer::new("<img a=1 A=2 b='x\"y' c = z/ =d e=\"&lt;\" f= g='h'i=j k=>text");
        assert!(matches!(tokenizer.next(false), Some(Token::Start { name: "img", .. })));
        let get = |name| tokenizer.attrs.get(name);
        assert_eq!(get("a").as_deref(), Some("1"));
        assert_eq!(get("b").as_deref(), Some("x\"y"));
        assert_eq!(get("c").as_deref(), Some("z/"));
        assert_eq!(get("=d").as_deref(), Some(""));
        assert_eq!(get("e").as_deref(), Some("<"));
        assert_eq!(get("f").as_deref(), Some("g='h'i=j"));
        assert_eq!(get("k").as_deref(), Some(""));
        assert_eq!(tokenizer.next(false), Some(Token::Text("text")));
    }
}
