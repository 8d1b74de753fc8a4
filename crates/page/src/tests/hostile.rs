//! Pages made to hang, overflow or fill memory. Each would take minutes in quadratic time.

use url::Url;

use super::super::{Extracted, Limits, extract};

const MEGABYTES: usize = 4 << 20;

fn read(html: &[u8]) -> Extracted {
    let url = Url::parse("http://example.org/").unwrap();
    extract(html, None, &url, &Limits::default())
}

fn filled_with(piece: &str) -> Extracted {
    read(piece.repeat(MEGABYTES / piece.len()).as_bytes())
}

#[test]
fn deep_nesting_ends() {
    for open in
        ["<div>", "<b>", "<a href=x>", "<table><tr><td>", "<svg><g>", "<ul><li>", "<template>"]
    {
        let html = format!("{}<img src=deep.jpg>", open.repeat(100_000));
        let found = read(html.as_bytes()).images.len();
        assert_eq!(found, usize::from(open != "<template>"), "{open}");
    }
    let html =
        format!("{}text<img src=a.jpg>{}", "<div>".repeat(100_000), "</div>".repeat(100_000));
    assert_eq!(read(html.as_bytes()).images[0].nearby_text, "text");
}

#[test]
fn unfinished_markup_ends() {
    for piece in [
        "<a",
        "<!--",
        "<![CDATA[",
        "</",
        "<script>",
        "<script><!--<script>",
        "<img src='",
        "&",
        "&#",
        "&amp",
        "<a b=",
        "<title>",
        "<noscript><img ",
        "</p>",
        "<p>",
        "<p><object><div>",
        "<svg><title>",
        "<b><p>",
        "<a><b><i><div>",
        "</b></i></a>",
        "<b x><i><u></p>",
        "<table><b>",
        "<nobr>",
        "<form>",
        "<select><option>",
        "<h1>",
        "<figure><figcaption>",
        "<dl><dt>",
        "\0",
        "\r",
        "\u{e9}",
        "<",
        ">",
        "\"",
        "<meta charset=",
    ] {
        assert!(filled_with(piece).images.len() <= 1, "{piece}");
    }
}

#[test]
fn many_images_and_links_end() {
    let limits = Limits::default();
    for piece in [
        "<img src=a.jpg>",
        "<img srcset='a 1w,",
        "<img alt=x src=data:>",
        "<p><img src=/>",
        "<noscript><img src=a.jpg></noscript>",
        "<picture><source srcset='a.jpg 9w'><img>",
        "<a href=a.jpg><img src=b.jpg>",
        "<a href=#>x</a>",
        "<base href=//h/><meta name=robots content=x>",
    ] {
        let page = filled_with(piece);
        assert!(page.images.len() <= limits.max_images && page.links.len() <= limits.max_links);
    }
    let distinct: String = (0..200_000).map(|n| format!("<img src={n}><a href={n}>")).collect();
    let page = read(distinct.as_bytes());
    assert_eq!((page.images.len(), page.links.len()), (limits.max_images, limits.max_links));
}

#[test]
fn a_sea_of_attributes_ends() {
    let html = format!("<img {} src=a.jpg>", "a b=c data-x='y' ".repeat(MEGABYTES / 17));
    assert_eq!(read(html.as_bytes()).images.len(), 1);
    let srcset = format!("<img srcset='{}'>", "a.jpg 1w, (,".repeat(MEGABYTES / 12));
    assert!(read(srcset.as_bytes()).images.len() <= 1);
}

#[test]
fn bytes_that_are_no_text_are_read() {
    let noise: Vec<u8> =
        (0..MEGABYTES as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    read(&noise);
    assert_eq!(read(b"").images, []);
    assert_eq!(read(b"<img src=\xff.jpg>").images.len(), 1);
    assert_eq!(
        read(b"\xff\xfe<\0i\0m\0g\0 \0s\0r\0c\0=\0a\0>\0").images[0].url,
        "http://example.org/a"
    );
}
