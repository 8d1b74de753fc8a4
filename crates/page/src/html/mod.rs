//! A reader of HTML that keeps only what decides which elements a page has and what is around them.
//!
//! It follows the parsing algorithm of the HTML standard (tokens, open elements, active formatting
//! elements, insertion modes, foreign content) but builds no tree: elements are reported while they
//! are open, text and attributes stay slices of the page. That is what makes it several times faster
//! than a DOM; tests hold it to the DOM of html5ever. <https://html.spec.whatwg.org/#parsing>

mod body;
mod builder;
mod entity;
mod foreign;
mod formatting;
mod head;
mod raw_text;
mod stack;
mod table;
mod tag;
mod tokenizer;

pub use builder::{Around, Sink, read_document, read_fragment};
pub use entity::{decode, decode_text};
pub use tag::Tag;
pub use tokenizer::Attrs;
