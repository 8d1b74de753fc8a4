//! A web page and the images it refers to, as `collect` leaves them.

use serde::{Deserialize, Serialize};

/// One page that was fetched and read: a row of `pages`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The URL that answered, after redirects, without its fragment.
    pub url: String,
    /// The URL that was asked for first.
    pub requested_url: String,
    /// `<link rel=canonical>`, if the page names one.
    pub canonical_url: Option<String>,
    /// Host and unusual port, see [`super::host_key`].
    pub host: String,
    /// Public suffix + 1.
    pub domain: String,
    /// Links followed from a seed to get here.
    pub depth: u32,
    /// HTTP status of the final answer.
    pub status: u16,
    /// `<title>`, white space collapsed.
    pub title: String,
    /// `<html lang>`, else the Content-Language header: a claim, not a detection.
    pub language_hint: Option<String>,
    /// The encoding the bytes were read with (WHATWG name).
    pub charset: String,
    /// The beginning of the visible text, white space collapsed.
    pub text: String,
    /// `og:image` and `twitter:image`, absolute: a hint about the page, not a candidate of its own.
    pub og_images: Vec<String>,
    /// `rel=license` of the page.
    pub license: Option<String>,
    /// Candidates in document order.
    pub images: Vec<ImageRef>,
    /// sha256 hex of the decoded body.
    pub html_sha256: String,
    /// Length of the decoded body.
    pub html_bytes: u64,
    /// Microseconds since the epoch, UTC.
    pub fetched_at: i64,
}

/// One place on a page that shows an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageRef {
    /// The largest candidate of this place, absolute, without fragment.
    pub url: String,
    /// What the page itself shows (`src`), where that is another URL.
    pub shown_url: Option<String>,
    /// Which markup `url` came from.
    pub source: ImageSource,
    /// `alt`.
    pub alt: String,
    /// `title`.
    pub title: String,
    /// `<figcaption>` of the enclosing `<figure>`, or the caption of a definition or table.
    pub caption: String,
    /// The nearest heading before the image.
    pub heading: String,
    /// Text just before and after the image in its block.
    pub nearby_text: String,
    /// Width in CSS pixels by attribute, style or srcset descriptor.
    pub width_hint: Option<u32>,
    /// Height in CSS pixels, likewise.
    pub height_hint: Option<u32>,
    /// Index among the page's images, in document order, from 0.
    pub position: u32,
    /// `rel=license` next to the image (same figure).
    pub license: Option<String>,
}

/// The markup an image URL was taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageSource {
    /// `<img src>`.
    #[default]
    Src,
    /// `<img srcset>`.
    Srcset,
    /// `data-src`, `data-srcset`, `data-original` and their kin.
    Lazy,
    /// `<picture><source srcset>`.
    Picture,
    /// `<img>` inside `<noscript>`.
    Noscript,
    /// `<video poster>`.
    Poster,
    /// `<a href>` to an image around a thumbnail.
    Anchor,
}

impl ImageSource {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Src => "src",
            Self::Srcset => "srcset",
            Self::Lazy => "lazy",
            Self::Picture => "picture",
            Self::Noscript => "noscript",
            Self::Poster => "poster",
            Self::Anchor => "anchor",
        }
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Src,
            Self::Srcset,
            Self::Lazy,
            Self::Picture,
            Self::Noscript,
            Self::Poster,
            Self::Anchor,
        ]
        .into_iter()
        .find(|source| source.as_str() == name)
    }
}
