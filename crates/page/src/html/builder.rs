//! The insertion modes: which rules a token meets.
//!
//! Elements go to a [`Sink`] as they open and close; nothing else is kept of them.
//! <https://html.spec.whatwg.org/#tree-construction>

use super::formatting::Formatting;
use super::stack::Open;
use super::tag::{self, Tag};
use super::tokenizer::{Attrs, Token, Tokenizer};

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
    /// The body begins.
    fn begin_body(&mut self);
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
    pub open_paragraphs: u32,
    pub next_serial: u32,
    pub outside: Around,
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
}
