//! The rules inside `<table>`.
//!
//! <https://html.spec.whatwg.org/#parsing-main-intable>

use super::builder::{Builder, Mode, Name, Next, Sink};
use super::raw_text::Raw;
use super::tag::Tag;

fn is_group(tag: Tag) -> bool {
    matches!(tag, Tag::Tbody | Tag::Tfoot | Tag::Thead)
}

fn is_cell(tag: Tag) -> bool {
    matches!(tag, Tag::Td | Tag::Th)
}

/// Tags that end a caption, cell or row before they start.
fn is_table_part(tag: Tag) -> bool {
    matches!(tag, Tag::Caption | Tag::Col | Tag::Colgroup | Tag::Tr)
        || is_group(tag)
        || is_cell(tag)
}

impl<'a, S: Sink<'a>> Builder<'a, '_, S> {
    fn pop_to_table(&mut self) {
        self.pop_to(|tag| matches!(tag, Tag::Table | Tag::Template | Tag::Html));
    }

    fn pop_to_group(&mut self) {
        self.pop_to(|tag| is_group(tag) || matches!(tag, Tag::Template | Tag::Html));
    }

    fn pop_to_row(&mut self) {
        self.pop_to(|tag| matches!(tag, Tag::Tr | Tag::Template | Tag::Html));
    }

    pub(super) fn start_in_table(&mut self, name: Name<'a>) -> Next {
        use Tag::*;
        match name.tag {
            Caption => {
                self.pop_to_table();
                self.formatting.mark();
                self.insert(name);
                self.mode = Mode::InCaption;
            }
            Colgroup => {
                self.pop_to_table();
                self.insert(name);
                self.mode = Mode::InColumnGroup;
            }
            Col => {
                self.pop_to_table();
                self.insert_phantom(Colgroup);
                self.mode = Mode::InColumnGroup;
                return Next::Again;
            }
            Tbody | Tfoot | Thead => {
                self.pop_to_table();
                self.insert(name);
                self.mode = Mode::InTableBody;
            }
            Td | Th | Tr => {
                self.pop_to_table();
                self.insert_phantom(Tbody);
                self.mode = Mode::InTableBody;
                return Next::Again;
            }
            Table => return self.end_table(Next::Again),
            Style => self.insert_raw(name, Raw::Plain),
            Script => self.insert_raw(name, Raw::Script),
            Template => return self.start_in_head(name),
            Form => {
                if !self.has_open(Template) && self.form.is_none() {
                    // It is closed at once, so no end tag will find it open.
                    self.form = Some(self.serial());
                }
            }
            Input if self.is_hidden_input() => self.insert_void(Input),
            _ => return self.start_in_body(name),
        }
        Next::Done
    }

    fn is_hidden_input(&self) -> bool {
        self.tokens.attrs.get("type").is_some_and(|kind| kind.eq_ignore_ascii_case("hidden"))
    }

    fn end_table(&mut self, next: Next) -> Next {
        if !self.in_table_scope(Tag::Table) {
            return Next::Done;
        }
        self.pop_until(|tag| tag == Tag::Table);
        self.reset_mode();
        next
    }

    pub(super) fn end_in_table(&mut self, name: Name<'a>) -> Next {
        use Tag::*;
        match name.tag {
            Table => self.end_table(Next::Done),
            Body | Caption | Col | Colgroup | Html | Tbody | Td | Tfoot | Th | Thead | Tr => {
                Next::Done
            }
            _ => self.end_in_body(name),
        }
    }

    pub(super) fn start_in_caption(&mut self, name: Name<'a>) -> Next {
        if !is_table_part(name.tag) {
            return self.start_in_body(name);
        }
        self.end_caption(Next::Again)
    }

    pub(super) fn end_in_caption(&mut self, name: Name<'a>) -> Next {
        match name.tag {
            Tag::Caption => self.end_caption(Next::Done),
            Tag::Table => self.end_caption(Next::Again),
            Tag::Body | Tag::Html => Next::Done,
            tag if is_table_part(tag) => Next::Done,
            _ => self.end_in_body(name),
        }
    }

    fn end_caption(&mut self, next: Next) -> Next {
        if !self.in_table_scope(Tag::Caption) {
            return Next::Done;
        }
        self.pop_implied(None);
        self.pop_until(|tag| tag == Tag::Caption);
        self.formatting.clear_to_marker();
        self.mode = Mode::InTable;
        next
    }

