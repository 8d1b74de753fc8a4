//! Odd pictures: formats, sizes and answers, each of which a fetcher meets sooner or later.

use super::doc::{Doc, Figure};
use super::odd::{Odd, at};
use super::{Body, CDN, CLOSED, Node, Reply, url};
use crate::encode;
use crate::picture::{Format, Picture, Subject};

/// Adds the pictures; returns the pages that show them.
pub fn plant(odd: &mut Odd<'_>) -> Vec<String> {
    let mut pages = vec![formats(odd), small(odd), answers(odd), not_pictures(odd), opted_out(odd)];
    if odd.world.options.hostile {
        pages.push(hostile(odd));
    }
    let urls = pages.iter().map(|doc| doc.url.clone()).collect();
    for doc in pages {
        odd.world.put_page(doc);
    }
    urls
}

fn formats(odd: &mut Odd<'_>) -> Doc {
    let mut doc = odd.page("/pictures/formats.html", "File formats");
    for (name, format) in [
        ("turned.jpg", Format::JpegOnItsSide),
        ("cmyk.jpg", Format::JpegCmyk),
        ("plain.png", Format::Png),
        ("deep.png", Format::Png16),
        ("alpha.png", Format::PngAlpha),
        ("still.gif", Format::Gif),
        ("moving.gif", Format::GifAnimated),
        ("plain.webp", Format::Webp),
    ] {
        doc.figure(odd.put_picture(&format!("/pictures/{name}"), format));
    }
    doc
}

/// Too small to be of use: some say so beforehand, some do not.
fn small(odd: &mut Odd<'_>) -> Doc {
    let mut doc = odd.page("/pictures/small.html", "Small pictures");
    for (name, side, hint) in [
        ("told-16.png", 16, Some(16)),
        ("told-63.png", 63, Some(63)),
        ("told-64.png", 64, Some(64)),
        ("untold-16.png", 16, None),
        ("untold-1.gif", 1, None),
    ] {
        let path = format!("/pictures/{name}");
        let format = if name.ends_with("gif") { Format::Gif } else { Format::Png };
        let mark = Picture::new(Subject::Mark(at(&path)), (side, side)).saved_as(format);
        let figure = Figure::bare(odd.put(&path, Node::picture(mark)), "");
        doc.figure(match hint {
            Some(side) => figure.sized(side, side),
            None => figure,
        });
    }
    doc
}

fn answers(odd: &mut Odd<'_>) -> Doc {
    let mut doc = odd.page("/pictures/answers.html", "Answers");
    for status in [403, 404, 410] {
        let node = Node::bad(Reply::status(status), "http_client_error");
        doc.figure(broken(odd, &format!("/pictures/{status}.jpg"), node));
    }
    let down = Node::bad(Reply::status(503), "http_server_error");
    doc.figure(broken(odd, "/pictures/503.jpg", down));
    for (name, first) in [
        ("flaky.jpg", Reply::status(500)),
        ("busy.jpg", Reply::status(429).with("retry-after", "1")),
    ] {
        let (picture, alt) = odd.picture();
        let node = Node::picture(picture).after(1, first);
        doc.figure(Figure::new(odd.put(&format!("/pictures/{name}"), node), alt, "At last."));
    }
    for (name, mime) in [("typed-html.jpg", Some("text/html")), ("untyped.jpg", None)] {
        let (picture, alt) = odd.picture();
        let mut node = Node::picture(picture);
        node.reply.mime = mime.map(String::from);
        doc.figure(Figure::new(odd.put(&format!("/pictures/{name}"), node), alt, "A picture."));
    }
    doc.figure(odd.put_picture("/pictures/png-by-name.png", Format::Jpeg));
    redirected(odd, &mut doc);
    doc
}

fn redirected(odd: &mut Odd<'_>, doc: &mut Doc) {
    let (picture, alt) = odd.picture();
    let to = odd.put("/pictures/after-the-move.jpg", Node::picture(picture));
    let from = odd.put("/pictures/before-the-move.jpg", Node::redirect(302, &to, None));
    doc.figure(Figure::new(from, alt, "Moved."));
    for (name, to, reason) in [
        ("loop", at("/pictures/loop.jpg"), "bad_redirect"),
        ("private", "http://10.0.0.1/a.jpg".to_string(), "forbidden_address"),
        ("metadata", "http://169.254.169.254/a.jpg".to_string(), "forbidden_address"),
        ("forbidden", url(CDN, "/private/a.jpg"), "robots_txt"),
    ] {
        let node = Node::redirect(302, &to, Some(reason));
        doc.figure(broken(odd, &format!("/pictures/{name}.jpg"), node));
    }
    for direct in ["http://10.0.0.1/b.jpg", "http://169.254.169.254/b.jpg"] {
        doc.figure(Figure::new(direct, "A private address", "Not ours to ask."));
    }
}

