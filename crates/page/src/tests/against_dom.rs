//! The reader sees the elements that html5ever's DOM has, with the same elements around them.

use std::path::Path;

use html5ever::driver::parse_fragment;
use html5ever::tendril::TendrilSink;
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, QualName, local_name, ns};
use magiclens_testing::{conformance, shared};
use proptest::prelude::*;
use scraper::{ElementRef, Html, HtmlTreeSink};

use super::super::html::{Around, Attrs, Sink, Tag, read_document, read_fragment};

/// What decides on an image: its `src`, the link around it, the sources of its `<picture>`.
type Seen = (String, Option<String>, Vec<String>);

/// Notes every image in the order of the page.
#[derive(Default)]
struct Recorder {
    images: Vec<Seen>,
    anchors: Vec<String>,
    pictures: Vec<Vec<String>>,
    body_image: usize,
}

impl<'a> Sink<'a> for Recorder {
    fn open(&mut self, tag: Tag, attrs: &Attrs<'a>, around: Around) -> u32 {
        let get = |name| attrs.get(name).unwrap_or_default().into_owned();
        match tag {
            Tag::A => {
                self.anchors.push(get("href"));
                return self.anchors.len() as u32;
            }
            Tag::Picture => {
                self.pictures.push(Vec::new());
                return self.pictures.len() as u32;
            }
            Tag::Source => {
                if let Some(picture) = around.picture {
                    self.pictures[picture as usize - 1].push(get("srcset"));
                }
            }
            Tag::Img => {
                let anchor = around.anchor.map(|anchor| self.anchors[anchor as usize - 1].clone());
                let sources = around.picture.map(|p| self.pictures[p as usize - 1].clone());
                self.images.push((get("src"), anchor, sources.unwrap_or_default()));
            }
            _ => {}
        }
        0
    }

