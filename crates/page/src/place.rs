//! Which URL stands for an `<img>`: the largest of what `src`, `srcset`, `<picture>` and the
//! attributes of lazy loaders offer.

use std::borrow::Cow;
use std::cmp::Ordering;

use magiclens_core::ImageSource;

use super::html::Attrs;
use super::srcset;

/// Attributes that hold the real `srcset` until the image scrolls into view.
const LAZY_SRCSET: [&str; 4] =
    ["data-srcset", "data-lazy-srcset", "data-original-set", "data-src-srcset"];
/// Attributes that hold the real `src` likewise.
const LAZY_SRC: [&str; 10] = [
    "data-src",
    "data-lazy-src",
    "data-original",
    "data-original-src",
    "data-lazy",
    "data-lazysrc",
    "data-cfsrc",
    "data-ezsrc",
    "data-echo",
    "data-img-src",
];
/// Attributes that hold a larger version for zooming.
const FULL_SRC: [&str; 4] =
    ["data-hi-res-src", "data-full-src", "data-large_image", "data-zoom-image"];
/// Attributes that also hold other things: taken only instead of a placeholder, and only with the
/// name of an image file.
const WEAK_SRC: [&str; 3] = ["data-url", "data-image", "data-img"];
/// What placeholders are called.
const PLACEHOLDERS: [&str; 14] = [
    "1x1",
    "blank",
    "clear",
    "dot",
    "empty",
    "grey",
    "lazy",
    "lazyload",
    "loader",
    "loading",
    "pixel",
    "placeholder",
    "spacer",
    "transparent",
];

/// One URL that an image may be had from.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer<'a> {
    /// As written, character references resolved.
    pub url: Cow<'a, str>,
    /// The markup it came from.
    pub source: ImageSource,
    /// Its width in pixels, if the page says so.
    pub width: Option<u32>,
    density: f64,
    rank: u8,
}

/// The offers of one `<img>`, best first, and what its `src` shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice<'a> {
    /// Best first.
    pub offers: Vec<Offer<'a>>,
    /// `src`, unless it is a placeholder.
    pub shown: Option<Cow<'a, str>>,
    /// Whether a script was to load it.
    pub lazy: bool,
}

impl<'a> Choice<'a> {
    /// The one image of a `<video>`.
    pub fn poster(url: Cow<'a, str>) -> Self {
        Self { offers: vec![offer(url, ImageSource::Poster, RANK_PLAIN)], ..Self::default() }
    }
}

/// Chooses for an `<img>`; `sources` are the offers of the `<picture>` around it.
pub fn choose<'a>(attrs: &Attrs<'a>, sources: &[Offer<'a>]) -> Choice<'a> {
    let src = attrs.get("src").filter(|src| !src.trim().is_empty());
    let lazy_src = first(attrs, &LAZY_SRC);
    let mut offers = Vec::new();
    for name in LAZY_SRCSET {
        offer_srcset(attrs.get(name), ImageSource::Lazy, &mut offers);
    }
    let lazy = lazy_src.is_some() || !offers.is_empty();
    offers.extend(lazy_src.map(|url| offer(url, ImageSource::Lazy, RANK_LAZY)));
    offers.extend(first(attrs, &FULL_SRC).map(|url| offer(url, ImageSource::Lazy, RANK_FULL)));
    offer_srcset(attrs.get("srcset"), ImageSource::Srcset, &mut offers);
    offers.extend_from_slice(sources);
    let shown = src.filter(|src| !is_data(src) && (offers.is_empty() || !is_placeholder(src)));
    if shown.is_none() && offers.is_empty() {
        let weak = first(attrs, &WEAK_SRC).filter(|url| is_image_file(url));
        offers.extend(weak.map(|url| offer(url, ImageSource::Lazy, RANK_LAZY)));
    }
    offers.extend(shown.clone().map(|src| offer(src, ImageSource::Src, RANK_PLAIN)));
    offers.sort_by(Offer::compare);
    let class_says = attrs.raw("class").is_some_and(|class| class.contains("lazy"));
    Choice { offers, shown, lazy: lazy || class_says }
}

/// The offers of a `<source>` inside `<picture>`.
pub fn of_source<'a>(attrs: &Attrs<'a>) -> Vec<Offer<'a>> {
    let kind = attrs.get("type").unwrap_or_default();
    // What fetch cannot decode is no use while the same picture is there in another format.
    if ["avif", "jxl", "svg", "heic", "jp2"].iter().any(|other| kind.contains(other)) {
        return Vec::new();
    }
    let mut offers = Vec::new();
    for name in ["srcset"].into_iter().chain(LAZY_SRCSET) {
        offer_srcset(attrs.get(name), ImageSource::Picture, &mut offers);
    }
    offers
}

