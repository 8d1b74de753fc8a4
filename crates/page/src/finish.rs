//! Turns what was noted on a page into absolute URLs and clean, capped texts.

use std::collections::{HashMap, HashSet};

use magiclens_core::{ImageRef, ImageSource};
use url::Url;

use super::flow::collapse;
use super::html::decode;
use super::page::{Kind, Page, Place};
use super::place::is_image_file;
use super::{Extracted, Limits};

/// Words of `<meta>` that take back a permission.
const OPT_OUTS: [&str; 6] = ["noindex", "none", "noai", "noimageai", "noimageindex", "noml"];
/// Names and properties that give a page's own image.
const OG_IMAGES: [&str; 5] =
    ["og:image", "og:image:url", "og:image:secure_url", "twitter:image", "twitter:image:src"];

/// Resolves, chooses, dedupes and cleans.
pub fn finish(page: &Page, url: &Url, charset: &'static str, limits: &Limits) -> Extracted {
    let resolve = Resolver::new(page.base, url, limits);
    Extracted {
        charset,
        title: page
            .title
            .map(|title| collapse(&decode(title), limits.max_title))
            .unwrap_or_default(),
        language_hint: page.lang.map(decode).map(|l| collapse(&l, 35)).filter(|l| !l.is_empty()),
        canonical: page.canonical.and_then(|href| resolve.raw(href)),
        robots_meta: robots_meta(page),
        links: links(page, &resolve, limits),
        og_images: og_images(page, &resolve),
        license: page.license.and_then(|href| resolve.raw(href)).map(String::from),
        text: page.flow.beginning(limits.max_text),
        images: images(page, &resolve, limits),
        base: resolve.base,
    }
}

/// Makes URLs of attribute values.
struct Resolver {
    base: Url,
    max_length: usize,
}

impl Resolver {
    fn new(base: Option<&str>, url: &Url, limits: &Limits) -> Self {
        let base = base.map(decode).and_then(|href| url.join(&href).ok());
        let base = base.filter(is_http).unwrap_or_else(|| url.clone());
        Self { base, max_length: limits.max_url_length }
    }

    /// Whether a value can become a URL that is not too long: references and dots shrink it.
    fn may_fit(&self, href: &str) -> bool {
        href.len() <= self.max_length.saturating_mul(8)
    }

    fn raw(&self, raw: &str) -> Option<Url> {
        if self.may_fit(raw) { self.decoded(&decode(raw)) } else { None }
    }

    fn decoded(&self, href: &str) -> Option<Url> {
        if !self.may_fit(href) || href.trim().is_empty() {
            return None;
        }
        let mut url = self.base.join(href).ok()?;
        if url.fragment().is_some() {
            url.set_fragment(None);
        }
        (is_http(&url) && url.has_host() && url.as_str().len() <= self.max_length).then_some(url)
    }
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

fn links(page: &Page, resolve: &Resolver, limits: &Limits) -> Vec<Url> {
    let mut hrefs = HashSet::new();
    let mut urls = HashSet::new();
    let mut links = Vec::new();
    for href in &page.links {
        // Most links repeat: find that out before parsing. A `#` in `&#38;` is no fragment.
        let fragment = if href.contains('&') { None } else { href.find('#') };
        let href = &href[..fragment.unwrap_or(href.len())];
        if links.len() >= limits.max_links || !hrefs.insert(href) {
            continue;
        }
        if let Some(url) = resolve.raw(href)
            && urls.insert(url.as_str().to_owned())
        {
            links.push(url);
        }
    }
    links
}

fn robots_meta(page: &Page) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for &(name, content) in &page.metas {
        let name = decode(name).trim().to_ascii_lowercase();
        let content = decode(content);
        let word = |word: &str| OPT_OUTS.iter().any(|o| o.eq_ignore_ascii_case(word));
        let opts_out = || content.split(|c: char| c == ',' || c.is_whitespace()).any(word);
        let is_known = matches!(name.as_str(), "tdm-reservation" | "tdm-policy");
        if is_known || name.contains("robots") || name.ends_with("bot") || opts_out() {
            found.push((name, collapse(&content, 500)));
        }
    }
    found
}

fn og_images(page: &Page, resolve: &Resolver) -> Vec<String> {
    let mut found = Vec::new();
    for &(name, content) in &page.metas {
        if !OG_IMAGES.iter().any(|og| og.eq_ignore_ascii_case(name.trim())) {
            continue;
        }
        if let Some(url) = resolve.raw(content).map(String::from)
            && found.len() < 20
            && !found.contains(&url)
        {
            found.push(url);
        }
    }
    found
}

