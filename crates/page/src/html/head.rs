//! The rules before, in and after `<head>`, in templates, framesets and after the body, and text.
//!
//! <https://html.spec.whatwg.org/#the-initial-insertion-mode>

use super::builder::{Builder, Mode, Name, Next, Sink};
use super::entity::decode_text;
use super::raw_text::Raw;
use super::tag::{self, Tag};

/// Whether text is white space once its character references are resolved.
fn is_blank(text: &str, literal: bool) -> bool {
    let blank = |text: &str| text.trim_ascii().is_empty();
    match text.bytes().find(|byte| !byte.is_ascii_whitespace()) {
        None => true,
        Some(b'&') if !literal => blank(&decode_text(text)),
        Some(_) => false,
    }
}

impl<'a, S: Sink<'a>> Builder<'a, '_, S> {
    pub(super) fn text(&mut self, text: &'a str, literal: bool) {
        let mut rest = text;
        while self.before_body() {
            rest = rest.trim_ascii_start();
            if is_blank(rest, literal) {
                return;
            }
            match self.mode {
                Mode::InFrameset | Mode::AfterFrameset => return,
                Mode::AfterBody => self.mode = Mode::InBody,
                Mode::InColumnGroup if self.current() != Tag::Colgroup => return,
                Mode::InColumnGroup => {
                    self.pop();
                    self.mode = Mode::InTable;
                }
                _ => self.enter_next(),
            }
        }
        if !rest.is_empty() {
            self.body_text(rest, literal);
        }
    }

    /// Whether only white space is text in this mode.
    fn before_body(&self) -> bool {
        use Mode::*;
        let strict = matches!(
            self.mode,
            Initial
                | BeforeHtml
                | BeforeHead
                | InHead
                | AfterHead
                | InColumnGroup
                | AfterBody
                | InFrameset
                | AfterFrameset
        );
        strict && !self.takes_foreign_text()
    }

    fn body_text(&mut self, text: &'a str, literal: bool) {
        let foreign = self.takes_foreign_text();
        // Outside of SVG and MathML, NUL is as if it were not there.
        let text = if foreign { text } else { text.trim_matches('\0') };
        if text.is_empty() {
            return;
        }
        if !(foreign || self.in_bare_table() && is_blank(text, literal)) {
            self.reconstruct();
        }
        self.frameset_ok = self.frameset_ok && is_blank(text, literal);
        if !foreign && self.template_modes.is_empty() {
            self.sink.text(text, literal);
        }
    }

    /// Whether text here is misplaced unless it is white space.
    fn in_bare_table(&self) -> bool {
        matches!(self.mode, Mode::InTable | Mode::InTableBody | Mode::InRow)
            && self.current().is(tag::TABLE)
    }

    /// Opens what a page may leave out before its content.
    fn enter_next(&mut self) {
        match self.mode {
            Mode::Initial | Mode::BeforeHtml => {
                self.quirks |= self.mode == Mode::Initial;
                self.insert_phantom(Tag::Html);
                self.mode = Mode::BeforeHead;
            }
            Mode::BeforeHead => {
                self.insert_phantom(Tag::Head);
                self.head_seen = true;
                self.mode = Mode::InHead;
            }
            Mode::InHead => {
                self.pop();
                self.mode = Mode::AfterHead;
            }
            _ => {
                self.insert_phantom(Tag::Body);
                self.sink.begin_body();
                self.mode = Mode::InBody;
            }
        }
    }

    pub(super) fn start_before_html(&mut self, name: Name<'a>) -> Next {
        if name.tag != Tag::Html {
            self.enter_next();
            return Next::Again;
        }
        self.quirks |= self.mode == Mode::Initial;
        self.insert(name);
        self.mode = Mode::BeforeHead;
        Next::Done
    }

    pub(super) fn end_before_html(&mut self, name: Name<'a>) -> Next {
        self.quirks |= self.mode == Mode::Initial;
        self.mode = Mode::BeforeHtml;
        self.end_before_head(name)
    }

    pub(super) fn start_before_head(&mut self, name: Name<'a>) -> Next {
        match name.tag {
            Tag::Html => self.start_in_body(name),
            Tag::Head => {
                self.insert(name);
                self.head_seen = true;
                self.mode = Mode::InHead;
                Next::Done
            }
            _ => {
                self.enter_next();
                Next::Again
            }
        }
    }

    pub(super) fn end_before_head(&mut self, name: Name<'a>) -> Next {
        if !matches!(name.tag, Tag::Head | Tag::Body | Tag::Html | Tag::Br) {
            return Next::Done;
        }
        self.enter_next();
        Next::Again
    }

