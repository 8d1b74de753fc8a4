//! The visible text of a page as slices, cut out and cleaned only where somebody asks for it.

use std::borrow::Cow;

use super::html::decode_text;

/// Pieces looked at on one side of an image: no page can make that cost more.
const MAX_PIECES: usize = 96;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// As written, character references unresolved.
    Markup(&'a str),
    /// As it is.
    Literal(&'a str),
    /// Text before and after this does not run on…
    Line,
    /// …and is about something else.
    Section,
    /// An image is here.
    Image,
}

/// All visible text so far.
#[derive(Debug, Default)]
pub struct Flow<'a> {
    pieces: Vec<Piece<'a>>,
    ink: u32,
}

impl<'a> Flow<'a> {
    /// Adds text; character references are resolved later unless it is `literal`.
    pub fn text(&mut self, text: &'a str, literal: bool) {
        if text.bytes().any(|byte| !byte.is_ascii_whitespace()) {
            self.ink += 1;
        } else if !matches!(self.pieces.last(), Some(Piece::Markup(_) | Piece::Literal(_))) {
            return;
        }
        self.pieces.push(if literal { Piece::Literal(text) } else { Piece::Markup(text) });
    }

    /// Begins a line or another section.
    pub fn boundary(&mut self, section: bool) {
        let new = if section { Piece::Section } else { Piece::Line };
        match self.pieces.last_mut() {
            None | Some(Piece::Section) => {}
            Some(last @ Piece::Line) => *last = new,
            Some(_) => self.pieces.push(new),
        }
    }

    /// Notes an image and returns its place.
    pub fn image(&mut self) -> u32 {
        self.pieces.push(Piece::Image);
        self.position()
    }

    /// The place reached.
    pub fn position(&self) -> u32 {
        self.pieces.len() as u32
    }

    /// A number that grows with every text that is not blank.
    pub fn ink(&self) -> u32 {
        self.ink
    }

    /// The text between two places, at most `max` characters of it.
    pub fn between(&self, from: u32, to: u32, max: usize) -> String {
        let pieces = self.pieces.get(from as usize..to as usize);
        start_of(pieces.unwrap_or_default(), max)
    }

    /// The beginning of all text.
    pub fn beginning(&self, max: usize) -> String {
        start_of(&self.pieces, max)
    }

    /// Up to `max` characters on each side of a place. They end where another section begins (a list
    /// item, a cell…), unless this one has no text at all.
    pub fn nearby(&self, at: u32, max: usize) -> String {
        let at = (at as usize).min(self.pieces.len());
        let before = &self.pieces[at.saturating_sub(MAX_PIECES)..at];
        let after = &self.pieces[at..self.pieces.len().min(at + MAX_PIECES)];
        let is_section = |piece: &Piece| *piece == Piece::Section;
        let start = before.iter().rposition(is_section).map_or(0, |section| section + 1);
        let end = after.iter().position(is_section).unwrap_or(after.len());
        let inside = around(&before[start..], &after[..end], max);
        if inside.is_empty() { around(before, after, max) } else { inside }
    }
}

fn around(before: &[Piece], after: &[Piece], max: usize) -> String {
    let mut text = end_of(before, max);
    let after = start_of(after, max);
    if !text.is_empty() && !after.is_empty() {
        text.push(' ');
    }
    text + &after
}

fn start_of(pieces: &[Piece], max: usize) -> String {
    let mut words = Words::default();
    let mut left = max;
    // Text that turns out blank must not make this scan the page.
    for piece in pieces.iter().take(max.saturating_mul(4).saturating_add(64)) {
        // One character of text is at most 4 bytes, or some 10 of a reference.
        let budget = max.saturating_mul(10);
        let before = words.text.len();
        words.piece(*piece, |text| &text[..text.floor_char_boundary(budget)]);
        let added = words.text[before..].chars().count();
        if added >= left {
            break;
        }
        left -= added;
    }
    cap(&words.text, max).to_owned()
}