    pub(super) fn start_in_column_group(&mut self, name: Name<'a>) -> Next {
        match name.tag {
            Tag::Html => self.start_in_body(name),
            Tag::Col => Next::Done,
            Tag::Template => self.start_in_head(name),
            _ => self.leave_column_group(),
        }
    }

    pub(super) fn end_in_column_group(&mut self, name: Name<'a>) -> Next {
        match name.tag {
            Tag::Colgroup => {
                self.leave_column_group();
                Next::Done
            }
            Tag::Col => Next::Done,
            Tag::Template => self.end_in_head(name),
            _ => self.leave_column_group(),
        }
    }

    fn leave_column_group(&mut self) -> Next {
        if self.current() != Tag::Colgroup {
            return Next::Done;
        }
        self.pop();
        self.mode = Mode::InTable;
        Next::Again
    }

    pub(super) fn start_in_table_body(&mut self, name: Name<'a>) -> Next {
        match name.tag {
            Tag::Tr => {
                self.pop_to_group();
                self.insert(name);
                self.mode = Mode::InRow;
                Next::Done
            }
            tag if is_cell(tag) => {
                self.pop_to_group();
                self.insert_phantom(Tag::Tr);
                self.mode = Mode::InRow;
                Next::Again
            }
            tag if is_table_part(tag) => self.end_group(),
            _ => self.start_in_table(name),
        }
    }

    pub(super) fn end_in_table_body(&mut self, name: Name<'a>) -> Next {
        match name.tag {
            Tag::Tbody | Tag::Tfoot | Tag::Thead => {
                if self.in_table_scope(name.tag) {
                    self.end_group();
                }
                Next::Done
            }
            Tag::Table => self.end_group(),
            _ => self.end_in_table(name),
        }
    }

    fn end_group(&mut self) -> Next {
        let ends = |tag| matches!(tag, Tag::Html | Tag::Template);
        if !self.scoped(|open| is_group(open.tag) || open.tag == Tag::Table, ends) {
            return Next::Done;
        }
        self.pop_to_group();
        self.pop();
        self.mode = Mode::InTable;
        Next::Again
    }

    pub(super) fn start_in_row(&mut self, name: Name<'a>) -> Next {
        match name.tag {
            tag if is_cell(tag) => {
                self.pop_to_row();
                self.insert(name);
                self.mode = Mode::InCell;
                self.formatting.mark();
                Next::Done
            }
            tag if is_table_part(tag) => self.end_row(Next::Again),
            _ => self.start_in_table(name),
        }
    }

    pub(super) fn end_in_row(&mut self, name: Name<'a>) -> Next {
        match name.tag {
            Tag::Tr => self.end_row(Next::Done),
            Tag::Table => self.end_row(Next::Again),
            tag if is_group(tag) => {
                if self.in_table_scope(tag) {
                    self.end_row(Next::Again)
                } else {
                    Next::Done
                }
            }
            _ => self.end_in_table(name),
        }
    }

    fn end_row(&mut self, next: Next) -> Next {
        if !self.in_table_scope(Tag::Tr) {
            return Next::Done;
        }
        self.pop_to_row();
        self.pop();
        self.mode = Mode::InTableBody;
        next
    }

    pub(super) fn start_in_cell(&mut self, name: Name<'a>) -> Next {
        if !is_table_part(name.tag) {
            return self.start_in_body(name);
        }
        if !self.in_table_scope(Tag::Td) && !self.in_table_scope(Tag::Th) {
            return Next::Done;
        }
        self.close_cell()
    }

    pub(super) fn end_in_cell(&mut self, name: Name<'a>) -> Next {
        use Tag::*;
        match name.tag {
            Td | Th => {
                if self.in_table_scope(name.tag) {
                    self.pop_implied(None);
                    self.pop_until(|tag| tag == name.tag);
                    self.formatting.clear_to_marker();
                    self.mode = Mode::InRow;
                }
                Next::Done
            }
            Body | Caption | Col | Colgroup | Html => Next::Done,
            Table | Tbody | Tfoot | Thead | Tr => {
                if self.in_table_scope(name.tag) {
                    self.close_cell()
                } else {
                    Next::Done
                }
            }
            _ => self.end_in_body(name),
        }
    }

    fn close_cell(&mut self) -> Next {
        self.pop_implied(None);
        self.pop_until(is_cell);
        self.formatting.clear_to_marker();
        self.mode = Mode::InRow;
        Next::Again
    }
}