    fn close(&mut self, _: Tag, _: u32) {}
    fn text(&mut self, text: &'a str, _: bool) {
        assert!(!text.is_empty());
    }
    fn boundary(&mut self, _: bool) {}
    fn title(&mut self, _: &'a str) {}
    fn noscript(&mut self, html: &'a str, _: Around) {
        let mut inner = Self::default();
        read_fragment(html, &mut inner, Around::default());
        self.images.extend(inner.images);
    }
    fn begin_body(&mut self) {
        self.body_image = self.images.len();
    }
    fn forget_body(&mut self) {
        self.images.truncate(self.body_image);
    }
}

fn ours(html: &str) -> Vec<Seen> {
    let mut recorder = Recorder::default();
    read_document(html, &mut recorder);
    recorder.images
}

fn of_dom(html: &str) -> Vec<Seen> {
    let dom = Html::parse_document(html);
    let mut seen = Vec::new();
    walk(&dom, true, &mut seen);
    seen
}

fn walk(dom: &Html, scripting: bool, seen: &mut Vec<Seen>) {
    for node in dom.tree.root().descendants() {
        let Some(element) = ElementRef::wrap(node) else { continue };
        let inert = element.ancestors().filter_map(ElementRef::wrap).any(|e| is(e, "template"));
        if inert {
            continue;
        }
        if scripting && is(element, "noscript") {
            walk(&fragment(&element.text().collect::<String>()), false, seen);
        } else if is(element, "img") {
            seen.push(see(element));
        }
    }
}

fn is(element: ElementRef, name: &str) -> bool {
    element.value().name.ns == ns!(html) && element.value().name() == name
}

fn see(img: ElementRef) -> Seen {
    let get = |e: ElementRef, name| e.value().attr(name).unwrap_or_default().to_owned();
    let anchor = img.ancestors().filter_map(ElementRef::wrap).find(|e| is(*e, "a"));
    let parent = img.parent().and_then(ElementRef::wrap).filter(|e| is(*e, "picture"));
    let mut sources = Vec::new();
    if parent.is_some() {
        let before = img.prev_siblings().filter_map(ElementRef::wrap).filter(|e| is(*e, "source"));
        sources.extend(before.map(|source| get(source, "srcset")));
        sources.reverse();
    }
    (get(img, "src"), anchor.map(|a| get(a, "href")), sources)
}

/// Without scripting, so that a `<noscript>` inside is markup.
fn fragment(html: &str) -> Html {
    let tree_builder = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    let options = ParseOpts { tree_builder, ..ParseOpts::default() };
    let body = QualName::new(None, ns!(html), local_name!("body"));
    let sink = HtmlTreeSink::new(Html::new_fragment());
    parse_fragment(sink, options, body, Vec::new(), false).one(html)
}

fn sources(seen: &[Seen]) -> Vec<&str> {
    let mut sources: Vec<_> = seen.iter().map(|(src, ..)| src.as_str()).collect();
    sources.sort_unstable();
    sources
}

#[track_caller]
fn agrees(html: &str) {
    let (mut ours, mut dom) = (ours(html), of_dom(html));
    ours.sort();
    dom.sort();
    assert_eq!(ours, dom, "{html}");
}

#[test]
fn tricky_markup_agrees() {
    for html in [
        "<script>'<img src=a>'</script><style><img src=b></style><img src=c>",
        "<textarea><img src=a></textarea><title><img src=b></title><!-- <img src=c> --><img src=d>",
        "<iframe><img src=a></iframe><noembed><img src=b></noembed><xmp><img src=c></xmp><img src=d>",
        "<template><img src=a><template><img src=b></template><img src=c></template><img src=d>",
        "<template><svg></template><img src=a>",
        "<template><col><style><img src=a></style></template><img src=b>",
        "<image src=a><svg><image src=b></image><g><img src=c></g></svg><img src=d>",
        "<svg><title><img src=a></title><style><img src=b></style></svg><img src=c>",
        "<svg><foreignObject><p><img src=a></foreignObject><image src=b></svg>",
        "<svg><![CDATA[<img src=a>]]></svg><![CDATA[<img src=b>]]><img src=c>",
        "<math><mi><img src=a></mi><annotation-xml encoding=text/html><img src=b></annotation-xml>",
        "<math><annotation-xml><svg><desc><img src=a></desc></svg></annotation-xml><img src=b>",
        "<select><option><img src=a></select><img src=b>",
        "<noscript><img src=a></noscript><head><noscript><img src=b></noscript></head>",
        "<noscript><a href=x><img src=a></noscript></a><img src=b>",
        "<noscript><!--<img src=a></noscript>--><img src=b>",
        "<script><!--<script><img src=a></script><img src=b>--></script><img src=c>",
        "<script><!--<img src=a></script><img src=b>",
        "<p><a href=1><img src=a><p><img src=b></a><img src=c>",
        "<a href=1><div><img src=a></a><img src=b></div>",
        "<a href=1><table><tr><td><img src=a></a></table><img src=b></a><img src=c>",
        "<table><a href=1><tr><td><img src=a></table><img src=b>",
        "<table><picture><source srcset=1><img src=a></picture><tr><img src=b></table>",
        "<picture><source srcset=1><table><source srcset=2><img src=a></table></picture>",
        "<picture><source srcset=1><p><img src=a></p><img src=b></picture><img src=c>",
        "<b><p><picture><source srcset=1></b><img src=a></picture>",
        "<frameset><frame><img src=a><noframes><img src=b></noframes></frameset>",
        "<p></p><frameset><img src=a></frameset>",
        "<img src=a><frameset><img src=b></frameset><img src=c>",
        "</body></html><img src=a><body><img src=b>",
        "<plaintext><img src=a></plaintext><img src=b>",
        "<img src='a><img src=b>",
        "<img src=\"a\"alt=x><img/src=b><IMG SRC=c/><img\nsrc = d ><img src=e",
        "<a<img src=a><img src=b><><img src=c></ img><img src=d>",
        "<!--><img src=a>--><!---><img src=b><!-- --!><img src=c><!-- > <img src=d> -- >",
        "<img src=a src=b><img SRC=&amp;c&lt=d&copy><img src=e\0f>",
        "<p><svg><p><img src=a></svg><img src=b></p>",
        "<div><svg></div><image src=a><svg><b><image src=b>",
        "<button><a href=1><button><img src=a></a></button>",
        "<nobr><a href=1><nobr><img src=a></a><img src=b>",
        "<a href=1><a href=2><img src=a></a><img src=b></a><img src=c>",
        "<dl><dt><a href=1><dd><img src=a><dt></a><img src=b></dl>",
        "<form><div></form><img src=a></div><form><img src=b></form>",
        "\0<img src=a><table>\0<img src=b></table>",
    ] {
        agrees(html);
    }
}

#[test]
fn real_pages_agree() {
    let mut pages = Vec::new();
    let corpus = shared("corpora/warc");
    if let Some(warcs) = &corpus {
        html_files(warcs, "warc", &mut pages);
    }
    let of_corpus = pages.len();
    if let Some(folder) = std::env::var_os("MAGICLENS_HTML_PAGES") {
        html_files(Path::new(&folder), "html", &mut pages);
    }
    for (name, page) in &pages {
        let (mut ours, mut dom) = (ours(page), of_dom(page));
        ours.sort();
        dom.sort();
        assert_eq!(ours, dom, "{name}");
    }
    if corpus.is_some() {
        conformance("dom", of_corpus);
    }
}

fn html_files(folder: &Path, extension: &str, pages: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            html_files(&path, extension, pages);
        } else if path.extension().is_some_and(|other| other == extension) {
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            // Of a WARC file, whatever follows its headers up to the next record.
            let parts: Vec<_> = match extension {
                "warc" => text.split("WARC/1.").collect(),
                _ => vec![&*text],
            };
            let name = path.display();
            let parts = parts.iter().enumerate().filter(|(_, part)| !part.trim().is_empty());
            pages.extend(parts.map(|(n, part)| (format!("{name} {n}"), (*part).into())));
        }
    }
}

