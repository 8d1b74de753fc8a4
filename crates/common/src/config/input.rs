//! `[archive]` and `[tables]`: input that is not crawled.

use serde::{Deserialize, Serialize};

/// `[archive]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Archive {
    /// URL or folder that relative lines of a list of WARC files belong to; empty = the list's folder.
    pub base: String,
    /// Hosts whose pages are taken, with all hosts below them; all where none is named.
    pub hosts: Vec<String>,
    /// A page whose bytes hold fewer image tags than this is not read; 0 = all pages are.
    pub min_image_tags: usize,
}

impl Default for Archive {
    fn default() -> Self {
        Self { base: String::new(), hosts: Vec::new(), min_image_tags: 2 }
    }
}

/// `[tables]`: what the columns of a table of images are called. Only the first two must be there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tables {
    /// URL of the page that shows the image.
    pub page_url: String,
    /// URL of the image.
    pub image_url: String,
    /// What the page says that it shows.
    pub alt: String,
    /// The page's title.
    pub title: String,
    /// Width in pixels.
    pub width: String,
    /// Height in pixels.
    pub height: String,
}

impl Default for Tables {
    fn default() -> Self {
        let [page_url, image_url, alt, title, width, height] =
            ["page_url", "image_url", "alt", "title", "width", "height"].map(String::from);
        Self { page_url, image_url, alt, title, width, height }
    }
}