fn images(page: &Page, resolve: &Resolver, limits: &Limits) -> Vec<ImageRef> {
    let mut kept: Vec<Option<ImageRef>> = Vec::new();
    let mut by_url: HashMap<String, usize> = HashMap::new();
    let mut used_anchors = HashSet::new();
    for place in &page.places {
        if by_url.len() >= limits.max_images {
            break;
        }
        let Some(found) = locate(page, place, resolve, &mut used_anchors) else { continue };
        let earlier = by_url.get(&found.url).copied();
        if let Some(earlier) = earlier {
            let has_alt = kept[earlier].as_ref().is_some_and(|image| !image.alt.is_empty());
            if has_alt || place.alt.trim().is_empty() {
                continue;
            }
            kept[earlier] = None;
        }
        by_url.insert(found.url.clone(), kept.len());
        kept.push(Some(describe(page, place, found, resolve, limits)));
    }
    let mut images: Vec<_> = kept.into_iter().flatten().collect();
    for (position, image) in images.iter_mut().enumerate() {
        image.position = position as u32;
    }
    images
}

/// The URL of a place and what belongs to the choice of it.
fn locate(
    page: &Page,
    place: &Place,
    resolve: &Resolver,
    used_anchors: &mut HashSet<u32>,
) -> Option<ImageRef> {
    let offers = place.choice.offers.iter();
    let own = offers.filter_map(|offer| Some((offer, resolve.decoded(&offer.url)?))).next();
    let (offer, own) = own?;
    let shown = place.choice.shown.as_ref().and_then(|src| resolve.decoded(src));
    let anchor = place.around.anchor.filter(|anchor| !used_anchors.contains(anchor));
    let linked = anchor.and_then(|a| page.anchors.get(a as usize));
    let linked = linked.filter(|href| resolve.may_fit(href)).and_then(|href| {
        let href = decode(href);
        if is_image_file(&href) { resolve.decoded(&href) } else { None }
    });
    if let (Some(linked), Some(anchor)) = (linked.filter(|linked| *linked != own), anchor) {
        used_anchors.insert(anchor);
        return Some(ImageRef {
            url: linked.into(),
            shown_url: Some(shown.unwrap_or(own).into()),
            source: ImageSource::Anchor,
            ..ImageRef::default()
        });
    }
    let source = match place.kind {
        Kind::Noscript => ImageSource::Noscript,
        Kind::Poster => ImageSource::Poster,
        Kind::Image => offer.source,
    };
    Some(ImageRef {
        shown_url: shown.filter(|shown| *shown != own).map(String::from),
        url: own.into(),
        source,
        // The size of the file where it is known, else what the page shows it at.
        width_hint: place.hints.0.or(offer.width),
        height_hint: place.hints.1,
        ..ImageRef::default()
    })
}

/// Adds what the page says about a place.
fn describe(
    page: &Page,
    place: &Place,
    found: ImageRef,
    resolve: &Resolver,
    limits: &Limits,
) -> ImageRef {
    let attribute = |raw| collapse(&decode(raw), limits.max_attribute);
    let mut license = None;
    let mut caption = String::new();
    let mut holder = place.around.holder;
    // Figures inside tables inside figures: far enough.
    for _ in 0..8 {
        let Some(next) = holder.and_then(|number| page.holders.get(number as usize)) else { break };
        if let (true, Some((from, to))) = (caption.is_empty(), next.caption) {
            caption = page.flow.between(from, to.min(page.flow.position()), limits.max_caption);
        }
        license = license.or(next.license);
        holder = next.parent;
    }
    ImageRef {
        alt: attribute(place.alt),
        title: attribute(place.title),
        caption,
        heading: heading(page, place, limits),
        nearby_text: page.flow.nearby(place.at, limits.max_nearby),
        license: license.and_then(|href| resolve.raw(href)).map(String::from),
        ..found
    }
}

/// The nearest heading before a place that has text.
fn heading(page: &Page, place: &Place, limits: &Limits) -> String {
    let before = &page.headings[..(place.headings as usize).min(page.headings.len())];
    let texts = before.iter().rev().take(8).map(|&(from, to)| {
        page.flow.between(from, to.min(page.flow.position()), limits.max_heading)
    });
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}
