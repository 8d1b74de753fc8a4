//! The rules inside `<body>`.
//!
//! <https://html.spec.whatwg.org/#parsing-main-inbody>

use super::builder::{Builder, Mode, Name, Next, Sink};
use super::raw_text::Raw;
use super::tag::{self, Tag};

impl<'a, S: Sink<'a>> Builder<'a, '_, S> {
    pub(super) fn start_in_body(&mut self, name: Name<'a>) -> Next {
        use Tag::*;
        match name.tag {
            Html | Body => self.start_again(name),
            Frameset => self.start_frameset(name),
            Base | Basefont | Bgsound | Link | Meta | Noframes | Script | Style | Template
            | Title => return self.start_in_head(name),
            Address | Article | Aside | Blockquote | Center | Details | Dialog | Dir | Div | Dl
            | Fieldset | Figcaption | Figure | Footer | Header | Hgroup | Main | Menu | Nav
            | Ol | P | Search | Section | Summary | Ul => self.start_block(name),
            H1 | H2 | H3 | H4 | H5 | H6 => {
                self.close_paragraph();
                if self.current().is(tag::HEADING) {
                    self.pop();
                }
                self.insert(name);
            }
            Pre | Listing => {
                self.start_block(name);
                self.frameset_ok = false;
            }
            Form => self.start_form(name),
            Li | Dd | Dt => self.start_item(name),
            Plaintext => {
                self.start_block(name);
                let text = self.tokens.rest();
                if !text.is_empty() {
                    self.text(text, true);
                }
            }
            A => {
                self.close_outer_anchor(name);
                self.reconstruct();
                self.insert_formatting(name);
            }
            B | Big | Code | Em | Font | I | S | Small | Strike | Strong | Tt | U => {
                self.reconstruct();
                self.insert_formatting(name);
            }
            Nobr => self.start_nobr(name),
            Table => {
                if !self.quirks {
                    self.close_paragraph();
                }
                self.insert(name);
                self.frameset_ok = false;
                self.mode = Mode::InTable;
            }
            Area | Br | Embed | Img | Image | Keygen | Wbr | Input => self.start_void(name),
            Param | Source | Track => self.insert_void(name.tag),
            Caption | Col | Colgroup | Frame | Head | Tbody | Td | Tfoot | Th | Thead | Tr => {}
            _ => self.start_rest(name),
        }
        Next::Done
    }

    /// Elements that occur less often.
    fn start_rest(&mut self, name: Name<'a>) {
        use Tag::*;
        match name.tag {
            Button => {
                if self.in_scope(Button) {
                    self.pop_implied(None);
                    self.pop_until(|tag| tag == Button);
                }
                self.start_inline(name);
                self.frameset_ok = false;
            }
            Applet | Marquee | Object => {
                self.start_inline(name);
                self.formatting.mark();
                self.frameset_ok = false;
            }
            Hr => {
                self.close_paragraph();
                if self.in_scope(Select) {
                    self.pop_implied(None);
                }
                self.insert_void(Hr);
                self.frameset_ok = false;
            }
            Textarea | Iframe => {
                self.frameset_ok = false;
                self.insert_raw(name, Raw::Plain);
            }
            Xmp => {
                self.close_paragraph();
                self.reconstruct();
                self.frameset_ok = false;
                self.insert_raw(name, Raw::Plain);
            }
            Noembed => self.insert_raw(name, Raw::Plain),
            Noscript if self.scripting => self.insert_raw(name, Raw::Plain),
            Select => self.start_select(name),
            Option | Optgroup => self.start_option(name),
            Rb | Rtc | Rp | Rt => {
                if self.in_scope(Ruby) {
                    self.pop_implied(matches!(name.tag, Rp | Rt).then_some(Rtc));
                }
                self.insert(name);
            }
            Math | Svg => {
                self.reconstruct();
                self.enter_foreign(name);
            }
            _ => self.start_inline(name),
        }
    }

    fn start_inline(&mut self, name: Name<'a>) {
        self.reconstruct();
        self.insert(name);
    }

    fn start_block(&mut self, name: Name<'a>) {
        self.close_paragraph();
        self.insert(name);
    }

    /// `<html>` or `<body>` once more: only its attributes count, where they are new.
    fn start_again(&mut self, name: Name<'a>) {
        if self.has_open(Tag::Template) {
            return;
        }
        if name.tag == Tag::Html {
            self.insert_void(Tag::Html);
        } else if self.stack.get(1).is_some_and(|open| open.tag == Tag::Body) {
            self.frameset_ok = false;
        }
    }

    fn start_frameset(&mut self, name: Name<'a>) {
        if self.frameset_ok && self.stack.get(1).is_some_and(|open| open.tag == Tag::Body) {
            self.truncate(1);
            self.sink.forget_body();
            self.insert(name);
            self.mode = Mode::InFrameset;
        }
    }

    fn start_form(&mut self, name: Name<'a>) {
        let template = self.has_open(Tag::Template);
        if self.form.is_some() && !template {
            return;
        }
        self.start_block(name);
        if !template {
            self.form = self.stack.last().map(|open| open.serial);
        }
    }

