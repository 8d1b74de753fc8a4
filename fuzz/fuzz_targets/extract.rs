//! Any bytes are a page: nothing panics, caps hold, URLs are absolute, positions count up.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use magiclens::stages::collect::extract::{Limits, extract};
use url::Url;

static URL: LazyLock<Url> =
    LazyLock::new(|| Url::parse("http://example.org/dir/page.html").expect("a valid URL"));

fuzz_target!(|html: &[u8]| {
    let limits = Limits { max_images: 20, max_links: 30, max_text: 100, ..Limits::default() };
    let page = extract(html, None, &URL, &limits);
    assert!(page.images.len() <= 20 && page.links.len() <= 30);
    assert!(page.text.chars().count() <= 100);
    for (position, image) in page.images.iter().enumerate() {
        assert_eq!(image.position as usize, position);
        let url = Url::parse(&image.url).expect("an absolute URL");
        assert!(matches!(url.scheme(), "http" | "https") && url.fragment().is_none());
        assert!(image.alt.chars().count() <= limits.max_attribute);
    }
});
