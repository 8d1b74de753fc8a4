//! How records become rows: the columns of every table, in one place.

pub mod columns;
mod fetch_list;
mod images;
mod links;
mod pages;
mod rejects;

pub use fetch_list::{FetchTarget, ImageUse};
pub use links::OutboxLink;
pub use pages::{PageImages, PageKey};

/// Stage 1: pages and their image references.
pub const PAGES: &str = "pages";
/// Stage 2: image references that survive the rules on the URL alone.
pub const IMAGE_USES: &str = "image_uses";
/// Stage 2: each image URL that is worth a request, once.
pub const FETCH_LIST: &str = "fetch_list";
/// Stage 2: images, features and bytes.
pub const IMAGES: &str = "images";
