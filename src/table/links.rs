//! `outbox/pages`: links to hosts that another part of the crawl owns.

use arrow::datatypes::{DataType, FieldRef};
use serde::{Deserialize, Serialize};

use super::columns::{required, text};
use crate::store::Row;

/// A page URL for its owner's next round.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OutboxLink {
    /// Where it leads.
    pub url: String,
    /// Links from a seed to there.
    pub depth: u32,
}

impl Row for OutboxLink {
    fn fields() -> Vec<FieldRef> {
        vec![text("url"), required("depth", DataType::UInt32)]
    }

    fn weight(&self) -> usize {
        self.url.len() + 32
    }
}
