//! From rows that name one page to a row of `pages`: plain functions on values.

use std::collections::HashMap;

use url::Url;

use super::rows::TableRow;
use crate::config::Crawl;
use crate::record::{ImageRef, Page, Reason, Reject, host_key, registrable_domain};

/// Characters of alternative text that stand for a page's text.
const MAX_TEXT: usize = 2000;

/// A page with the one image of a row, or what is wrong with the row.
pub(super) fn page_of(row: TableRow, crawl: &Crawl) -> Result<Page, Reject> {
    let url = web_url(&row.page_url, None, crawl)
        .map_err(|(reason, detail)| Reject::new(row.page_url.as_str(), reason, detail))?;
    let image = web_url(&row.image_url, Some(&url), crawl).map_err(|(reason, detail)| {
        let page_url = url.to_string();
        Reject { page_url, ..Reject::new(row.image_url.as_str(), reason, detail) }
    })?;
    let image = ImageRef {
        url: image.into(),
        alt: row.alt.split_whitespace().collect::<Vec<_>>().join(" "),
        width_hint: row.width,
        height_hint: row.height,
        ..ImageRef::default()
    };
    Ok(Page {
        requested_url: url.to_string(),
        host: host_key(&url),
        domain: registrable_domain(&url),
        url: url.into(),
        title: row.title.split_whitespace().collect::<Vec<_>>().join(" "),
        images: vec![image],
        ..Page::default()
    })
}

fn web_url(text: &str, base: Option<&Url>, crawl: &Crawl) -> Result<Url, (Reason, String)> {
    let bad = |detail: String| (Reason::BadUrl, detail);
    let parsed = match base {
        Some(base) if !text.trim().is_empty() => base.join(text.trim()),
        _ => Url::parse(text.trim()),
    };
    let mut url = parsed.map_err(|error| bad(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(url.scheme().to_owned()));
    }
    url.set_fragment(None);
    if url.as_str().len() > crawl.max_url_length {
        return Err((Reason::UrlTooLong, format!("{} bytes", url.as_str().len())));
    }
    Ok(url)
}

/// A page that is put together from its rows, in their order.
pub(super) struct Together {
    page: Page,
    by_url: HashMap<String, usize>,
    max_images: usize,
}

impl Together {
    /// Begins with the first row.
    pub(super) fn new(first: Page, max_images: usize) -> Self {
        let mut together = Self {
            page: Page { images: Vec::new(), ..first.clone() },
            by_url: HashMap::new(),
            max_images,
        };
        together.add(first);
        together
    }

    /// Adds a row. Of one image that comes twice the first text counts that there is.
    pub(super) fn add(&mut self, row: Page) {
        if self.page.title.is_empty() {
            self.page.title = row.title;
        }
        for image in row.images {
            match self.by_url.get(&image.url) {
                Some(&at) if self.page.images[at].alt.is_empty() => {
                    self.page.images[at].alt = image.alt;
                }
                Some(_) => {}
                None if self.page.images.len() < self.max_images => {
                    let position = self.page.images.len();
                    self.by_url.insert(image.url.clone(), position);
                    let position = u32::try_from(position).unwrap_or(u32::MAX);
                    self.page.images.push(ImageRef { position, ..image });
                }
                None => {}
            }
        }
    }

    /// The page; its text is what its images are said to show.
    pub(super) fn finish(self) -> Page {
        let alts = self.page.images.iter().map(|image| image.alt.as_str());
        let alts: Vec<&str> = alts.filter(|alt| !alt.is_empty()).collect();
        let text = alts.join(". ").chars().take(MAX_TEXT).collect();
        Page { text, ..self.page }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(page_url: &str, image_url: &str, alt: &str) -> TableRow {
        let [page_url, image_url, alt] = [page_url, image_url, alt].map(String::from);
        TableRow { page_url, image_url, alt, ..TableRow::default() }
    }

    #[test]
    fn rows_of_a_page_come_together_in_their_order() {
        let of = |image: &str, alt: &str| {
            page_of(row("http://www.a.example/x#top", image, alt), &Crawl::default()).unwrap()
        };
        let mut together = Together::new(of("1.jpg", ""), 2);
        for (image, alt) in [("/2.jpg", " a  red\nboat"), ("1.jpg", "a tree"), ("3.jpg", "cut off")]
        {
            together.add(of(image, alt));
        }
        let page = together.finish();
        assert_eq!(
            (page.url.as_str(), page.domain.as_str()),
            ("http://www.a.example/x", "a.example")
        );
        let images: Vec<_> = page.images.iter().map(|i| (i.position, &*i.url, &*i.alt)).collect();
        let expected = [
            (0, "http://www.a.example/1.jpg", "a tree"),
            (1, "http://www.a.example/2.jpg", "a red boat"),
        ];
        assert_eq!(images, expected);
        assert_eq!(page.text, "a tree. a red boat");
    }

    #[test]
    fn bad_urls_are_rejected_with_what_is_wrong() {
        let long = format!("http://a.example/{}", "x".repeat(3000));
        for (page_url, image_url, reason, url) in [
            ("", "http://a.example/1.jpg", Reason::BadUrl, ""),
            ("a.example", "http://a.example/1.jpg", Reason::BadUrl, "a.example"),
            ("ftp://a.example/", "1.jpg", Reason::BadUrl, "ftp://a.example/"),
            ("http://a.example/", "", Reason::BadUrl, ""),
            (
                "http://a.example/",
                "data:image/png;base64,x",
                Reason::BadUrl,
                "data:image/png;base64,x",
            ),
            ("http://a.example/", long.as_str(), Reason::UrlTooLong, long.as_str()),
        ] {
            let reject = page_of(row(page_url, image_url, ""), &Crawl::default()).unwrap_err();
            assert_eq!(
                (reject.reason, reject.url.as_str()),
                (reason, url),
                "{page_url} {image_url}"
            );
        }
    }
}
