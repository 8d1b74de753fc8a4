//! Pages out of tables of images: rows of (page URL, image URL, alt) from crawls that others made.
//!
//! [`rows`] reads Parquet, CSV and JSON lines; [`page`] makes a page of the rows that name it. Rows of a
//! page may lie anywhere, in several files too, so [`spill`] first spreads them over parts by page URL,
//! in sorted segments on disk, and then merges each part. Nothing is asked of any host.

mod page;
mod rows;
mod spill;
#[cfg(test)]
mod tests;

pub use rows::{TableError, check, check_name};
pub(super) use spill::run;
