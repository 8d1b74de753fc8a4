//! From the bytes of a page to what the crawl and the `pages` table need of it.
//!
//! A plain function on values: no I/O, no clock, time linear in the length of the page. The images
//! found are those that a browser's DOM has, and besides those inside `<noscript>`.
#![forbid(unsafe_code)]

mod charset;
mod finish;
mod flow;
mod html;
mod page;
mod place;
mod scan;
pub mod srcset;

#[cfg(test)]
mod tests;

use url::Url;

use magiclens_core::ImageRef;

pub use charset::label_in;
pub use scan::may_hold_images;

/// What one page may fill, so that no page can fill memory. Texts are measured in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Image references kept.
    pub max_images: usize,
    /// Links kept.
    pub max_links: usize,
    /// Bytes of a URL; longer ones are dropped.
    pub max_url_length: usize,
    /// The page's title.
    pub max_title: usize,
    /// The beginning of the visible text.
    pub max_text: usize,
    /// `alt` and `title` of an image.
    pub max_attribute: usize,
    /// A caption.
    pub max_caption: usize,
    /// A heading.
    pub max_heading: usize,
    /// Text on either side of an image.
    pub max_nearby: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_images: 500,
            max_links: 10_000,
            max_url_length: 2083,
            max_title: 300,
            max_text: 2000,
            max_attribute: 500,
            max_caption: 1000,
            max_heading: 300,
            max_nearby: 200,
        }
    }
}

/// What a page holds. URLs are absolute, http or https, and without fragment.
#[derive(Clone, Debug, PartialEq)]
pub struct Extracted {
    /// The encoding the bytes were read with (WHATWG name).
    pub charset: &'static str,
    /// `<title>`, white space collapsed.
    pub title: String,
    /// `<html lang>` as the page claims it.
    pub language_hint: Option<String>,
    /// What relative URLs are relative to: `<base href>`, else the page itself.
    pub base: Url,
    /// `<link rel=canonical>`.
    pub canonical: Option<Url>,
    /// `<meta>` that speaks to robots, by name in lower case: `robots`, the names of bots,
    /// `tdm-reservation`, `tdm-policy`, and any other whose content has a word such as `noai`.
    pub robots_meta: Vec<(String, String)>,
    /// `<a>` and `<area>` without `rel=nofollow`, each URL once, in document order.
    pub links: Vec<Url>,
    /// `og:image` and `twitter:image`.
    pub og_images: Vec<String>,
    /// `rel=license` outside of figures.
    pub license: Option<String>,
    /// The beginning of the visible text, white space collapsed.
    pub text: String,
    /// One reference an image URL, in document order.
    pub images: Vec<ImageRef>,
}

/// Reads a page that came from `url` with `http_charset` as the charset of its Content-Type header.
///
/// ```
/// use magiclens_page::{Limits, extract};
///
/// let html = b"<title>Parks</title><figure><img src=lake.jpg alt=Lake><figcaption>In winter";
/// let url = "https://example.org/parks/".parse()?;
/// let page = extract(html, Some("utf-8"), &url, &Limits::default());
/// let image = &page.images[0];
/// assert_eq!(page.title, "Parks");
/// assert_eq!(image.url, "https://example.org/parks/lake.jpg");
/// assert_eq!((image.alt.as_str(), image.caption.as_str()), ("Lake", "In winter"));
/// # anyhow::Ok(())
/// ```
pub fn extract(html: &[u8], http_charset: Option<&str>, url: &Url, limits: &Limits) -> Extracted {
    let (text, encoding) = charset::decode(html, http_charset, url);
    let mut page = page::Page::new(limits);
    html::read_document(&text, &mut page);
    finish::finish(&page, url, encoding.name(), limits)
}
