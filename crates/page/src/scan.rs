//! Whether a page can hold so many images at all, by its bytes: far cheaper than reading it.

/// Elements that [`super::extract`] takes images from. `<image>` is read as `<img>`; a `<source>` or a
/// link around an image only says where the image of an `<img>` lies.
const TAGS: [&[u8]; 3] = [b"img", b"image", b"video"];

/// False where [`super::extract`] is certain to find fewer than `at_least` images in `html`.
pub fn may_hold_images(html: &[u8], at_least: usize) -> bool {
    // Only in text without these are the letters of a tag the bytes of the file, one after the
    // other: UTF-16 has zeros between them, ISO-2022-JP may have escape sequences.
    if at_least == 0 || memchr::memchr2(0, 0x1b, html).is_some() {
        return true;
    }
    let tags = memchr::memchr_iter(b'<', html).filter(|&at| begins_image(&html[at + 1..]));
    tags.take(at_least).count() == at_least
}

fn begins_image(rest: &[u8]) -> bool {
    TAGS.iter().any(|tag| rest.get(..tag.len()).is_some_and(|name| name.eq_ignore_ascii_case(tag)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::super::{Limits, extract};
    use super::*;

    #[test]
    fn pages_are_told_by_their_tags() {
        for (html, images) in [
            ("<p>text <a href=x.jpg>a link</a>", 0),
            ("<img src=1.jpg>", 1),
            ("<IMG src=1.jpg><video poster=2.jpg>", 2),
            ("<noscript><img src=1.jpg></noscript><Image src=2.jpg>", 2),
            ("<meta property=og:image content=1.jpg><img src=2.jpg>", 1),
        ] {
            assert!(may_hold_images(html.as_bytes(), images), "{html}");
            assert!(!may_hold_images(html.as_bytes(), images + 1), "{html}");
        }
        let utf16: Vec<u8> =
            "\u{feff}<img src=1.jpg>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(may_hold_images(&utf16, 2));
        assert!(may_hold_images(b"<\x1b(Bimg src=1.jpg>", 2));
    }

    fn pieces() -> impl Strategy<Value = Vec<&'static str>> {
        let piece = proptest::sample::select(vec![
            "<img src=1.jpg>",
            "<img data-src='2.jpg'>",
            "<IMG srcset='3.jpg 2x, 4.jpg'>",
            "<picture><source srcset=5.jpg>",
            "</picture>",
            "<video poster=6.jpg>",
            "</video>",
            "<a href=7.jpg>",
            "</a>",
            "<noscript>",
            "</noscript>",
            "<image src=8.jpg>",
            "<!--",
            "-->",
            "<script>",
            "</script>",
            "<template>",
            "</template>",
            "<svg>",
            "</svg>",
            "<table>",
            "<td>",
            "<textarea>",
            "</textarea>",
            "<body background=9.jpg>",
            "<div style='background:url(a.jpg)'>",
            "text",
            "<",
            "img src=b.jpg>",
            "<p title='<img src=c.jpg>'>",
            "&lt;img src=d.jpg&gt;",
            "<input type=image src=e.jpg>",
            "<object data=f.jpg>",
            "<link rel=image_src href=g.jpg>",
            "<meta property=og:image content=h.jpg>",
            "\u{1b}(B",
            "\0",
            "\u{1b}$B",
        ]);
        proptest::collection::vec(piece, 0..14)
    }

    proptest! {
        #[test]
        fn no_page_with_images_is_held_for_one_without(pieces in pieces(), charset in 0usize..4) {
            let charset = [None, Some("utf-16le"), Some("iso-2022-jp"), Some("shift_jis")][charset];
            let url = Url::parse("http://a.example/").unwrap();
            let text = pieces.concat();
            let html = match charset {
                Some("utf-16le") => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                _ => text.into_bytes(),
            };
            let images = extract(&html, charset, &url, &Limits::default()).images.len();
            prop_assert!(may_hold_images(&html, images), "{images} images");
        }
    }
}
