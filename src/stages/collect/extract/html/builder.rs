//! The stack of open elements and the insertion modes: which tag opens or closes what.
//!
//! Elements go to a [`Sink`] as they open and close; nothing else is kept of them.
//! <https://html.spec.whatwg.org/#tree-construction>

use super::formatting::Formatting;
use super::tag::{self, Tag};
use super::tokenizer::{Attrs, Raw, Token, Tokenizer};

/// Elements are nested at most this deep (browsers stop at 512 too); what is deeper becomes a
/// sibling, so that no page costs more than linear time.
const MAX_DEPTH: usize = 512;
/// At this depth tables, templates and SVG stop nesting as well.
const MAX_STRUCTURE_DEPTH: usize = 2048;

/// What the reader of a page wants to hear of it.
pub trait Sink<'a> {
    /// An HTML element opened. The number comes back in [`Around`] and [`Sink::close`].
    fn open(&mut self, tag: Tag, attrs: &Attrs<'a>, around: Around) -> u32;
    /// An element that was reported as opened closed.
    fn close(&mut self, tag: Tag, node: u32);
    /// Visible text, character references unresolved unless it is `literal`.
    fn text(&mut self, text: &'a str, literal: bool);
    /// A line begins or ends here, or a whole section.
    fn boundary(&mut self, section: bool);
    /// The text of a `<title>`.
    fn title(&mut self, text: &'a str);
    /// The markup inside a `<noscript>`.
    fn noscript(&mut self, html: &'a str, around: Around);
    /// The body turned out to be a frameset: what was in it is not on the page.
    fn forget_body(&mut self);
}

/// The open elements that matter to what is inside them, by the number their sink gave them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// The nearest `<a>`.
    pub anchor: Option<u32>,
    /// The nearest `<figure>`, `<figcaption>`, `<table>`, `<caption>`, `<dt>` or `<dd>`.
    pub holder: Option<u32>,
    /// The parent, if it is a `<picture>`.
    pub picture: Option<u32>,
}

/// Reads a whole page.
pub fn read_document<'a>(html: &'a str, sink: &mut impl Sink<'a>) {
    let mut builder = Builder::new(html, sink, Around::default());
    builder.scripting = true;
    builder.run();
}

/// Reads markup as if it stood in a `<body>`, without scripting.
pub fn read_fragment<'a>(html: &'a str, sink: &mut impl Sink<'a>, around: Around) {
    let mut builder = Builder::new(html, sink, around);
    builder.stack.push(Open::phantom(Tag::Html));
    builder.mode = Mode::InBody;
    builder.run();
}

/// An insertion mode of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Initial,
    BeforeHtml,
    BeforeHead,
    InHead,
    AfterHead,
    InBody,
    InTable,
    InCaption,
    InColumnGroup,
    InTableBody,
    InRow,
    InCell,
    InTemplate,
    AfterBody,
    InFrameset,
    AfterFrameset,
}

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
    fn phantom(tag: Tag) -> Self {
        Self { tag, foreign: Foreign::No, name: "", serial: 0, node: 0 }
    }
}

/// A start or end tag on its way to the rule that fits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    pub tag: Tag,
    pub name: &'a str,
    pub self_closing: bool,
}

/// Whether a rule is through with a token or wants it processed again in the mode it set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Done,
    Again,
}

pub(super) struct Builder<'a, 's, S> {
    pub tokens: Tokenizer<'a>,
    pub sink: &'s mut S,
    pub stack: Vec<Open<'a>>,
    pub formatting: Formatting<'a>,
    pub mode: Mode,
    pub template_modes: Vec<Mode>,
    pub head_seen: bool,
    pub form: Option<u32>,
    pub frameset_ok: bool,
    pub quirks: bool,
    pub scripting: bool,
    open_paragraphs: u32,
    next_serial: u32,
    outside: Around,
}