    fn start_item(&mut self, name: Name<'a>) {
        self.frameset_ok = false;
        let ends = |tag: Tag| match name.tag {
            Tag::Li => tag == Tag::Li,
            _ => matches!(tag, Tag::Dd | Tag::Dt),
        };
        let passes = |tag| matches!(tag, Tag::Address | Tag::Div | Tag::P);
        let stop = |tag: Tag| ends(tag) || tag.is(tag::SPECIAL) && !passes(tag);
        let found = self.stack.iter().rev().map(|open| open.tag).find(|&tag| stop(tag));
        if let Some(tag) = found.filter(|&tag| ends(tag)) {
            self.pop_implied(Some(tag));
            self.pop_until(|other| other == tag);
        }
        self.start_block(name);
    }

    fn start_nobr(&mut self, name: Name<'a>) {
        self.reconstruct();
        if self.in_scope(Tag::Nobr) {
            self.end_formatting(name);
            self.reconstruct();
        }
        self.insert_formatting(name);
    }

    fn start_void(&mut self, name: Name<'a>) {
        let tag = if name.tag == Tag::Image { Tag::Img } else { name.tag };
        if tag == Tag::Input && self.in_scope(Tag::Select) {
            self.pop_until(|tag| tag == Tag::Select);
        }
        self.reconstruct();
        self.insert_void(tag);
        let kind = self.tokens.attrs.get("type");
        let hidden = tag == Tag::Input && kind.is_some_and(|k| k.eq_ignore_ascii_case("hidden"));
        self.frameset_ok &= hidden;
    }

    fn start_select(&mut self, name: Name<'a>) {
        if self.in_scope(Tag::Select) {
            self.pop_until(|tag| tag == Tag::Select);
        } else {
            self.start_inline(name);
            self.frameset_ok = false;
        }
    }

    fn start_option(&mut self, name: Name<'a>) {
        if self.in_scope(Tag::Select) {
            self.pop_implied((name.tag == Tag::Option).then_some(Tag::Optgroup));
        } else if self.current() == Tag::Option {
            self.pop();
        }
        self.start_inline(name);
    }

    pub(super) fn end_in_body(&mut self, name: Name<'a>) -> Next {
        use Tag::*;
        match name.tag {
            Template => self.end_template(),
            Body | Html => {
                if self.in_scope(Body) {
                    self.mode = Mode::AfterBody;
                }
            }
            Address | Article | Aside | Blockquote | Button | Center | Details | Dialog | Dir
            | Div | Dl | Fieldset | Figcaption | Figure | Footer | Header | Hgroup | Listing
            | Main | Menu | Nav | Ol | Pre | Search | Section | Select | Summary | Ul => {
                if self.in_scope(name.tag) {
                    self.pop_implied(None);
                    self.pop_until(|tag| tag == name.tag);
                }
            }
            Form => self.end_form(),
            P => {
                if self.paragraph_in_scope() {
                    self.close_paragraph();
                } else if self.template_modes.is_empty() {
                    self.sink.boundary(false);
                }
            }
            Li | Dd | Dt => self.end_item(name.tag),
            H1 | H2 | H3 | H4 | H5 | H6 => {
                let heading = |tag: Tag| tag.is(tag::HEADING);
                if self.scoped(|open| heading(open.tag), |tag| tag.is(tag::SCOPE)) {
                    self.pop_implied(None);
                    self.pop_until(heading);
                }
            }
            A | B | Big | Code | Em | Font | I | Nobr | S | Small | Strike | Strong | Tt | U => {
                self.end_formatting(name);
            }
            Applet | Marquee | Object => {
                if self.in_scope(name.tag) {
                    self.pop_implied(None);
                    self.pop_until(|tag| tag == name.tag);
                    self.formatting.clear_to_marker();
                }
            }
            Br => {
                self.reconstruct();
                self.insert_void(Br);
                self.frameset_ok = false;
            }
            _ => self.end_any(name),
        }
        Next::Done
    }

    fn end_item(&mut self, tag: Tag) {
        let list = |other| tag == Tag::Li && matches!(other, Tag::Ol | Tag::Ul);
        if self.scoped(|open| open.tag == tag, |tag| tag.is(tag::SCOPE) || list(tag)) {
            self.pop_implied(Some(tag));
            self.pop_until(|other| other == tag);
        }
    }

    fn end_form(&mut self) {
        if self.has_open(Tag::Template) {
            if self.in_scope(Tag::Form) {
                self.pop_implied(None);
                self.pop_until(|tag| tag == Tag::Form);
            }
            return;
        }
        let Some(form) = self.form.take() else { return };
        if !self.scoped(|open| open.serial == form, |tag| tag.is(tag::SCOPE)) {
            return;
        }
        self.pop_implied(None);
        if let Some(at) = self.stack.iter().rposition(|open| open.serial == form) {
            self.remove(at);
        }
    }

    /// The end tag of an element that no other rule is about.
    pub(super) fn end_any(&mut self, name: Name<'a>) {
        let same = |tag: Tag, other: &str| match name.tag {
            Tag::Other => tag == Tag::Other && other.eq_ignore_ascii_case(name.name),
            _ => tag == name.tag,
        };
        for at in (0..self.stack.len()).rev() {
            let open = self.stack[at];
            if same(open.tag, open.name) {
                self.truncate(at);
                return;
            }
            if open.tag.is(tag::SPECIAL) {
                return;
            }
        }
    }
}