const RANK_PLAIN: u8 = 0;
const RANK_LAZY: u8 = 1;
const RANK_SIZED: u8 = 2;
const RANK_FULL: u8 = 3;

impl Offer<'_> {
    /// A stated width beats none, then the larger one; then density; then the order of offering.
    fn compare(&self, other: &Self) -> Ordering {
        let size = other.width.cmp(&self.width);
        let density = other.density.total_cmp(&self.density);
        other.rank.cmp(&self.rank).then(size).then(density)
    }
}

fn offer(url: Cow<'_, str>, source: ImageSource, rank: u8) -> Offer<'_> {
    Offer { url, source, width: None, density: 1.0, rank }
}

/// Adds the largest candidate of a `srcset`.
fn offer_srcset<'a>(value: Option<Cow<'a, str>>, source: ImageSource, offers: &mut Vec<Offer<'a>>) {
    let Some(value) = value else { return };
    let largest = srcset::parse(&value)
        .into_iter()
        .filter(|candidate| !is_data(candidate.url))
        .map(|candidate| (candidate.width, candidate.density.unwrap_or(1.0), candidate.url))
        .reduce(|best, new| if (new.0, new.1) > (best.0, best.1) { new } else { best });
    if let Some((width, density, url)) = largest {
        let url = Cow::Owned(url.to_owned());
        offers.push(Offer { url, source, width, density, rank: RANK_SIZED });
    }
}

fn first<'a>(attrs: &Attrs<'a>, names: &[&str]) -> Option<Cow<'a, str>> {
    let mut values = names.iter().filter_map(|name| attrs.get(name));
    values.find(|value| !value.trim().is_empty() && !is_data(value))
}

/// Whether a URL is not to be fetched at all.
fn is_data(url: &str) -> bool {
    let url = url.trim_start().as_bytes();
    let starts = |scheme: &str| {
        url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    };
    ["data:", "blob:", "about:", "javascript:"].into_iter().any(starts)
}

fn is_placeholder(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    let Some((stem, extension)) = file.rsplit_once('.') else { return false };
    ["gif", "png", "svg"].iter().any(|kind| extension.eq_ignore_ascii_case(kind))
        && stem
            .split(['-', '_'])
            .any(|word| PLACEHOLDERS.iter().any(|p| word.eq_ignore_ascii_case(p)))
}

/// Whether a URL names an image file of a format that is decoded, and not a page about one as
/// MediaWiki and GitHub have them.
pub fn is_image_file(url: &str) -> bool {
    let path = url.trim().split(['?', '#']).next().unwrap_or_default();
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let Some((stem, extension)) = file.rsplit_once('.') else { return false };
    let image = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif"];
    image.iter().any(|kind| extension.eq_ignore_ascii_case(kind))
        && !stem.contains(':')
        && !stem.contains("%3A")
        && !folder.contains("/blob/")
}