fn end_of(pieces: &[Piece], max: usize) -> String {
    let budget = max.saturating_mul(10);
    let (mut start, mut bytes) = (pieces.len(), 0);
    while start > 0 && bytes < budget {
        start -= 1;
        if let Piece::Markup(text) | Piece::Literal(text) = pieces[start] {
            bytes += text.len();
        }
    }
    let mut words = Words::default();
    for piece in &pieces[start..] {
        words.piece(*piece, |text| {
            let cut = text.ceil_char_boundary(text.len().saturating_sub(budget));
            // Half a word, and maybe half a reference.
            let cut = if cut == 0 { 0 } else { cut + text[cut..].find(' ').unwrap_or(0) };
            &text[cut..]
        });
    }
    let text = words.text;
    let Some((cut, _)) = text.char_indices().rev().nth(max) else { return text };
    let word = text[cut..].find(' ').map_or(cut, |space| cut + space);
    text[word..].trim_start().to_owned()
}

/// Text with its white space collapsed.
#[derive(Debug, Default)]
struct Words {
    text: String,
    space: bool,
}

impl Words {
    fn piece<'a>(&mut self, piece: Piece<'a>, part: impl Fn(&'a str) -> &'a str) {
        let text = match piece {
            Piece::Markup(text) => decode_text(part(text)),
            Piece::Literal(text) => Cow::Borrowed(part(text)),
            Piece::Line | Piece::Section | Piece::Image => Cow::Borrowed(" "),
        };
        self.push(&text);
    }

    fn push(&mut self, text: &str) {
        self.space |= text.starts_with(char::is_whitespace);
        for word in text.split_whitespace() {
            if self.space && !self.text.is_empty() {
                self.text.push(' ');
            }
            self.text.push_str(word);
            self.space = true;
        }
        if !text.is_empty() {
            self.space =
                text.ends_with(char::is_whitespace) || self.space && text.trim().is_empty();
        }
    }
}

/// Collapses white space and keeps at most `max` characters.
pub fn collapse(text: &str, max: usize) -> String {
    let mut words = Words::default();
    words.push(&text[..text.floor_char_boundary(max.saturating_mul(10))]);
    cap(&words.text, max).to_owned()
}

/// The first `max` characters.
fn cap(text: &str, max: usize) -> &str {
    match text.char_indices().nth(max) {
        Some((end, _)) => text[..end].trim_end(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_collapses_across_pieces() {
        let mut flow = Flow::default();
        for text in [" \n", "a ", "\tb", "c&nbsp;&amp;", "d\n"] {
            flow.text(text, false);
        }
        flow.boundary(false);
        flow.text("&lt;", true);
        assert_eq!(flow.beginning(99), "a bc &d &lt;");
        assert_eq!(flow.beginning(3), "a b");
        assert_eq!(flow.between(1, 3, 99), "bc &");
    }

    #[test]
    fn nearby_text_stays_in_its_section_while_there_is_some() {
        let mut flow = Flow::default();
        flow.text("far before", false);
        flow.boundary(true);
        flow.text("before", false);
        let image = flow.image();
        flow.text("after", false);
        flow.boundary(true);
        let lonely = flow.image();
        flow.boundary(true);
        flow.text("far after", false);
        assert_eq!(flow.nearby(image, 50), "before after");
        assert_eq!(flow.nearby(lonely, 50), "far before before after far after");
        assert_eq!(flow.nearby(lonely, 9), "after far after");
    }

    #[test]
    fn cuts_fall_between_characters() {
        let text = "é".repeat(5000);
        let mut flow = Flow::default();
        flow.text(&text, false);
        let image = flow.position();
        flow.text(&text, false);
        assert_eq!(flow.beginning(2000).chars().count(), 2000);
        assert!(flow.nearby(image, 200).chars().count() <= 402);
        assert_eq!(collapse(&text, 7), "ééééééé");
    }
}
