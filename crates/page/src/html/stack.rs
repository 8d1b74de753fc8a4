//! The stack of open elements: what opens, what is open, what closes with what.
//!
//! <https://html.spec.whatwg.org/#the-stack-of-open-elements>

use super::builder::{Around, Builder, Mode, Name, Sink};
use super::raw_text::Raw;
use super::tag::{self, Tag};

/// Elements are nested at most this deep (browsers stop at 512 too); what is deeper becomes a
/// sibling, so that no page costs more than linear time.
const MAX_DEPTH: usize = 512;
/// What kind of foreign element it is, where that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// Not foreign.
    No,
    Svg,
    /// `foreignObject`, `desc` and `title` of SVG: HTML inside.
    SvgHtml,
    Math,
    /// `mi` and its kin: HTML inside.
    MathText,
    /// `annotation-xml`, and whether its encoding makes it HTML inside.
    Annotation(bool),
}

/// An open element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open<'a> {
    pub tag: Tag,
    pub foreign: Foreign,
    pub name: &'a str,
    /// Tells elements of one name apart.
    pub serial: u32,
    /// The sink's number.
    pub node: u32,
}

impl Open<'_> {
    pub fn phantom(tag: Tag) -> Self {
        Self { tag, foreign: Foreign::No, name: "", serial: 0, node: 0 }
    }
}

impl<'a, S: Sink<'a>> Builder<'a, '_, S> {
    /// Opens an element.
    pub(super) fn insert(&mut self, name: Name<'a>) {
        let node = self.report(name.tag);
        if self.stack.len() >= MAX_DEPTH && !name.tag.is(tag::STRUCTURE) {
            if self.template_modes.is_empty() && name.tag.is(tag::CLOSE) {
                self.sink.close(name.tag, node);
            }
            return;
        }
        let serial = self.serial();
        let open = Open { tag: name.tag, foreign: Foreign::No, name: name.name, serial, node };
        self.push(open);
    }

    /// Opens an element that the page left out.
    pub(super) fn insert_phantom(&mut self, tag: Tag) {
        let serial = self.serial();
        self.push(Open { serial, ..Open::phantom(tag) });
    }

    /// Opens and closes an element that has no content.
    pub(super) fn insert_void(&mut self, tag: Tag) {
        self.report(tag);
    }

    /// Opens an element that has text and no markup, and reads up to behind its end.
    pub(super) fn insert_raw(&mut self, name: Name<'a>, raw: Raw) {
        let around = self.around(name.tag);
        let text = self.tokens.raw_text(name.name, raw);
        if self.template_modes.is_empty() {
            match name.tag {
                Tag::Title => self.sink.title(text),
                Tag::Noscript => self.sink.noscript(text, around),
                _ => {}
            }
        }
    }

    pub(super) fn push(&mut self, open: Open<'a>) {
        self.open_paragraphs += u32::from(open.tag == Tag::P);
        self.stack.push(open);
    }

    pub(super) fn serial(&mut self) -> u32 {
        self.next_serial += 1;
        self.next_serial
    }

    /// Tells the sink about an element, unless it is inside a template.
    pub(super) fn report(&mut self, tag: Tag) -> u32 {
        if !self.template_modes.is_empty() {
            return 0;
        }
        if tag.is(tag::LINE | tag::SECTION) {
            self.sink.boundary(tag.is(tag::SECTION));
        }
        if !tag.is(tag::OPEN) {
            return 0;
        }
        self.sink.open(tag, &self.tokens.attrs, self.around(tag))
    }

    /// What an element inserted now would be in.
    fn around(&self, tag: Tag) -> Around {
        let inside = self.insertion_point(tag);
        let Some(parent) = inside.last() else { return self.outside };
        let nearest = |wanted: fn(Tag) -> bool| {
            let found = inside.iter().rev().find(|open| wanted(open.tag));
            // Elements that began inside a template have no number.
            found.map(|open| open.node).filter(|&node| node != 0)
        };
        let holds = |tag| {
            use Tag::*;
            matches!(tag, Figure | Figcaption | Table | Caption | Dt | Dd)
        };
        let picture = (parent.tag == Tag::Picture && parent.node != 0).then_some(parent.node);
        Around {
            anchor: nearest(|tag| tag == Tag::A).or(self.outside.anchor),
            holder: nearest(holds).or(self.outside.holder),
            picture,
        }
    }

    /// The open elements around new content: what is misplaced in a table goes before the table.
    fn insertion_point(&self, tag: Tag) -> &[Open<'a>] {
        if tag == Tag::Caption || !self.current().is(tag::TABLE) {
            return &self.stack;
        }
        let table = self.stack.iter().rposition(|open| open.tag == Tag::Table);
        &self.stack[..table.unwrap_or(self.stack.len())]
    }

