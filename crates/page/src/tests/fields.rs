//! What is noted of a page and of each image.

use magiclens_core::ImageSource;
use url::Url;

use super::super::{Extracted, Limits, extract};

fn read(html: &str) -> Extracted {
    let url = Url::parse("http://example.org/dir/page.html#top").unwrap();
    extract(html.as_bytes(), None, &url, &Limits::default())
}

fn urls(html: &str) -> Vec<String> {
    read(html).images.into_iter().map(|image| image.url).collect()
}

#[test]
fn a_rich_page_is_read_whole() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(render(&read(include_str!("rich.html")))));
}

fn render(page: &Extracted) -> String {
    let mut lines = vec![
        format!("charset: {}", page.charset),
        format!("title: {}", page.title),
        format!("language: {:?}", page.language_hint),
        format!("base: {}", page.base),
        format!("canonical: {:?}", page.canonical.as_ref().map(Url::as_str)),
        format!("robots: {:?}", page.robots_meta),
        format!("license: {:?}", page.license),
        format!("text: {}", page.text),
    ];
    lines.extend(page.links.iter().map(|link| format!("link: {link}")));
    lines.extend(page.og_images.iter().map(|image| format!("og: {image}")));
    lines.extend(page.images.iter().map(|image| format!("{image:#?}")));
    lines.join("\n")
}

#[test]
fn one_reference_a_place() {
    for (html, expected) in [
        ("<img src=a.jpg><img src=a.jpg#x><img src=b.jpg>", vec!["a.jpg", "b.jpg"]),
        ("<picture><source srcset='b.jpg 900w'><img src=a.jpg></picture>", vec!["b.jpg"]),
        (
            "<picture><source type=image/avif srcset='c.avif 1800w'><source srcset='b.webp 900w'>\
             <img src=a.jpg></picture>",
            vec!["b.webp"],
        ),
        (
            "<img class=lazy data-src=a.jpg> <noscript><img src=a-full.jpg></noscript>",
            vec!["a-full.jpg"],
        ),
        ("<img src=data:x><noscript><img src=a.jpg></noscript>", vec!["a.jpg"]),
        ("<img src=a.jpg><noscript><img src=stats.gif></noscript>", vec!["a.jpg", "stats.gif"]),
        (
            "<img class=lazy data-src=a.jpg>text<noscript><img src=b.jpg></noscript>",
            vec!["a.jpg", "b.jpg"],
        ),
        ("<a href=big.jpg><img src=thumb.jpg></a>", vec!["big.jpg"]),
        ("<a href=big.jpg><img src=1.jpg><img src=2.jpg></a>", vec!["big.jpg", "2.jpg"]),
        ("<a href=/wiki/File:Cat.jpg><img src=thumb.jpg></a>", vec!["thumb.jpg"]),
        ("<video poster=p.jpg><source src=v.mp4></video>", vec!["p.jpg"]),
        (
            "<img src='javascript:x'><img src=' '><img><img src=ftp://h/x.png><input type=image src=x.png>",
            vec![],
        ),
        ("<img src='http://[bad/x.png' srcset='good.png'>", vec!["good.png"]),
    ] {
        let expected: Vec<_> =
            expected.iter().map(|file| format!("http://example.org/dir/{file}")).collect();
        assert_eq!(urls(html), expected, "{html}");
    }
}

#[test]
fn the_place_with_an_alt_is_kept() {
    let images = read("<img src=a.jpg><img src=b.jpg><img src=a.jpg alt=A><img src=b.jpg>").images;
    let kept: Vec<_> = images.iter().map(|i| (&i.url[23..], i.alt.as_str(), i.position)).collect();
    assert_eq!(kept, [("b.jpg", "", 0), ("a.jpg", "A", 1)]);
}

#[test]
fn a_thumbnail_stays_known() {
    let page = read(
        "<a href=big.jpg><img src=t.jpg width=100 alt=x></a><img src=s.jpg srcset='l.jpg 9w'>",
    );
    let [anchor, srcset] = &page.images[..] else { panic!("two images") };
    assert_eq!(anchor.source, ImageSource::Anchor);
    assert_eq!(anchor.shown_url.as_deref(), Some("http://example.org/dir/t.jpg"));
    assert_eq!((anchor.alt.as_str(), anchor.width_hint), ("x", None));
    assert_eq!(srcset.shown_url.as_deref(), Some("http://example.org/dir/s.jpg"));
    assert_eq!((srcset.source, srcset.width_hint), (ImageSource::Srcset, Some(9)));
}

