//! Listens to the reader of a page and notes what the crawl and the `pages` table need.
//!
//! Everything stays a slice of the page until [`super::finish`] picks what is kept.

use super::Limits;
use super::flow::Flow;
use super::html::{Around, Attrs, Sink, Tag, read_fragment};
use super::place::{self, Choice, Offer};

/// Offers kept of one `<picture>`.
const MAX_OFFERS: usize = 32;
/// `<meta>` elements kept.
const MAX_METAS: usize = 1000;

/// One place that shows an image.
#[derive(Debug, Default)]
pub struct Place<'a> {
    pub choice: Choice<'a>,
    pub kind: Kind,
    pub alt: &'a str,
    pub title: &'a str,
    pub hints: (Option<u32>, Option<u32>),
    /// Where in the text it is.
    pub at: u32,
    /// How much text came before it.
    ink: u32,
    /// How many headings came before it.
    pub headings: u32,
    pub around: Around,
}

/// The element that makes a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Image,
    Noscript,
    Poster,
}

/// A figure, table or term with what is said about its images.
#[derive(Debug, Default)]
pub struct Holder<'a> {
    pub parent: Option<u32>,
    /// Where its caption begins and ends.
    pub caption: Option<(u32, u32)>,
    pub license: Option<&'a str>,
}

/// What was found so far. Attribute values are as written: character references unresolved.
#[derive(Debug)]
pub struct Page<'a> {
    pub flow: Flow<'a>,
    pub places: Vec<Place<'a>>,
    pub anchors: Vec<&'a str>,
    pub holders: Vec<Holder<'a>>,
    pub headings: Vec<(u32, u32)>,
    pub links: Vec<&'a str>,
    pub base: Option<&'a str>,
    pub title: Option<&'a str>,
    pub lang: Option<&'a str>,
    pub canonical: Option<&'a str>,
    pub license: Option<&'a str>,
    /// Name or property, and content.
    pub metas: Vec<(&'a str, &'a str)>,
    pictures: Vec<Vec<Offer<'a>>>,
    last_term: u32,
    body_place: usize,
    in_noscript: bool,
    max_places: usize,
    max_links: usize,
}

impl<'a> Page<'a> {
    pub fn new(limits: &Limits) -> Self {
        Self {
            flow: Flow::default(),
            places: Vec::new(),
            // Numbers start at 1.
            anchors: vec![""],
            holders: vec![Holder::default()],
            headings: Vec::new(),
            links: Vec::new(),
            base: None,
            title: None,
            lang: None,
            canonical: None,
            license: None,
            metas: Vec::new(),
            pictures: vec![Vec::new()],
            last_term: 0,
            body_place: 0,
            in_noscript: false,
            // Some are dropped later: no URL, one URL twice.
            max_places: limits.max_images.saturating_mul(16),
            max_links: limits.max_links.saturating_mul(16),
        }
    }

    fn image(&mut self, attrs: &Attrs<'a>, around: Around) {
        let sources = around.picture.and_then(|picture| self.pictures.get(picture as usize));
        let choice = place::choose(attrs, sources.map_or(&[], Vec::as_slice));
        let kind = if self.in_noscript { Kind::Noscript } else { Kind::Image };
        let mut new = Place {
            choice,
            kind,
            alt: attrs.raw("alt").unwrap_or_default(),
            title: attrs.raw("title").unwrap_or_default(),
            hints: place::size_hints(attrs),
            ..self.place(around)
        };
        if self.in_noscript
            && self.places.last().is_some_and(|twin| is_twin(twin, &new))
            && let Some(twin) = self.places.pop()
        {
            new.inherit(twin);
        }
        self.add(new);
    }

    fn poster(&mut self, attrs: &Attrs<'a>, around: Around) {
        let Some(poster) = attrs.get("poster") else { return };
        let label = attrs.raw("aria-label").or(attrs.raw("title")).unwrap_or_default();
        let new = Place {
            choice: Choice::poster(poster),
            kind: Kind::Poster,
            alt: label,
            title: attrs.raw("title").unwrap_or_default(),
            hints: place::size_hints(attrs),
            ..self.place(Around { anchor: None, ..around })
        };
        self.add(new);
    }

