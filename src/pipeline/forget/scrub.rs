//! Erasure of forgotten data from records: plain functions on rows. Rows stay, blank, so that others keep
//! their numbers; a blank row has no URL. Each function returns true if it changed anything.

use std::collections::BTreeSet;

use arrow::datatypes::FieldRef;
use serde::{Deserialize, Serialize};

use crate::record::{Image, ImageId, ImageRef, Page, Reason, Reject, Tombstones};
use crate::stages::{collect, fetch};
use crate::store::Row;
use crate::table::{ArchivedImage, FetchTarget, ImageUse, OutboxLink};

/// Forgotten data.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    /// As `mine forget` wrote them.
    pub stones: Tombstones,
    /// URLs of images that only forgotten pages show: the images of a site are often on another host.
    pub unused: BTreeSet<String>,
}

impl Gone {
    /// Returns true if the URL of a page is forgotten.
    pub fn page(&self, url: &str) -> bool {
        self.stones.covers_url(url)
    }

    fn image_url(&self, url: &str) -> bool {
        self.stones.covers_url(url) || self.unused.contains(url)
    }

    /// Returns true if an image is forgotten, by its URLs or its id, or is blank already.
    pub fn image(&self, image: &ImageKey) -> bool {
        image.url.is_empty()
            || self.image_url(&image.url)
            || self.stones.covers_image(&image.final_url, &image.image_id)
    }

    /// Empties a URL that is one of a gone page or image.
    fn clear(&self, url: &mut String) -> bool {
        let is_gone = !url.is_empty() && self.image_url(url);
        is_gone.then(|| url.clear()).is_some()
    }

    fn clear_host(&self, host: &mut String) -> bool {
        let is_gone = !host.is_empty() && self.stones.covers_host(host);
        is_gone.then(|| host.clear()).is_some()
    }
}

/// The columns of `pages` that say whether there is anything to take out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PageLinks {
    url: String,
    requested_url: String,
    canonical_url: Option<String>,
    og_images: Vec<String>,
    images: Vec<ImageRef>,
}

impl Row for PageLinks {
    fn fields() -> Vec<FieldRef> {
        let names = ["url", "requested_url", "canonical_url", "og_images", "images"];
        Page::fields().into_iter().filter(|field| names.contains(&field.name().as_str())).collect()
    }

    fn weight(&self) -> usize {
        256
    }
}

impl PageLinks {
    /// Returns true if [`page`] would change the page.
    pub fn is_hit(&self, gone: &Gone) -> bool {
        let Self { url, requested_url, canonical_url, og_images, images } = self.clone();
        page(
            &mut Page { url, requested_url, canonical_url, og_images, images, ..Page::default() },
            gone,
        )
    }
}

/// The columns of `images` that say which image it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ImageKey {
    /// As in [`Image`].
    pub image_id: ImageId,
    /// As in [`Image`].
    pub url: String,
    /// As in [`Image`].
    pub final_url: String,
    /// As in [`Image`].
    pub page_url: String,
}

impl Row for ImageKey {
    fn fields() -> Vec<FieldRef> {
        let names = ["image_id", "url", "final_url", "page_url"];
        Image::fields().into_iter().filter(|field| names.contains(&field.name().as_str())).collect()
    }

    fn weight(&self) -> usize {
        256
    }
}

impl ImageKey {
    fn of(image: &Image) -> Self {
        let Image { image_id, url, final_url, page_url, .. } = image;
        let (url, final_url) = (url.clone(), final_url.clone());
        Self { image_id: image_id.clone(), url, final_url, page_url: page_url.clone() }
    }

    /// Returns true if [`image`] would change the image; it never changes a blank one.
    pub fn is_hit(&self, gone: &Gone) -> bool {
        !self.url.is_empty() && (gone.image(self) || gone.page(&self.page_url))
    }
}

/// Blanks a gone page, and what other pages say of gone URLs.
pub fn page(page: &mut Page, gone: &Gone) -> bool {
    if gone.page(&page.url) || gone.page(&page.requested_url) {
        let (mut host, mut domain) = (page.host.clone(), page.domain.clone());
        gone.clear_host(&mut host);
        // Where only some of its pages are gone, a site keeps their number.
        gone.clear_host(&mut domain);
        *page = Page { host, domain, ..Page::default() };
        return true;
    }
    let mut changed = false;
    for image in &mut page.images {
        let shown = image.shown_url.as_ref().is_some_and(|url| gone.page(url));
        if shown || gone.page(&image.url) {
            *image = ImageRef { position: image.position, ..ImageRef::default() };
            changed = true;
        }
    }
    let links = page.og_images.len();
    page.og_images.retain(|url| !gone.page(url));
    changed |= page.og_images.len() < links;
    changed | page.canonical_url.take_if(|url| gone.page(url)).is_some()
}

/// Blanks a gone image: bytes, features, rights and where it was found.
pub fn image(image: &mut Image, gone: &Gone) -> bool {
    let key = ImageKey::of(image);
    if !key.is_hit(gone) {
        return false;
    }
    if gone.image(&key) {
        image.bytes.clear();
        (image.stored_bytes, image.phash, image.entropy) = (0, 0, 0.0);
        image.phash256 = [0; 32];
        image.colour_layout.fill(0);
        image.rights = None;
        image.url.clear();
        image.final_url.clear();
        image.page_url.clear();
        gone.clear_host(&mut image.host);
    }
    if gone.page(&image.page_url) {
        image.page_url.clear();
    }
    true
}

