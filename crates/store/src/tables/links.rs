//! `outbox/pages`: links to other hosts of the crawl, and sitemaps on other hosts.

use arrow::datatypes::{DataType, FieldRef};
use serde::{Deserialize, Serialize};

use super::columns::{required, text};
use crate::Row;

/// A URL for the next round of whoever owns its host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OutboxLink {
    /// Where it leads.
    pub url: String,
    /// Links from a seed to there.
    pub depth: u32,
    /// Whether it is a sitemap, and the depth that of the pages in it.
    pub is_sitemap: bool,
}

impl Row for OutboxLink {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("url"),
            required("depth", DataType::UInt32),
            required("is_sitemap", DataType::Boolean),
        ]
    }

    fn weight(&self) -> usize {
        self.url.len() + 32
    }
}
