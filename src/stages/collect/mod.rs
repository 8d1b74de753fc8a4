//! Stage 1, `collect`: from seed URLs, WARC files and tables of images to the table `pages`.
//!
//! [`inputs`] says which parts come of what. Part k of an [`archive`] is what the k-th WARC file
//! holds; [`tables`] are spread over parts by page.
//!
//! Hosts are spread over parts by hash. A part is crawled host by host, level by level, each level
//! sorted by URL before limits apply, so that the result does not depend on timing. A link to a host
//! of another part, or a sitemap there, goes to that part's next round through the [`outbox`].
//! [`frontier`] decides what is visited, [`visit`] visits one URL, [`host`] crawls one host,
//! [`resolve`] drops duplicates, and [`part`] commits.

mod archive;
mod frontier;
mod host;
mod inputs;
mod outbox;
mod part;
mod resolve;
mod rounds;
mod scope;
mod sitemap;
pub mod tables;
mod visit;

pub use magiclens_page as extract;

pub use inputs::{Inputs, Layout};
pub use rounds::{Seeds, run};
pub use scope::CrawlScope;
pub use visit::Visit;

/// The stage's name on the command line.
pub const STAGE: &str = "collect";