fn broken(odd: &mut Odd<'_>, path: &str, node: Node) -> Figure {
    Figure::new(odd.put(path, node), "Never seen", "Broken.")
}

fn not_pictures(odd: &mut Odd<'_>) -> Doc {
    let mut doc = odd.page("/pictures/impostors.html", "Impostors");
    let (picture, _) = odd.picture();
    let page = "<!DOCTYPE html><title>Sorry</title><p>Hotlinking is not allowed.</p>";
    let drawing = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"300\" height=\"200\"/>";
    let avif = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf\0\0\0\x08mdat".to_vec();
    let tiff = b"II*\0\x08\0\0\0\0\0\0\0\0\0".to_vec();
    let files = [
        ("page.jpg", "image/jpeg", Body::Text(page.into()), "not_image"),
        ("empty.jpg", "image/jpeg", Body::Bytes(Vec::new()), "not_image"),
        ("drawing.svg", "image/svg+xml", Body::Text(drawing.into()), "unsupported_format"),
        ("new.avif", "image/avif", Body::Bytes(avif), "unsupported_format"),
        ("scan.tif", "image/tiff", Body::Bytes(tiff), "unsupported_format"),
        ("cut.jpg", "image/jpeg", Body::Cut(picture.clone(), 100), "decode_error"),
        ("cut.png", "image/png", Body::Cut(picture.saved_as(Format::Png), 9000), "decode_error"),
        ("vast.png", "image/png", Body::Bytes(encode::pixel_bomb(40_000)), "too_many_pixels"),
    ];
    for (name, mime, body, reason) in files {
        let node = Node::bad(Reply::ok(mime, body), reason);
        doc.figure(broken(odd, &format!("/pictures/{name}"), node));
    }
    doc
}

/// Images that their host forbids: by robots.txt, by a robots.txt that fails, by header.
fn opted_out(odd: &mut Odd<'_>) -> Doc {
    let mut doc = odd.page("/pictures/opted-out.html", "Opted out");
    for (name, header, value, reason) in [
        ("noimageai.jpg", "x-robots-tag", "noimageai", "noimageai"),
        ("noai.jpg", "x-robots-tag", "noai", "noai"),
        ("tdm.jpg", "tdm-reservation", "1", "tdm_reservation"),
    ] {
        let (picture, alt) = odd.picture();
        let mut node = Node { reason: Some(reason), ..Node::picture(picture) };
        node.reply = node.reply.with(header, value);
        doc.figure(Figure::new(odd.put(&format!("/pictures/{name}"), node), alt, "Not for us."));
    }
    for at in [url(CDN, "/private/a.jpg"), url(CLOSED, "/a.jpg")] {
        let (picture, alt) = odd.picture();
        odd.world.put(at.clone(), Node { reason: Some("robots_txt"), ..Node::picture(picture) });
        odd.world.unseen.insert(at.clone());
        doc.figure(Figure::new(at, alt, "Forbidden."));
    }
    doc
}

fn hostile(odd: &mut Odd<'_>) -> Doc {
    let mut doc = odd.page("/pictures/hostile.html", "Hostile pictures");
    let start = vec![0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0, 1, 1, 0, 0, 1];
    let answers = [
        ("drip", Body::Drip(start.clone()), "timeout"),
        ("stall", Body::Stall(start.clone()), "timeout"),
        ("endless", Body::Endless(start.clone()), "body_too_large"),
        ("bomb", Body::Bomb(start.clone(), 64 << 20), "body_too_large"),
        ("lying", Body::Short(start, 5000), "body_broken"),
    ];
    for (name, body, reason) in answers {
        let node = Node::bad(Reply::ok("image/jpeg", body), reason);
        doc.figure(broken(odd, &format!("/pictures/hostile-{name}.jpg"), node));
    }
    doc
}
