//! Images that occur together on a page: rows of `image_clusters`, `occurrences` and `groups`.

use serde::{Deserialize, Serialize};

use super::ImageId;

/// What an image is compared by, and where its bytes lie.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// sha256 of the original bytes.
    pub image_id: ImageId,
    /// The image that stands for all near-duplicates of this one, itself included.
    pub cluster_id: ImageId,
    /// The first 64 bits of `cluster_id`, for joins.
    pub cluster_key: i64,
    /// The part of `images` that holds it…
    pub image_part: u32,
    /// …and the row in that part.
    pub image_row: u32,
    /// Length of the bytes kept.
    pub stored_bytes: u32,
    /// Width in pixels, upright, of the original.
    pub width: u32,
    /// Height in pixels, upright, of the original.
    pub height: u32,
    /// As in [`super::Image`].
    pub phash: u64,
    /// As in [`super::Image`].
    #[serde(with = "serde_bytes")]
    pub phash256: Vec<u8>,
    /// As in [`super::Image`].
    #[serde(with = "serde_bytes")]
    pub colour_layout: Vec<u8>,
    /// As in [`super::Image`].
    pub rights: Option<String>,
}

/// One image that can be used: a row of `image_clusters`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageCluster {
    /// The URL as pages name it.
    pub url: String,
    /// As in [`Look`].
    pub cluster_key: i64,
    /// Features and cluster.
    pub look: Look,
}

/// A place where a page shows an image that counts: a row of `occurrences`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Occurrence {
    /// The page's row in the part of `pages` with this part's number.
    pub page_row: u32,
    /// Which of the page's images it is.
    pub position: u32,
    /// The URL as the page names it.
    pub image_url: String,
    /// Features and cluster.
    pub look: Look,
}

/// One image of a group, with what its page says: a row of `groups`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupImage {
    /// sha256 hex of the page's URL: one page is one group.
    pub group_id: String,
    /// Which of the page's images it is.
    pub position: u32,
    /// The page.
    pub page_url: String,
    /// Its title.
    pub page_title: String,
    /// Its registrable domain.
    pub domain: String,
    /// The language its text is written in (ISO 639), where that is clear.
    pub language: Option<String>,
    /// The image's URL as the page names it.
    pub image_url: String,
    /// `alt`.
    pub alt: String,
    /// Its caption, else its `title`.
    pub caption: String,
    /// The nearest heading before it.
    pub heading: String,
    /// Text just before and after it.
    pub nearby_text: String,
    /// Licence or rights: of the figure, of the image's metadata, or of the page.
    pub rights: Option<String>,
    /// When the page was fetched, in microseconds since the epoch, UTC.
    pub fetched_at: i64,
    /// Features and cluster.
    pub look: Look,
}
