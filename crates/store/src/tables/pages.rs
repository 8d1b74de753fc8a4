//! `pages`.

use arrow::datatypes::{DataType, FieldRef};
use magiclens_core::{ImageRef, Page};
use serde::{Deserialize, Serialize};

use super::columns::{list, optional, required, text, time};
use crate::Row;

impl Row for Page {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("url"),
            text("requested_url"),
            optional("canonical_url", DataType::Utf8),
            text("host"),
            text("domain"),
            required("depth", DataType::UInt32),
            required("status", DataType::UInt16),
            text("title"),
            optional("language_hint", DataType::Utf8),
            text("charset"),
            text("text"),
            list("og_images", DataType::Utf8),
            optional("license", DataType::Utf8),
            images(),
            text("html_sha256"),
            required("html_bytes", DataType::UInt64),
            time("fetched_at"),
        ]
    }

    fn weight(&self) -> usize {
        let images: usize = self.images.iter().map(image_weight).sum();
        self.url.len() * 3 + self.title.len() + self.text.len() + images + 512
    }
}

fn images() -> FieldRef {
    let image = vec![
        text("url"),
        optional("shown_url", DataType::Utf8),
        text("source"),
        text("alt"),
        text("title"),
        text("caption"),
        text("heading"),
        text("nearby_text"),
        optional("width_hint", DataType::UInt32),
        optional("height_hint", DataType::UInt32),
        required("position", DataType::UInt32),
        optional("license", DataType::Utf8),
    ];
    list("images", DataType::Struct(image.into()))
}

fn image_weight(image: &ImageRef) -> usize {
    image.url.len()
        + image.alt.len()
        + image.title.len()
        + image.caption.len()
        + image.heading.len()
        + image.nearby_text.len()
        + 256
}

/// The columns of `pages` that filters and groups read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageImages {
    /// As in [`Page`].
    pub url: String,
    /// As in [`Page`].
    pub domain: String,
    /// As in [`Page`].
    pub title: String,
    /// As in [`Page`].
    pub text: String,
    /// As in [`Page`].
    pub license: Option<String>,
    /// As in [`Page`].
    pub images: Vec<ImageRef>,
    /// As in [`Page`].
    pub fetched_at: i64,
}

impl Row for PageImages {
    fn fields() -> Vec<FieldRef> {
        vec![
            text("url"),
            text("domain"),
            text("title"),
            text("text"),
            optional("license", DataType::Utf8),
            images(),
            time("fetched_at"),
        ]
    }

    fn weight(&self) -> usize {
        let images = self.images.iter().map(image_weight).sum::<usize>();
        images + self.url.len() + self.title.len() + self.text.len() + 96
    }
}

/// The columns of `pages` that tell a page from another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageKey {
    /// As in [`Page`].
    pub url: String,
    /// As in [`Page`].
    pub requested_url: String,
}

impl Row for PageKey {
    fn fields() -> Vec<FieldRef> {
        vec![text("url"), text("requested_url")]
    }

    fn weight(&self) -> usize {
        self.url.len() * 2 + 48
    }
}