    pub(super) fn pop(&mut self) {
        if let Some(open) = self.stack.pop() {
            self.closed(open);
        }
    }

    /// Takes an element out of the middle of the stack.
    pub(super) fn remove(&mut self, at: usize) {
        let open = self.stack.remove(at);
        self.closed(open);
    }

    pub(super) fn truncate(&mut self, len: usize) {
        while self.stack.len() > len {
            self.pop();
        }
    }

    fn closed(&mut self, open: Open<'a>) {
        self.open_paragraphs -= u32::from(open.tag == Tag::P);
        self.formatting.closed(open.tag, open.serial);
        if !self.template_modes.is_empty() {
            return;
        }
        if open.tag.is(tag::CLOSE) && open.node != 0 {
            self.sink.close(open.tag, open.node);
        }
        if open.tag.is(tag::LINE | tag::SECTION) {
            self.sink.boundary(open.tag.is(tag::SECTION));
        }
    }

    pub(super) fn current(&self) -> Tag {
        self.stack.last().map_or(Tag::Other, |open| open.tag)
    }

    pub(super) fn has_open(&self, tag: Tag) -> bool {
        self.stack.iter().any(|open| open.tag == tag)
    }

    /// Whether an element that fits is open and nothing that ends the scope is between.
    pub(super) fn scoped(&self, fits: impl Fn(&Open) -> bool, ends: impl Fn(Tag) -> bool) -> bool {
        for open in self.stack.iter().rev() {
            if fits(open) {
                return true;
            }
            let point = matches!(open.foreign, Foreign::SvgHtml | Foreign::MathText);
            if ends(open.tag) || point && ends(Tag::Applet) {
                return false;
            }
        }
        false
    }

    pub(super) fn in_scope(&self, tag: Tag) -> bool {
        self.scoped(|open| open.tag == tag, |tag| tag.is(tag::SCOPE))
    }

    pub(super) fn in_table_scope(&self, tag: Tag) -> bool {
        let ends = |tag| matches!(tag, Tag::Html | Tag::Table | Tag::Template);
        self.scoped(|open| open.tag == tag, ends)
    }

    pub(super) fn in_button_scope(&self, tag: Tag) -> bool {
        self.scoped(|open| open.tag == tag, |tag| tag.is(tag::SCOPE) || tag == Tag::Button)
    }

    /// Whether a `<p>` would be closed by a block.
    pub(super) fn paragraph_in_scope(&self) -> bool {
        self.open_paragraphs > 0 && self.in_button_scope(Tag::P)
    }

    pub(super) fn pop_implied(&mut self, except: Option<Tag>) {
        while self.current().is(tag::IMPLIED) && Some(self.current()) != except {
            self.pop();
        }
    }

    pub(super) fn pop_until(&mut self, last: impl Fn(Tag) -> bool) {
        while let Some(open) = self.stack.last().copied() {
            self.pop();
            if last(open.tag) {
                break;
            }
        }
    }

    /// Pops down to an element, which stays.
    pub(super) fn pop_to(&mut self, stays: impl Fn(Tag) -> bool) {
        while self.stack.len() > 1 && !stays(self.current()) {
            self.pop();
        }
    }

    pub(super) fn close_paragraph(&mut self) {
        if self.paragraph_in_scope() {
            self.pop_implied(Some(Tag::P));
            self.pop_until(|tag| tag == Tag::P);
        }
    }

    /// <https://html.spec.whatwg.org/#reset-the-insertion-mode-appropriately>
    pub(super) fn reset_mode(&mut self) {
        self.mode = self.mode_of_stack();
    }

    fn mode_of_stack(&self) -> Mode {
        for (at, open) in self.stack.iter().enumerate().rev() {
            return match open.tag {
                Tag::Td | Tag::Th if at > 0 => Mode::InCell,
                Tag::Tr => Mode::InRow,
                Tag::Tbody | Tag::Thead | Tag::Tfoot => Mode::InTableBody,
                Tag::Caption => Mode::InCaption,
                Tag::Colgroup => Mode::InColumnGroup,
                Tag::Table => Mode::InTable,
                Tag::Template => self.template_modes.last().copied().unwrap_or(Mode::InBody),
                Tag::Head if at > 0 => Mode::InHead,
                Tag::Body => Mode::InBody,
                Tag::Frameset => Mode::InFrameset,
                Tag::Html if !self.scripting => Mode::InBody,
                Tag::Html if self.head_seen => Mode::AfterHead,
                Tag::Html => Mode::BeforeHead,
                _ => continue,
            };
        }
        Mode::InBody
    }
}