/// Tags that interact with each other, more often than not wrongly nested. The one left out is
/// `<annotation-xml encoding=text/html>`, in which scraper's DOM does not read HTML as browsers do.
fn soup() -> impl Strategy<Value = String> {
    const NAMES: [&str; 73] = [
        "a href=1",
        "a href=2",
        "b",
        "i class=x",
        "nobr",
        "font color=1",
        "font",
        "p",
        "div",
        "span",
        "li",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
        "h1",
        "h2",
        "table",
        "tbody",
        "thead",
        "tr",
        "td",
        "th",
        "caption",
        "col",
        "colgroup",
        "template",
        "svg",
        "math",
        "mi",
        "mtext",
        "annotation-xml",
        "foreignObject",
        "desc",
        "title",
        "image src=svg",
        "select",
        "option",
        "optgroup",
        "hr",
        "input",
        "input type=hidden",
        "button",
        "form",
        "noscript",
        "script",
        "style",
        "textarea",
        "iframe",
        "xmp",
        "object",
        "marquee",
        "picture",
        "source srcset=1",
        "source srcset=2",
        "video",
        "figure",
        "pre",
        "body",
        "head",
        "html",
        "frameset",
        "frame",
        "noframes",
        "ruby",
        "rt",
        "rtc",
        "br",
        "base",
        "g",
        "custom-element",
        "center",
    ];
    let name = proptest::sample::select(&NAMES[..]);
    let piece = prop_oneof![
        6 => name.clone().prop_map(|name| format!("<{name}>")),
        4 => name.clone().prop_map(|name| format!("</{}>", name.split(' ').next().unwrap())),
        1 => name.prop_map(|name| format!("<{name}/>")),
        4 => Just("<img src=@>".to_owned()),
        1 => proptest::sample::select(&[
            "text", " ", "\n ", "&amp;", "&#32;", "\0", "<", "</", "<!--", "-->", "--!>", ">", "<!",
            "<![CDATA[", "]]>", "<?x", "'", "\"", "<!doctype html>", "<img src='", "<img src=@ alt=\"",
        ][..]).prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 1..40).prop_map(|pieces| {
        let numbered =
            pieces.iter().enumerate().map(|(n, piece)| piece.replace('@', &n.to_string()));
        numbered.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn tag_soup_agrees(html in soup()) {
        let (ours, dom) = (ours(&html), of_dom(&html));
        prop_assert_eq!(sources(&ours), sources(&dom));
    }
}
