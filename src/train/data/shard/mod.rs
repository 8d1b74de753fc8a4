//! One Parquet shard on an object store: its footer, its columns, and rows of one row group.
//!
//! Knows nothing of batches or order. Shards are described in `schemas/triplet.json`; the page index
//! it relies on is that of <https://parquet.apache.org/docs/file-format/pageindex/>.

mod block;
mod columns;
mod fetch;

pub(super) use block::{Block, images, list_images, texts};
pub(super) use columns::Columns;
pub(super) use fetch::{Fetch, footer};
