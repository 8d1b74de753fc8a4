//! Active formatting elements: `<b>`, `<a>` and their kin that are opened again in the next block
//! when they were not closed in the last.
//!
//! <https://html.spec.whatwg.org/#the-list-of-active-formatting-elements>

use super::builder::{Builder, Name, Next, Sink};
use super::stack::Open;
use super::tag::{self, Tag};

/// Entries beyond this are forgotten, oldest first: no page that means it has as many.
const MAX_ENTRIES: usize = 256;

/// One entry of the list.
#[derive(Clone, Copy, Debug)]
enum Entry<'a> {
    /// A cell, caption or object began here: what is before it is not opened again inside.
    Marker,
    Element(Element<'a>),
}

#[derive(Clone, Copy, Debug)]
struct Element<'a> {
    open: Open<'a>,
    /// The attributes as written, to tell equal elements.
    attrs: &'a str,
    /// Whether it is on the stack of open elements.
    on_stack: bool,
}

/// The list.
#[derive(Debug, Default)]
pub(super) struct Formatting<'a> {
    entries: Vec<Entry<'a>>,
}

impl<'a> Formatting<'a> {
    pub fn mark(&mut self) {
        self.entries.push(Entry::Marker);
    }

    pub fn clear_to_marker(&mut self) {
        while let Some(Entry::Element(_)) = self.entries.pop() {}
    }

    /// Notes that an element left the stack.
    #[inline]
    pub fn closed(&mut self, tag: Tag, serial: u32) {
        if is_formatting(tag)
            && let Some(element) = self.position(serial).and_then(|at| self.element(at))
        {
            element.on_stack = false;
        }
    }

    fn position(&self, serial: u32) -> Option<usize> {
        self.entries.iter().rposition(|entry| match entry {
            Entry::Marker => false,
            Entry::Element(element) => element.open.serial == serial,
        })
    }

    fn element(&mut self, at: usize) -> Option<&mut Element<'a>> {
        match self.entries.get_mut(at) {
            Some(Entry::Element(element)) => Some(element),
            _ => None,
        }
    }

    /// The entries since the last marker, newest first.
    fn recent(&self) -> impl Iterator<Item = (usize, &Element<'a>)> {
        self.entries.iter().enumerate().rev().map_while(|(at, entry)| match entry {
            Entry::Marker => None,
            Entry::Element(element) => Some((at, element)),
        })
    }

    fn find(&self, tag: Tag) -> Option<(usize, Open<'a>)> {
        let found = self.recent().find(|(_, element)| element.open.tag == tag);
        found.map(|(at, element)| (at, element.open))
    }

    /// Adds an entry; of equal ones only the last three are kept ("Noah's Ark").
    fn add(&mut self, new: Element<'a>) {
        let equal =
            |element: &Element| element.open.tag == new.open.tag && element.attrs == new.attrs;
        let (mut count, mut earliest) = (0, 0);
        for (at, _) in self.recent().filter(|(_, element)| equal(element)) {
            count += 1;
            earliest = at;
        }
        if count >= 3 {
            self.entries.remove(earliest);
        } else if self.entries.len() >= MAX_ENTRIES {
            self.entries.remove(0);
        }
        self.entries.push(Entry::Element(new));
    }

    fn remove(&mut self, serial: u32) {
        if let Some(at) = self.position(serial) {
            self.entries.remove(at);
        }
    }
}

fn is_formatting(tag: Tag) -> bool {
    use Tag::*;
    matches!(tag, A | B | Big | Code | Em | Font | I | Nobr | S | Small | Strike | Strong | Tt | U)
}

impl<'a, S: Sink<'a>> Builder<'a, '_, S> {
    /// Opens a formatting element and remembers it.
    pub(super) fn insert_formatting(&mut self, name: Name<'a>) {
        let depth = self.stack.len();
        self.insert(name);
        if self.stack.len() == depth {
            return;
        }
        let attrs = self.tokens.attrs.source();
        let open = self.stack[depth];
        self.formatting.add(Element { open, attrs, on_stack: true });
    }