#[test]
fn the_first_base_counts_for_the_whole_page() {
    let page = read(
        "<a href=x>x</a><template><base href=/no/></template><base target=t>\
         <base href='//cdn.example.org/b/'><base href=/no/><img src=i.png>",
    );
    assert_eq!(page.base.as_str(), "http://cdn.example.org/b/");
    assert_eq!(page.links[0].as_str(), "http://cdn.example.org/b/x");
    assert_eq!(page.images[0].url, "http://cdn.example.org/b/i.png");
    assert_eq!(
        read("<base href=data:x><img src=i.png>").images[0].url,
        "http://example.org/dir/i.png"
    );
}

#[test]
fn links_are_followed_unless_they_say_not_to() {
    let page = read(
        "<a href=b>1</a><a href='b#f'>2</a><a href='#f'>3</a><a rel='x NoFollow' href=c>4</a>\
         <a href=mailto:x@y.z>5</a><map><area href='a?x&amp;y'></map><a href='&#x64;'>6</a>\
         <svg><a href=svg></a></svg><template><a href=t></a></template><a href='  HTTPS://H/x '>7</a>",
    );
    let links: Vec<_> = page.links.iter().map(Url::as_str).collect();
    let dir = "http://example.org/dir/";
    assert_eq!(
        links,
        [&format!("{dir}b"), &format!("{dir}a?x&y"), &format!("{dir}d"), "https://h/x"]
    );
}

#[test]
fn robots_and_reservations_are_noted() {
    let page = read(
        "<meta name=Robots content='NoAI, noindex'><meta name=GPTBot content=noindex>\
         <meta name=tdm-reservation content=1><meta name=tdm-policy content=/p.json>\
         <meta name=description content='no robots here'><meta name=magiclens content=noimageai>\
         <body><meta name=robots content=noimageindex>",
    );
    let names: Vec<_> = page.robots_meta.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["robots", "gptbot", "tdm-reservation", "tdm-policy", "magiclens", "robots"]);
    assert_eq!(page.robots_meta[0].1, "NoAI, noindex");
}

#[test]
fn captions_come_from_figures_tables_and_terms() {
    let page = read(
        "<figure><img src=1><figcaption>One <b>bold</b></figcaption></figure>\
         <table><caption>Two</caption><tr><td><img src=2></table>\
         <dl><dt>Three<dd><img src=3></dl><figure><figure><img src=4></figure>\
         <figcaption>Four</figcaption><a rel=license href=/cc>CC</a></figure><img src=5>",
    );
    let captions: Vec<_> = page.images.iter().map(|image| image.caption.as_str()).collect();
    assert_eq!(captions, ["One bold", "Two", "Three", "Four", ""]);
    assert_eq!(page.images[3].license.as_deref(), Some("http://example.org/cc"));
    assert_eq!((&page.images[0].license, &page.license), (&None, &None));
}

#[test]
fn headings_and_text_around_belong_to_the_image() {
    let page = read(
        "<h1>Top</h1><img src=1><h2>  Red\n cars </h2><h3><img src=2></h3><p>Before <img src=3> after.\
         <p>More<ul><li>Item <img src=4><li>Other</ul><script>not text</script>",
    );
    let heading: Vec<_> = page.images.iter().map(|image| image.heading.as_str()).collect();
    assert_eq!(heading, ["Top", "Red cars", "Red cars", "Red cars"]);
    assert_eq!(page.images[2].nearby_text, "Before after. More");
    assert_eq!(page.images[3].nearby_text, "Item");
    assert_eq!(page.text, "Top Red cars Before after. More Item Other");
}

#[test]
fn texts_are_capped_between_characters() {
    let long = "é ".repeat(5000);
    let html = format!(
        "<title>{long}</title><h1>{long}</h1><figure><img src=a alt='{long}'>{long}\
         <figcaption>{long}</figcaption></figure>"
    );
    let page = read(&html);
    let limits = Limits::default();
    let within = |text: &str, max| text.chars().count() <= max && text.chars().count() + 1 >= max;
    assert!(within(&page.title, limits.max_title) && within(&page.text, limits.max_text));
    let image = &page.images[0];
    assert!(within(&image.alt, limits.max_attribute) && within(&image.caption, limits.max_caption));
    assert!(within(&image.heading, limits.max_heading));
    assert!(image.nearby_text.chars().count() <= 2 * limits.max_nearby + 1);
}

#[test]
fn counts_are_capped() {
    let html: String = (0..100).map(|n| format!("<a href={n}><img src={n}.jpg></a>")).collect();
    let url = Url::parse("http://example.org/").unwrap();
    let limits = Limits { max_images: 7, max_links: 9, max_url_length: 25, ..Limits::default() };
    let page = extract(html.as_bytes(), None, &url, &limits);
    assert_eq!((page.images.len(), page.links.len()), (7, 9));
    let page = extract(b"<img src=long-name.jpg><img src=a.jpg>", None, &url, &limits);
    assert_eq!(page.images.len(), 1, "only the short URL");
}