/// Width and height in CSS pixels by attribute, else by style.
pub fn size_hints(attrs: &Attrs) -> (Option<u32>, Option<u32>) {
    let style = attrs.raw("style");
    let hint = |name: &str| {
        let by_attribute = attrs.get(name).and_then(|value| pixels(&value, true));
        by_attribute.or_else(|| style.and_then(|style| declared(style, name)))
    };
    (hint("width"), hint("height"))
}

/// `NNN`, `NNNpx`; a bare number counts only where HTML means pixels by it. Percentages say nothing.
fn pixels(value: &str, bare: bool) -> Option<u32> {
    let value = value.trim();
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let rest = value[digits..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit()).trim();
    let fits = rest.eq_ignore_ascii_case("px") || bare && rest.is_empty();
    value[..digits].parse().ok().filter(|_| fits)
}

/// The value of one property of an inline style.
fn declared(style: &str, property: &str) -> Option<u32> {
    style.split(';').filter_map(|part| part.split_once(':')).find_map(|(name, value)| {
        let value = value.trim().trim_end_matches("!important");
        if name.trim().eq_ignore_ascii_case(property) { pixels(value, false) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(tag: &str) -> Option<(String, ImageSource)> {
        let (attrs, _) = Attrs::read(tag);
        let choice = choose(&attrs, &[]);
        choice.offers.first().map(|offer| (offer.url.to_string(), offer.source))
    }

    #[test]
    fn the_largest_candidate_is_chosen() {
        use ImageSource::*;
        for (tag, url, source) in [
            ("src=a.jpg>", "a.jpg", Src),
            ("src=a.jpg srcset='b.jpg 2x, c.jpg 3x'>", "c.jpg", Srcset),
            ("src=a.jpg srcset='b.jpg 640w, c.jpg 320w'>", "b.jpg", Srcset),
            ("src=data:, data-src=a.jpg>", "a.jpg", Lazy),
            ("src=spacer.gif data-original=a.jpg>", "a.jpg", Lazy),
            ("src=small.jpg data-lazy-src=a.jpg>", "a.jpg", Lazy),
            ("src=a.jpg srcset='b.jpg 640w' data-srcset='c.jpg 800w'>", "c.jpg", Lazy),
            ("src=a.jpg data-src=data:x>", "a.jpg", Src),
            ("src=a.jpg data-url=/product/1>", "a.jpg", Src),
            ("src=data:, data-url=/b.png>", "/b.png", Lazy),
            ("src=blank.gif>", "blank.gif", Src),
            ("src=a.jpg srcset='b.jpg 640w' data-full-src=d.jpg>", "d.jpg", Lazy),
            ("src='' srcset='data:x 2000w, b.jpg 640w'>", "b.jpg", Srcset),
            ("src='?a=1&amp;b=2'>", "?a=1&b=2", Src),
        ] {
            assert_eq!(best(tag), Some((url.to_owned(), source)), "{tag}");
        }
        assert_eq!(best("src=data:image/gif;base64,R0 alt=x>"), None);
        assert_eq!(best("data-url=/product/1>"), None);
    }

    #[test]
    fn hints_are_pixels_only() {
        for (tag, hints) in [
            ("width=300 height='200px'>", (Some(300), Some(200))),
            ("width=100% height=auto>", (None, None)),
            ("style='max-width:9px; WIDTH: 120.5px !important;height:2em'>", (Some(120), None)),
            ("width=50 style='width:70px;height:80px'>", (Some(50), Some(80))),
            ("width=99999999999>", (None, None)),
        ] {
            assert_eq!(size_hints(&Attrs::read(tag).0), hints, "{tag}");
        }
    }

    #[test]
    fn links_to_images_are_not_links_to_pages_about_them() {
        for url in ["a.jpg", "/b/C.JPEG?x=1#y", "http://h/d.webp"] {
            assert!(is_image_file(url), "{url}");
        }
        for url in ["a.html", "/wiki/File:Cat.jpg", "/o/r/blob/main/a.png", "/x?f=a.jpg", "a.svg"] {
            assert!(!is_image_file(url), "{url}");
        }
    }
}