    /// Opens the remembered elements again that a block has closed.
    pub(super) fn reconstruct(&mut self) {
        let closed = self.formatting.recent().take_while(|(_, element)| !element.on_stack).count();
        let from = self.formatting.entries.len() - closed;
        for at in from..from + closed {
            self.reopen(at);
        }
    }

    fn reopen(&mut self, at: usize) {
        let serial = self.serial();
        if let Some(element) = self.formatting.element(at) {
            element.open.serial = serial;
            element.on_stack = true;
            let open = element.open;
            self.push(open);
        }
    }

    /// `<a>` inside `<a>`: closes the outer one.
    pub(super) fn close_outer_anchor(&mut self, name: Name<'a>) {
        if let Some((_, anchor)) = self.formatting.find(Tag::A) {
            self.end_formatting(Name { tag: Tag::A, ..name });
            self.formatting.remove(anchor.serial);
            self.remove_serial(anchor.serial);
        }
    }

    fn remove_serial(&mut self, serial: u32) {
        if let Some(at) = self.stack.iter().rposition(|open| open.serial == serial) {
            self.remove(at);
        }
    }

    /// The adoption agency: closes a formatting element across blocks.
    /// <https://html.spec.whatwg.org/#adoption-agency-algorithm>
    pub(super) fn end_formatting(&mut self, name: Name<'a>) {
        if let Some(open) = self.stack.last()
            && open.tag == name.tag
            && self.formatting.position(open.serial).is_none()
        {
            return self.pop();
        }
        for _ in 0..8 {
            if self.adopt(name) == Next::Done {
                return;
            }
        }
    }

    fn adopt(&mut self, name: Name<'a>) -> Next {
        let Some((_, element)) = self.formatting.find(name.tag) else {
            self.end_any(name);
            return Next::Done;
        };
        let Some(at) = self.stack.iter().rposition(|open| open.serial == element.serial) else {
            self.formatting.remove(element.serial);
            return Next::Done;
        };
        if !self.scoped(|open| open.serial == element.serial, |tag| tag.is(tag::SCOPE)) {
            return Next::Done;
        }
        let block = self.stack[at..].iter().position(|open| open.tag.is(tag::SPECIAL));
        let Some(block) = block.map(|offset| at + offset) else {
            self.formatting.remove(element.serial);
            self.truncate(at);
            return Next::Done;
        };
        self.split(element, at, block);
        Next::Again
    }

    /// Closes the formatting element at `at` before the block at `block` and opens it again inside.
    fn split(&mut self, element: Open<'a>, at: usize, block: usize) {
        let block_serial = self.stack[block].serial;
        let mut after = None;
        for (count, node) in (at + 1..block).rev().enumerate() {
            let serial = self.stack[node].serial;
            match self.formatting.position(serial) {
                Some(_) if count >= 3 => {
                    self.formatting.remove(serial);
                    self.stack.remove(node);
                }
                Some(_) => {
                    let renewed = self.renew(node, serial);
                    after = after.or(Some(renewed));
                }
                None => self.remove(node),
            }
        }
        let mut renewed = element;
        renewed.serial = self.serial();
        self.replace_entry(element.serial, renewed, after);
        self.stack.remove(at);
        let block = self.stack.iter().position(|open| open.serial == block_serial);
        self.stack.insert(block.map_or(self.stack.len(), |at| at + 1), renewed);
    }

    /// Puts a copy in place of an element, on the stack and in the list.
    fn renew(&mut self, node: usize, serial: u32) -> u32 {
        let new = self.serial();
        self.stack[node].serial = new;
        if let Some(element) =
            self.formatting.position(serial).and_then(|p| self.formatting.element(p))
        {
            element.open.serial = new;
        }
        new
    }

    fn replace_entry(&mut self, old: u32, open: Open<'a>, after: Option<u32>) {
        let Some(at) = self.formatting.position(old) else { return };
        let Entry::Element(mut entry) = self.formatting.entries[at] else { return };
        entry.open = open;
        entry.on_stack = true;
        let target = after.and_then(|serial| self.formatting.position(serial));
        match target {
            None => self.formatting.entries[at] = Entry::Element(entry),
            Some(target) => {
                self.formatting.entries.insert(target + 1, Entry::Element(entry));
                self.formatting.remove(old);
            }
        }
    }
}