    fn place(&mut self, around: Around) -> Place<'a> {
        Place {
            at: self.flow.image(),
            ink: self.flow.ink(),
            headings: self.headings.len() as u32,
            around,
            ..Place::default()
        }
    }

    fn add(&mut self, place: Place<'a>) {
        if self.places.len() < self.max_places {
            self.places.push(place);
        }
    }

    fn link(&mut self, tag: Tag, attrs: &Attrs<'a>, around: Around) -> u32 {
        let href = attrs.raw("href");
        let rel = attrs.raw("rel").unwrap_or_default();
        if let Some(href) = href {
            if has_word(rel, "license") {
                self.set_license(href, around);
            }
            let follow = !self.in_noscript && !has_word(rel, "nofollow");
            if follow && !href.starts_with('#') && self.links.len() < self.max_links {
                self.links.push(href);
            }
        }
        if tag == Tag::Area {
            return 0;
        }
        self.anchors.push(href.unwrap_or_default());
        (self.anchors.len() - 1) as u32
    }

    fn set_license(&mut self, href: &'a str, around: Around) {
        let holder = around.holder.and_then(|holder| self.holders.get_mut(holder as usize));
        match holder {
            Some(holder) => holder.license = holder.license.or(Some(href)),
            None => self.license = self.license.or(Some(href)),
        }
    }

    fn head_link(&mut self, attrs: &Attrs<'a>) {
        let (Some(rel), Some(href)) = (attrs.raw("rel"), attrs.raw("href")) else { return };
        if has_word(rel, "canonical") {
            self.canonical = self.canonical.or(Some(href));
        }
        if has_word(rel, "license") {
            self.license = self.license.or(Some(href));
        }
    }

    fn hold(&mut self, around: Around) -> u32 {
        self.holders.push(Holder { parent: around.holder, ..Holder::default() });
        (self.holders.len() - 1) as u32
    }

    /// The first caption of a figure or table begins.
    fn start_caption(&mut self, holder: Option<u32>) -> u32 {
        let at = self.flow.position();
        let Some(number) = holder else { return 0 };
        match self.holders.get_mut(number as usize) {
            Some(holder) if holder.caption.is_none() => {
                holder.caption = Some((at, u32::MAX));
                number
            }
            _ => number,
        }
    }

    fn end_caption(&mut self, holder: u32) {
        let at = self.flow.position();
        if let Some(holder) = self.holders.get_mut(holder as usize)
            && let Some((_, end @ u32::MAX)) = &mut holder.caption
        {
            *end = at;
        }
    }
}

impl<'a> Place<'a> {
    /// Takes over what only the lazy twin says.
    fn inherit(&mut self, twin: Place<'a>) {
        if self.alt.is_empty() {
            self.alt = twin.alt;
        }
        if self.title.is_empty() {
            self.title = twin.title;
        }
        self.hints = (self.hints.0.or(twin.hints.0), self.hints.1.or(twin.hints.1));
        if self.choice.offers.is_empty() {
            self.choice = twin.choice;
            self.kind = twin.kind;
        }
    }
}

/// Whether an image inside `<noscript>` is what the one just before it loads by script.
fn is_twin(before: &Place, noscript: &Place) -> bool {
    let url = |place: &Place| place.choice.offers.first().map(|offer| offer.url.to_string());
    before.kind == Kind::Image
        && before.ink == noscript.ink
        && (before.choice.lazy || before.choice.shown.is_none() || url(before) == url(noscript))
}

fn has_word(list: &str, word: &str) -> bool {
    !list.is_empty() && list.split_ascii_whitespace().any(|other| other.eq_ignore_ascii_case(word))
}

impl<'a> Sink<'a> for Page<'a> {
    fn open(&mut self, tag: Tag, attrs: &Attrs<'a>, around: Around) -> u32 {
        use Tag::*;
        match tag {
            Img => self.image(attrs, around),
            Video => self.poster(attrs, around),
            Picture => {
                self.pictures.push(Vec::new());
                return (self.pictures.len() - 1) as u32;
            }
            Source => {
                let picture = around.picture.and_then(|p| self.pictures.get_mut(p as usize));
                if let Some(offers) = picture.filter(|offers| offers.len() < MAX_OFFERS) {
                    offers.extend(place::of_source(attrs));
                }
            }
            A | Area => return self.link(tag, attrs, around),
            Figure | Table => return self.hold(around),
            Figcaption | Caption => return self.start_caption(around.holder),
            _ if self.in_noscript => {}
            Dl => self.last_term = 0,
            Dt => {
                self.last_term = self.hold(around);
                return self.start_caption(Some(self.last_term));
            }
            Dd if self.last_term == 0 => return around.holder.unwrap_or(0),
            Dd => return self.last_term,
            H1 | H2 | H3 | H4 | H5 | H6 => {
                let at = self.flow.position();
                self.headings.push((at, u32::MAX));
                return self.headings.len() as u32;
            }
            Base => self.base = self.base.or(attrs.raw("href")),
            Link => self.head_link(attrs),
            Meta => {
                let name = attrs.raw("name").or(attrs.raw("property"));
                let content = attrs.raw("content").filter(|_| self.metas.len() < MAX_METAS);
                if let (Some(name), Some(content)) = (name, content) {
                    self.metas.push((name, content));
                }
            }
            Html => self.lang = self.lang.or(attrs.raw("lang")).or(attrs.raw("xml:lang")),
            _ => {}
        }
        0
    }

    fn close(&mut self, tag: Tag, node: u32) {
        use Tag::*;
        match tag {
            Figcaption | Caption | Dt => self.end_caption(node),
            Dl => self.last_term = 0,
            H1 | H2 | H3 | H4 | H5 | H6 => {
                let end = self.flow.position();
                if let Some(heading) = self.headings.get_mut(node as usize - 1) {
                    heading.1 = end;
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &'a str, literal: bool) {
        if !self.in_noscript {
            self.flow.text(text, literal);
        }
    }

    fn boundary(&mut self, section: bool) {
        if !self.in_noscript {
            self.flow.boundary(section);
        }
    }

    fn title(&mut self, text: &'a str) {
        self.title = self.title.or(Some(text));
    }

    fn noscript(&mut self, html: &'a str, around: Around) {
        if memchr::memchr(b'<', html.as_bytes()).is_some() {
            self.in_noscript = true;
            read_fragment(html, self, around);
            self.in_noscript = false;
        }
    }

    fn begin_body(&mut self) {
        self.body_place = self.places.len();
    }

    fn forget_body(&mut self) {
        self.places.truncate(self.body_place);
        self.links.clear();
    }
}
