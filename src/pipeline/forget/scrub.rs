//! What of a record is taken out: plain functions on rows. Rows stay, blank, so that others keep their
//! numbers; a blank one has no URL. Each function says whether it changed anything.

use std::collections::BTreeSet;

use arrow::datatypes::FieldRef;
use serde::{Deserialize, Serialize};

use crate::record::{Image, ImageId, ImageRef, Page, Reason, Reject, Tombstones};
use crate::stages::{collect, fetch};
use crate::store::Row;
use crate::table::{FetchTarget, ImageUse, OutboxLink};

/// What is gone.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    /// As `mine forget` wrote them.
    pub stones: Tombstones,
    /// URLs of images that only gone pages show: a site's pictures often lie elsewhere.
    pub unused: BTreeSet<String>,
}

impl Gone {
    /// Whether the URL of a page is.
    pub fn page(&self, url: &str) -> bool {
        self.stones.covers_url(url)
    }

    fn image_url(&self, url: &str) -> bool {
        self.stones.covers_url(url) || self.unused.contains(url)
    }

    /// Whether an image is, by anything that is known of it.
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
    /// Whether [`page`] would change the page.
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

    /// Whether [`image`] would change the image; one that is blank already stays as it is.
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
    image | page | host
}

/// Blanks what a reject says of a gone URL.
pub fn reject(row: &mut Reject, gone: &Gone) -> bool {
    let mut changed = gone.clear(&mut row.url) | gone.clear(&mut row.page_url);
    let names = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '/');
        gone.image_url(word) || gone.stones.covers_host(word)
    };
    if !row.detail.is_empty() && (changed || row.detail.split_whitespace().any(names)) {
        row.detail.clear();
        changed = true;
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
