//! Pages out of WARC files: part k of `pages` is what the k-th file holds.
//!
//! [`read`] goes through a file and decides what needs no HTML, [`page`] makes a page of an answer by
//! the same extraction and the same opt-outs as a crawl, [`part`] keeps, resumes and commits. Nothing
//! is asked of any host. Images that lie in the files are noted in `archived_images`, where `fetch`
//! finds them.

mod page;
mod part;
mod read;
mod rules;

pub(super) use part::ArchivePart;
pub(super) use rules::Rules;
