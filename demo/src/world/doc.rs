//! An HTML page as a model, from which both its bytes and the truth about it are made.

use encoding_rs::{Encoding, GBK, SHIFT_JIS, UTF_8, WINDOWS_1251, WINDOWS_1252};

use super::host_of;

/// How the page's bytes are encoded, and who says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8, by header and meta.
    #[default]
    Utf8,
    /// windows-1251, by the header only.
    Cyrillic,
    /// Shift_JIS, by a meta element only.
    Japanese,
    /// What is called ISO-8859-1 and read as windows-1252, by the header only.
    Western,
    /// GBK, by nobody.
    Chinese,
}

impl Charset {
    fn encoding(self) -> &'static Encoding {
        match self {
            Self::Utf8 => UTF_8,
            Self::Cyrillic => WINDOWS_1251,
            Self::Japanese => SHIFT_JIS,
            Self::Western => WINDOWS_1252,
            Self::Chinese => GBK,
        }
    }

    /// The WHATWG name.
    pub fn name(self) -> &'static str {
        self.encoding().name()
    }

    /// The Content-Type header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Utf8 => "text/html; charset=utf-8",
            Self::Cyrillic => "text/html; charset=windows-1251",
            Self::Western => "text/html; charset=iso-8859-1",
            Self::Japanese | Self::Chinese => "text/html",
        }
    }

    fn meta(self) -> &'static str {
        match self {
            Self::Utf8 => "<meta charset=\"utf-8\">\n",
            Self::Japanese => {
                "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=Shift_JIS\">\n"
            }
            Self::Cyrillic | Self::Western | Self::Chinese => "",
        }
    }
}

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Doc {
    /// Where it is.
    pub url: String,
    /// `<title>`.
    pub title: String,
    /// `<html lang>`.
    pub lang: &'static str,
    /// The encoding.
    pub charset: Charset,
    /// `<meta>` elements: name and content.
    pub metas: Vec<(&'static str, String)>,
    /// `<link rel=canonical>`.
    pub canonical: Option<String>,
    /// `<base href>`.
    pub base: Option<String>,
    /// The body.
    pub blocks: Vec<Block>,
}

/// A piece of a page.
#[derive(Clone, Debug)]
pub enum Block {
    /// `<h2>`.
    Heading(String),
    /// `<p>`.
    Text(String),
    /// `<a>` to a page.
    Link(String, String),
    /// An image.
    Figure(Figure),
    /// Markup as it is.
    Html(String),
}

/// A place that shows an image.
#[derive(Clone, Debug, Default)]
pub struct Figure {
    /// The candidate: the largest file that this place offers.
    pub url: String,
    /// `alt`.
    pub alt: String,
    /// `<figcaption>`; without one there is no `<figure>`.
    pub caption: Option<String>,
    /// Width and height attributes.
    pub hint: Option<(u32, u32)>,
    /// How the place names its files.
    pub markup: Markup,
}

/// How a place names its files. The `String` is a smaller file of the same picture.
#[derive(Clone, Debug, Default)]
pub enum Markup {
    /// `<img src>`.
    #[default]
    Plain,
    /// `data-src`, a `data:` placeholder in `src`, and a `<noscript>` twin.
    Lazy,
    /// `data-srcset` and a `data:` placeholder in `src`.
    LazySet(String),
    /// `srcset` with `w` descriptors.
    Srcset(String),
    /// `srcset` with `x` descriptors.
    Density(String),
    /// `<picture>` with a larger `<source>`.
    Picture(String),
    /// `<video poster>`.
    Poster,
    /// A thumbnail in a link to the file.
    Anchor(String),
}

const PLACEHOLDER: &str =
    "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

impl Figure {
    /// A figure with a caption, in plain markup.
    pub fn new(url: impl Into<String>, alt: impl Into<String>, caption: impl Into<String>) -> Self {
        let (url, alt, caption) = (url.into(), alt.into(), Some(caption.into()));
        Self { url, alt, caption, hint: None, markup: Markup::Plain }
    }

    /// An image without a caption: a logo, an icon.
    pub fn bare(url: impl Into<String>, alt: impl Into<String>) -> Self {
        Self { url: url.into(), alt: alt.into(), ..Self::default() }
    }

    /// With width and height attributes.
    pub fn sized(self, width: u32, height: u32) -> Self {
        Self { hint: Some((width, height)), ..self }
    }

    /// With other markup.
    pub fn marked(self, markup: Markup) -> Self {
        Self { markup, ..self }
    }

    fn html(&self, doc: &Doc) -> String {
        let file = |url: &str| escape(&doc.reference(url));
        let url = file(&self.url);
        let size = match self.hint {
            Some((width, height)) => format!(" width=\"{width}\" height=\"{height}\""),
            None => String::new(),
        };
        let alt = format!("alt=\"{}\"{size}", escape(&self.alt));
        let img = match &self.markup {
            Markup::Plain => format!("<img src=\"{url}\" {alt}>"),
            Markup::Lazy => format!(
                "<img class=\"lazy\" src=\"{PLACEHOLDER}\" data-src=\"{url}\" {alt}>\
                 <noscript><img src=\"{url}\" {alt}></noscript>"
            ),
            Markup::LazySet(small) => format!(
                "<img class=\"lazy\" src=\"{PLACEHOLDER}\" data-srcset=\"{} 240w, {url} 720w\" {alt}>",
                file(small)
            ),
            Markup::Srcset(small) => format!(
                "<img src=\"{0}\" srcset=\"{0} 240w, {url} 720w\" sizes=\"80vw\" {alt}>",
                file(small)
            ),
            Markup::Density(small) => {
                format!("<img src=\"{0}\" srcset=\"{0} 1x, {url} 3x\" {alt}>", file(small))
            }
            Markup::Picture(small) => format!(
                "<picture><source media=\"(min-width: 40em)\" srcset=\"{0} 240w, {url} 720w\">\
                 <img src=\"{0}\" {alt}></picture>",
                file(small)
            ),
            Markup::Poster => format!("<video controls poster=\"{url}\"></video>"),
            Markup::Anchor(small) => {
                format!("<a href=\"{url}\"><img src=\"{}\" {alt}></a>", file(small))
            }
        };
        match &self.caption {
            Some(caption) => {
                format!("<figure>{img}<figcaption>{}</figcaption></figure>\n", escape(caption))
            }
            None => format!("<div>{img}</div>\n"),
        }
    }
}

impl Doc {
    /// An empty English page.
    pub fn new(url: impl Into<String>, title: impl Into<String>) -> Self {
        Self { url: url.into(), title: title.into(), lang: "en", ..Self::default() }
    }

    /// Adds a block.
    pub fn push(&mut self, block: Block) -> &mut Self {
        self.blocks.push(block);
        self
    }

    /// Adds a heading.
    pub fn heading(&mut self, text: impl Into<String>) -> &mut Self {
        self.push(Block::Heading(text.into()))
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: impl Into<String>) -> &mut Self {
        self.push(Block::Text(text.into()))
    }

    /// Adds a link.
    pub fn link(&mut self, url: impl Into<String>, text: impl Into<String>) -> &mut Self {
        self.push(Block::Link(url.into(), text.into()))
    }

    /// Adds an image.
    pub fn figure(&mut self, figure: Figure) -> &mut Self {
        self.push(Block::Figure(figure))
    }

    /// Adds markup.
    pub fn html(&mut self, html: impl Into<String>) -> &mut Self {
        self.push(Block::Html(html.into()))
    }

    /// The images, in document order.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Figure(figure) => Some(figure),
            _ => None,
        })
    }

    /// The URLs of the links, without fragments.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Link(url, _) => url.split('#').next(),
            _ => None,
        })
    }

    /// The page as text.
    pub fn to_html(&self) -> String {
        let mut out = format!("<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n", self.lang);
        out.push_str(self.charset.meta());
        out.push_str(&format!("<title>{}</title>\n", escape(&self.title)));
        for (name, content) in &self.metas {
            let key = if name.starts_with("og:") { "property" } else { "name" };
            out.push_str(&format!("<meta {key}=\"{name}\" content=\"{}\">\n", escape(content)));
        }
        if let Some(url) = &self.canonical {
            out.push_str(&format!("<link rel=\"canonical\" href=\"{}\">\n", escape(url)));
        }
        if let Some(url) = &self.base {
            out.push_str(&format!("<base href=\"{}\">\n", escape(url)));
        }
        out.push_str(&format!("</head>\n<body>\n<h1>{}</h1>\n", escape(&self.title)));
        for block in &self.blocks {
            out.push_str(&self.block(block));
        }
        out.push_str("</body>\n</html>\n");
        out
    }

    /// The page as it is sent once every URL has its port.
    pub fn to_bytes(&self, port: u16) -> Vec<u8> {
        let html = super::at_port(&self.to_html(), port);
        self.charset.encoding().encode(&html).0.into_owned()
    }

    fn block(&self, block: &Block) -> String {
        match block {
            Block::Heading(text) => format!("<h2>{}</h2>\n", escape(text)),
            Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
            Block::Link(url, text) => {
                format!(
                    "<p><a href=\"{}\">{}</a></p>\n",
                    escape(&self.reference(url)),
                    escape(text)
                )
            }
            Block::Figure(figure) => figure.html(self),
            Block::Html(html) => format!("{html}\n"),
        }
    }

    /// `url` as short as the page's base allows.
    fn reference(&self, url: &str) -> String {
        if let Some(rest) = self.base.as_deref().and_then(|base| url.strip_prefix(base)) {
            return rest.to_string();
        }
        let host = format!("http://{}:0/", host_of(&self.url));
        match url.strip_prefix(&host) {
            Some(path) if self.base.is_none() => format!("/{path}"),
            _ => url.to_string(),
        }
    }
}

/// Text for element content and quoted attributes.
pub fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_urls_are_short() {
        let mut doc = Doc::new("http://a.example:0/x", "<b>\"&");
        doc.figure(Figure::new("http://a.example:0/i.jpg?a=1&b=2", "\"quoted\"", "c"));
        doc.link("http://b.example:0/", "away");
        let html = doc.to_html();
        assert!(html.contains("<title>&lt;b&gt;&quot;&amp;</title>"));
        assert!(html.contains("src=\"/i.jpg?a=1&amp;b=2\" alt=\"&quot;quoted&quot;\""));
        assert!(html.contains("href=\"http://b.example:0/\""));
        assert!(String::from_utf8(doc.to_bytes(81)).unwrap().contains("http://b.example:81/"));
    }

    #[test]
    fn a_base_shortens_only_what_is_below_it() {
        let mut doc = Doc::new("http://a.example:0/x", "t");
        doc.base = Some("http://a.example:0/deep/".into());
        assert_eq!(doc.reference("http://a.example:0/deep/i.jpg"), "i.jpg");
        assert_eq!(doc.reference("http://a.example:0/i.jpg"), "http://a.example:0/i.jpg");
    }
}
