//! Text of elements that hold no markup: scripts, styles, titles, `<noscript>` and their kin.
//!
//! <https://html.spec.whatwg.org/#script-data-state>

use memchr::{memchr, memchr2};

use super::tokenizer::Tokenizer;

/// How the text of an element without markup ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw {
    /// At the first end tag of its name.
    Plain,
    /// Likewise, unless `<!-- <script>` hides it.
    Script,
}

impl<'a> Tokenizer<'a> {
    /// Reads the text of an element that holds no markup, and its end tag.
    pub fn raw_text(&mut self, name: &str, raw: Raw) -> &'a str {
        let start = self.at;
        let end = match raw {
            Raw::Plain => self.find_end(start, name),
            Raw::Script => self.find_script_end(start),
        };
        let text = &self.html[start..end.unwrap_or(self.html.len())];
        self.at = end.unwrap_or(self.html.len());
        if end.is_some() {
            self.tag(2);
        }
        text
    }

    /// Reads everything that is left.
    pub fn rest(&mut self) -> &'a str {
        let start = std::mem::replace(&mut self.at, self.html.len());
        &self.html[start..]
    }

    fn find_end(&self, mut from: usize, name: &str) -> Option<usize> {
        let bytes = self.html.as_bytes();
        loop {
            let lt = from + memchr(b'<', &bytes[from..])?;
            if is_tag(&bytes[lt + 1..], b"/", name) {
                return Some(lt);
            }
            from = lt + 1;
        }
    }

    /// <https://html.spec.whatwg.org/#script-data-escaped-state>
    fn find_script_end(&self, start: usize) -> Option<usize> {
        let bytes = self.html.as_bytes();
        // Where the text after `<!` begins, if inside one, and whether a `<script` came since.
        let mut escaped = None;
        let mut double = false;
        let mut from = start;
        loop {
            let at = from + memchr2(b'<', b'>', &bytes[from..])?;
            let after = &bytes[at + 1..];
            from = at + 1;
            if bytes[at] == b'>' {
                if escaped.is_some_and(|dashes| bytes[dashes..at].ends_with(b"--")) {
                    escaped = None;
                    double = false;
                }
            } else if is_tag(after, b"/", "script") {
                if !double {
                    return Some(at);
                }
                double = false;
            } else if escaped.is_some() && is_tag(after, b"", "script") {
                double = true;
            } else if escaped.is_none() && after.starts_with(b"!--") {
                escaped = Some(at + 2);
            }
        }
    }
}

/// Whether `prefix`, the name in any case and then the end of a name come here.
fn is_tag(bytes: &[u8], prefix: &[u8], name: &str) -> bool {
    let Some(rest) = bytes.strip_prefix(prefix) else { return false };
    rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
        && matches!(
            rest.get(name.len()),
            Some(b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' | b'/' | b'>')
        )
}

#[cfg(test)]
mod tests {
    use super::super::tokenizer::Token;
    use super::*;

    #[test]
    fn scripts_end_where_the_standard_says() {
        for (html, text) in [
            ("a</script>b", "a"),
            ("a</scriptx></SCRIPT x='>'>b", "a</scriptx>"),
            ("<!--<script></script>--></script>b", "<!--<script></script>-->"),
            ("<!--<script>--></script>b", "<!--<script>-->"),
            ("<!--</script>b", "<!--"),
            ("<!--><script></script>b", "<!--><script>"),
            ("<!--<script></script></script>b", "<!--<script></script>"),
        ] {
            let mut tokenizer = Tokenizer::new(html);
            assert_eq!(tokenizer.raw_text("script", Raw::Script), text);
            assert_eq!(tokenizer.next(false), Some(Token::Text("b")), "{html}");
        }
    }
}