/// Blanks a use of a gone image, or on a gone page: it then joins nothing.
pub fn image_use(row: &mut ImageUse, gone: &Gone) -> bool {
    let is_gone = gone.page(&row.page_url) || gone.image_url(&row.image_url);
    if is_gone {
        row.page_url.clear();
        row.image_url.clear();
        gone.clear_host(&mut row.domain);
        gone.clear_host(&mut row.host);
    }
    is_gone
}

/// Blanks a request that was made for a gone image.
pub fn target(row: &mut FetchTarget, gone: &Gone) -> bool {
    let image = gone.clear(&mut row.image_url);
    let page = gone.clear(&mut row.page_url);
    let host = gone.clear_host(&mut row.host);
    if image {
        row.archived = None;
    }
    image | page | host
}

/// Blanks what names a gone image in an archive.
pub fn archived(row: &mut ArchivedImage, gone: &Gone) -> bool {
    gone.clear(&mut row.url)
}

/// Blanks a reject of a gone URL, or of what a gone page led to: no more than its reason is left.
pub fn reject(row: &mut Reject, gone: &Gone) -> bool {
    let names = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '/');
        gone.image_url(word) || gone.stones.covers_host(word)
    };
    let is_gone = gone.image_url(&row.url) || gone.page(&row.page_url);
    if is_gone {
        row.url.clear();
        row.page_url.clear();
    }
    let changed = is_gone || row.detail.split_whitespace().any(names);
    if changed {
        row.detail.clear();
    }
    changed
}

/// Blanks a link to a gone page.
pub fn link(row: &mut OutboxLink, gone: &Gone) -> bool {
    gone.clear(&mut row.url)
}

/// Makes a reject of the visit of a gone page, in work that is not committed. Its key stays: it is what
/// keeps it from being asked for again.
pub fn visit(row: &mut collect::Visit, gone: &Gone) -> bool {
    let links = row.links.len();
    row.links.retain(|url| !gone.page(url));
    let mut changed = row.links.len() < links;
    if let Some(of) = &mut row.page
        && page(of, gone)
    {
        changed = true;
        if of.url.is_empty() {
            row.page = None;
            row.reject = Some(Reject::new(row.key.as_str(), Reason::Forgotten, ""));
        }
    }
    if let Some(of) = &mut row.image
        && archived(of, gone)
    {
        changed = true;
        row.image = None;
        row.reject = Some(Reject::new(row.key.as_str(), Reason::Forgotten, ""));
    }
    changed
}

/// The same for a gone image.
pub fn outcome(row: &mut fetch::Outcome, gone: &Gone) -> bool {
    let changed = row.image.as_mut().is_some_and(|of| image(of, gone));
    if row.image.as_ref().is_some_and(|of| of.url.is_empty()) {
        row.image = None;
        row.reject = Some(Reject::new(row.key.as_str(), Reason::Forgotten, ""));
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone() -> Gone {
        let domains = ["gone.example".to_owned()].into();
        let stones = Tombstones { domains, ..Tombstones::default() };
        Gone { stones, unused: ["http://cdn.example/1.jpg".to_owned()].into() }
    }

    fn shows(url: &str, position: u32) -> ImageRef {
        ImageRef { url: url.into(), alt: "a boat".into(), position, ..ImageRef::default() }
    }

    #[test]
    fn a_gone_page_is_blank_and_others_lose_their_links_to_it() {
        let images =
            vec![shows("http://img.gone.example/1.jpg", 0), shows("http://a.example/2.jpg", 1)];
        let stays = Page {
            url: "http://a.example/".into(),
            canonical_url: Some("http://gone.example/".into()),
            og_images: vec!["http://gone.example/og.jpg".into()],
            images,
            ..Page::default()
        };
        let mut changed = stays.clone();
        assert!(page(&mut changed, &gone()));
        let only = |position| ImageRef { position, ..ImageRef::default() };
        assert_eq!(changed.images, [only(0), shows("http://a.example/2.jpg", 1)]);
        assert_eq!((&changed.canonical_url, changed.og_images.len()), (&None, 0));
        assert!(!page(&mut changed, &gone()), "nothing is left to take out");

        let url = "http://www.gone.example/x".to_owned();
        let host = "www.gone.example".to_owned();
        let mut page_of_it = Page { url, host, text: "secret".into(), ..stays };
        assert!(page(&mut page_of_it, &gone()));
        assert_eq!(page_of_it, Page::default());
    }

    #[test]
    fn a_reject_of_a_gone_page_keeps_its_reason_alone() {
        let reject = |url: &str, page_url: &str, detail: &str| {
            let mut row = Reject {
                page_url: page_url.into(),
                ..Reject::new(url, Reason::TooSimilar, detail)
            };
            let changed = reject(&mut row, &gone());
            (changed, row.url, row.page_url, row.detail)
        };
        let blank = || (true, String::new(), String::new(), String::new());
        assert_eq!(reject("http://ads.example/1.png", "http://gone.example/", "x"), blank());
        assert_eq!(reject("http://cdn.example/1.jpg", "", "visual 0.99"), blank());
        let detail = "http://gone.example/2.jpg visual 0.1";
        let (changed, url, _, detail) =
            reject("http://a.example/1.jpg", "http://a.example/", detail);
        assert_eq!((changed, &*url, &*detail), (true, "http://a.example/1.jpg", ""));
        assert!(!reject("http://a.example/1.jpg", "http://a.example/", "404").0);
    }
}