impl<'a, 's, S: Sink<'a>> Builder<'a, 's, S> {
    fn new(html: &'a str, sink: &'s mut S, outside: Around) -> Self {
        Self {
            tokens: Tokenizer::new(html),
            sink,
            stack: Vec::with_capacity(64),
            formatting: Formatting::default(),
            mode: Mode::Initial,
            template_modes: Vec::new(),
            head_seen: false,
            form: None,
            frameset_ok: true,
            quirks: false,
            scripting: false,
            open_paragraphs: 0,
            next_serial: 1,
            outside,
        }
    }

    fn run(&mut self) {
        while let Some(token) = self.tokens.next(self.is_foreign()) {
            match token {
                Token::Text(text) => self.text(text, false),
                Token::Cdata(text) => self.text(text, true),
                Token::Start { name, self_closing } => {
                    self.start(Name { tag: Tag::of(name), name, self_closing });
                }
                Token::End { name } => {
                    self.end(Name { tag: Tag::of(name), name, self_closing: false });
                }
                Token::Doctype { modern } if self.mode == Mode::Initial => {
                    self.quirks = !modern;
                    self.mode = Mode::BeforeHtml;
                }
                Token::Doctype { .. } | Token::Comment => {}
            }
        }
        self.template_modes.clear();
        self.truncate(0);
    }

    fn start(&mut self, name: Name<'a>) {
        if self.stack.len() >= MAX_STRUCTURE_DEPTH && name.tag.is(tag::STRUCTURE) {
            return;
        }
        while self.start_once(name) == Next::Again {}
    }

    fn start_once(&mut self, name: Name<'a>) -> Next {
        if self.takes_foreign_start(name.tag) {
            return self.foreign_start(name);
        }
        self.start_in(self.mode, name)
    }

    /// Applies the rules of a mode to a start tag.
    pub(super) fn start_in(&mut self, mode: Mode, name: Name<'a>) -> Next {
        match mode {
            Mode::Initial | Mode::BeforeHtml => self.start_before_html(name),
            Mode::BeforeHead => self.start_before_head(name),
            Mode::InHead => self.start_in_head(name),
            Mode::AfterHead => self.start_after_head(name),
            Mode::InBody => self.start_in_body(name),
            Mode::InTable => self.start_in_table(name),
            Mode::InCaption => self.start_in_caption(name),
            Mode::InColumnGroup => self.start_in_column_group(name),
            Mode::InTableBody => self.start_in_table_body(name),
            Mode::InRow => self.start_in_row(name),
            Mode::InCell => self.start_in_cell(name),
            Mode::InTemplate => self.start_in_template(name),
            Mode::AfterBody => self.start_after_body(name),
            Mode::InFrameset | Mode::AfterFrameset => self.start_in_frameset(mode, name),
        }
    }

    fn end(&mut self, name: Name<'a>) {
        while self.end_once(name) == Next::Again {}
    }

    fn end_once(&mut self, name: Name<'a>) -> Next {
        if self.is_foreign() {
            return self.foreign_end(name);
        }
        self.end_in(self.mode, name)
    }

    /// Applies the rules of a mode to an end tag.
    pub(super) fn end_in(&mut self, mode: Mode, name: Name<'a>) -> Next {
        match mode {
            Mode::Initial | Mode::BeforeHtml => self.end_before_html(name),
            Mode::BeforeHead => self.end_before_head(name),
            Mode::InHead => self.end_in_head(name),
            Mode::AfterHead => self.end_after_head(name),
            Mode::InBody => self.end_in_body(name),
            Mode::InTable => self.end_in_table(name),
            Mode::InCaption => self.end_in_caption(name),
            Mode::InColumnGroup => self.end_in_column_group(name),
            Mode::InTableBody => self.end_in_table_body(name),
            Mode::InRow => self.end_in_row(name),
            Mode::InCell => self.end_in_cell(name),
            Mode::InTemplate => self.end_in_template(name),
            Mode::AfterBody => self.end_after_body(name),
            Mode::InFrameset | Mode::AfterFrameset => self.end_in_frameset(mode, name),
        }
    }

    // --- elements ---

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
    fn report(&mut self, tag: Tag) -> u32 {
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
        let mut around = Around { picture: None, ..self.outside };
        let Some(parent) = inside.last() else { return self.outside };
        if parent.tag == Tag::Picture {
            around.picture = Some(parent.node);
        }
        let find = |wanted: fn(Tag) -> bool| inside.iter().rev().find(|open| wanted(open.tag));
        if let Some(anchor) = find(|tag| tag == Tag::A) {
            around.anchor = Some(anchor.node);
        }
        if let Some(holder) = find(|tag| {
            use Tag::*;
            matches!(tag, Figure | Figcaption | Table | Caption | Dt | Dd)
        }) {
            around.holder = Some(holder.node);
        }
        around
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

    // --- questions ---

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

    // --- closing ---

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
