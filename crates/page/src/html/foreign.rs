//! SVG and MathML inside HTML: what stays in them and which HTML tags end them.
//!
//! <https://html.spec.whatwg.org/#parsing-main-inforeign>

use super::builder::{Builder, Name, Next, Sink};
use super::stack::{Foreign, Open};
use super::tag::{self, Tag};

impl<'a, S: Sink<'a>> Builder<'a, '_, S> {
    /// Whether the current element is not HTML.
    #[inline]
    pub(super) fn is_foreign(&self) -> bool {
        self.current() == Tag::Foreign
    }

    fn current_foreign(&self) -> Foreign {
        self.stack.last().map_or(Foreign::No, |open| open.foreign)
    }

    /// Whether the foreign rules take a start tag here.
    pub(super) fn takes_foreign_start(&self, tag: Tag) -> bool {
        match self.current_foreign() {
            Foreign::No | Foreign::SvgHtml => false,
            Foreign::MathText => matches!(tag, Tag::Mglyph | Tag::Malignmark),
            Foreign::Annotation(html) => tag != Tag::Svg && !html,
            Foreign::Svg | Foreign::Math => true,
        }
    }

    /// Whether text here is part of a drawing or formula.
    pub(super) fn takes_foreign_text(&self) -> bool {
        matches!(self.current_foreign(), Foreign::Svg | Foreign::Math | Foreign::Annotation(false))
    }

    /// `<svg>` or `<math>`.
    pub(super) fn enter_foreign(&mut self, name: Name<'a>) {
        let kind = if name.tag == Tag::Svg { Foreign::Svg } else { Foreign::Math };
        self.push_foreign(name, kind);
    }

    fn push_foreign(&mut self, name: Name<'a>, kind: Foreign) {
        if name.self_closing || self.stack.len() >= 1024 {
            return;
        }
        let serial = self.serial();
        self.push(Open { tag: Tag::Foreign, foreign: kind, name: name.name, serial, node: 0 });
    }

    pub(super) fn foreign_start(&mut self, name: Name<'a>) -> Next {
        let font = name.tag == Tag::Font
            && ["color", "face", "size"].iter().any(|name| self.tokens.attrs.raw(name).is_some());
        if name.tag.is(tag::BREAKOUT) || font {
            self.leave_foreign();
            return self.start_in(self.mode, name);
        }
        let svg = matches!(self.current_foreign(), Foreign::Svg | Foreign::SvgHtml);
        let kind = match name.tag {
            Tag::ForeignObject | Tag::Desc | Tag::Title if svg => Foreign::SvgHtml,
            _ if svg => Foreign::Svg,
            Tag::Mi | Tag::Mo | Tag::Mn | Tag::Ms | Tag::Mtext => Foreign::MathText,
            Tag::AnnotationXml => Foreign::Annotation(self.holds_html()),
            _ => Foreign::Math,
        };
        self.push_foreign(name, kind);
        Next::Done
    }

    fn holds_html(&self) -> bool {
        self.tokens.attrs.get("encoding").is_some_and(|encoding| {
            encoding.eq_ignore_ascii_case("text/html")
                || encoding.eq_ignore_ascii_case("application/xhtml+xml")
        })
    }

    fn leave_foreign(&mut self) {
        while matches!(
            self.current_foreign(),
            Foreign::Svg | Foreign::Math | Foreign::Annotation(_)
        ) {
            self.pop();
        }
    }

    pub(super) fn foreign_end(&mut self, name: Name<'a>) -> Next {
        if matches!(name.tag, Tag::P | Tag::Br) {
            self.leave_foreign();
            return self.end_in(self.mode, name);
        }
        for at in (1..self.stack.len()).rev() {
            if self.stack[at].tag != Tag::Foreign {
                return self.end_in(self.mode, name);
            }
            if self.stack[at].name.eq_ignore_ascii_case(name.name) {
                self.truncate(at);
                return Next::Done;
            }
        }
        Next::Done
    }
}