    pub(super) fn start_in_head(&mut self, name: Name<'a>) -> Next {
        match name.tag {
            Tag::Html => return self.start_in_body(name),
            Tag::Base | Tag::Basefont | Tag::Bgsound | Tag::Link | Tag::Meta => {
                self.insert_void(name.tag);
            }
            Tag::Title | Tag::Noframes | Tag::Style => self.insert_raw(name, Raw::Plain),
            Tag::Noscript if self.scripting => self.insert_raw(name, Raw::Plain),
            Tag::Script => self.insert_raw(name, Raw::Script),
            Tag::Template => self.start_template(name),
            Tag::Head => {}
            _ => {
                self.enter_next();
                return Next::Again;
            }
        }
        Next::Done
    }

    fn start_template(&mut self, name: Name<'a>) {
        self.formatting.mark();
        self.frameset_ok = false;
        self.mode = Mode::InTemplate;
        self.template_modes.push(Mode::InTemplate);
        self.insert(name);
    }

    pub(super) fn end_in_head(&mut self, name: Name<'a>) -> Next {
        match name.tag {
            Tag::Head => {
                self.pop();
                self.mode = Mode::AfterHead;
            }
            Tag::Body | Tag::Html | Tag::Br => {
                self.enter_next();
                return Next::Again;
            }
            Tag::Template => self.end_template(),
            _ => {}
        }
        Next::Done
    }

    pub(super) fn end_template(&mut self) {
        if !self.has_open(Tag::Template) {
            return;
        }
        self.pop_until(|tag| tag == Tag::Template);
        self.formatting.clear_to_marker();
        self.template_modes.pop();
        self.reset_mode();
    }

    pub(super) fn start_after_head(&mut self, name: Name<'a>) -> Next {
        use Tag::*;
        match name.tag {
            Html => self.start_in_body(name),
            Body => {
                self.insert(name);
                self.sink.begin_body();
                self.frameset_ok = false;
                self.mode = Mode::InBody;
                Next::Done
            }
            Frameset => {
                self.insert(name);
                self.mode = Mode::InFrameset;
                Next::Done
            }
            Base | Basefont | Bgsound | Link | Meta | Noframes | Script | Style | Template
            | Title => self.start_in_head(name),
            Head => Next::Done,
            _ => {
                self.enter_next();
                Next::Again
            }
        }
    }

    pub(super) fn end_after_head(&mut self, name: Name<'a>) -> Next {
        match name.tag {
            Tag::Template => self.end_template(),
            Tag::Body | Tag::Html | Tag::Br => {
                self.enter_next();
                return Next::Again;
            }
            _ => {}
        }
        Next::Done
    }

    pub(super) fn start_in_template(&mut self, name: Name<'a>) -> Next {
        use Tag::*;
        let mode = match name.tag {
            Base | Basefont | Bgsound | Link | Meta | Noframes | Script | Style | Template
            | Title => return self.start_in_head(name),
            Caption | Colgroup | Tbody | Tfoot | Thead => Mode::InTable,
            Col => Mode::InColumnGroup,
            Tr => Mode::InTableBody,
            Td | Th => Mode::InRow,
            _ => Mode::InBody,
        };
        if let Some(last) = self.template_modes.last_mut() {
            *last = mode;
        }
        self.mode = mode;
        Next::Again
    }

    pub(super) fn end_in_template(&mut self, name: Name<'a>) -> Next {
        if name.tag == Tag::Template {
            self.end_template();
        }
        Next::Done
    }

    pub(super) fn start_after_body(&mut self, name: Name<'a>) -> Next {
        if name.tag != Tag::Html {
            self.mode = Mode::InBody;
        }
        self.start_in_body(name)
    }

    pub(super) fn end_after_body(&mut self, name: Name<'a>) -> Next {
        if name.tag == Tag::Html {
            return Next::Done;
        }
        self.mode = Mode::InBody;
        Next::Again
    }

    pub(super) fn start_in_frameset(&mut self, mode: Mode, name: Name<'a>) -> Next {
        match name.tag {
            Tag::Frameset if mode == Mode::InFrameset => self.insert(name),
            Tag::Noframes => self.insert_raw(name, Raw::Plain),
            Tag::Html => return self.start_in_body(name),
            _ => {}
        }
        Next::Done
    }

    pub(super) fn end_in_frameset(&mut self, mode: Mode, name: Name<'a>) -> Next {
        if name.tag == Tag::Frameset && mode == Mode::InFrameset && self.stack.len() > 1 {
            self.pop();
            if self.current() != Tag::Frameset {
                self.mode = Mode::AfterFrameset;
            }
        }
        Next::Done
    }
}
