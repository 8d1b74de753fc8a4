//! `image_uses` and `fetch_list`: from image references to requests.

use arrow::datatypes::{DataType, FieldRef};
use serde::{Deserialize, Serialize};

use super::archived_images::ArchivedAt;
use super::columns::{optional, required, text};
use crate::Row;

/// One image URL on one page, after the rules that need no other page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageUse {
    /// The image.
    pub image_url: String,
    /// The page that shows it.
    pub page_url: String,
    /// The page's registrable domain.
    pub domain: String,
    /// The image's host, see [`magiclens_core::host_key`].
    pub host: String,
    /// The part of `fetch_list` and `images` that owns the image's host.
    pub part: u32,
    /// The part of `pages` that the page is in.
    pub page_part: u32,
    /// The page's row in that part.
    pub page_row: u32,
    /// Which of the page's images it is.
    pub position: u32,
}

impl Row for ImageUse {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("image_url"),
            text("page_url"),
            text("domain"),
            text("host"),
            required("part", DataType::UInt32),
            required("page_part", DataType::UInt32),
            required("page_row", DataType::UInt32),
            required("position", DataType::UInt32),
        ]
    }

    fn weight(&self) -> usize {
        self.image_url.len() + self.page_url.len() + self.domain.len() + self.host.len() + 128
    }
}

/// One image URL that is worth a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FetchTarget {
    /// The image's host: politeness is per host, so rows are sorted by it.
    pub host: String,
    /// The image.
    pub image_url: String,
    /// The first page by URL that shows it and can still give a pair.
    pub page_url: String,
    /// How many such pages show it.
    pub page_count: u32,
    /// Where an archive has it: it is read from there and not requested.
    pub archived: Option<ArchivedAt>,
}

impl Row for FetchTarget {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("host"),
            text("image_url"),
            text("page_url"),
            required("page_count", DataType::UInt32),
            optional("archived", DataType::Struct(ArchivedAt::fields().into())),
        ]
    }

    fn weight(&self) -> usize {
        let archived = self.archived.as_ref().map_or(0, |at| at.archive.len());
        self.host.len() + self.image_url.len() + self.page_url.len() + archived + 96
    }
}
