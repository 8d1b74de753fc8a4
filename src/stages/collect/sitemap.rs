//! sitemap.xml: further URLs of a host, from robots.txt and the usual place.
//!
//! <https://www.sitemaps.org/protocol.html>: `urlset` and `sitemapindex`, plain text lists, gzip.

use std::collections::VecDeque;

use magiclens_codings as codings;
use quick_xml::Reader;
use quick_xml::events::Event;
use url::Url;

use crate::http::{Answer, Kind};
use crate::record::host_key;
use crate::stages::context::Context;

/// A sitemap may inflate to this many times the page cap.
const INFLATE_FACTOR: usize = 4;

/// What sitemap files list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sitemap {
    /// Pages.
    pub pages: Vec<Url>,
    /// Further sitemaps.
    pub sitemaps: Vec<Url>,
}

/// The sitemaps of a host: those that its robots.txt names, and the usual place.
pub async fn named(ctx: &Context, origin: &Url) -> Vec<Url> {
    let Ok(rules) = ctx.client.robots(origin).await else { return Vec::new() };
    if rules.is_unreachable() {
        return Vec::new();
    }
    rules.sitemaps().iter().cloned().chain(origin.join("/sitemap.xml")).collect()
}

/// Reads sitemaps and those that they name: pages in the order found, and the sitemaps that are on other
/// hosts, which are not asked here.
pub async fn collect(ctx: &Context, host: &str, named: Vec<Url>) -> Sitemap {
    let is_here = |url: &Url| host_key(url) == host;
    let mut queue = VecDeque::from(named);
    let mut seen = Vec::new();
    let mut all = Sitemap::default();
    while let Some(url) = queue.pop_front() {
        if seen.len() >= ctx.config.crawl.max_sitemaps_per_host || ctx.stop.is_cancelled() {
            break;
        }
        if seen.contains(&url) {
            continue;
        }
        if !is_here(&url) {
            all.sitemaps.push(url.clone());
            seen.push(url);
            continue;
        }
        match ctx.client.get_within(&url, Vec::new(), Kind::Sitemap, is_here).await {
            Ok(Answer::Fetched(fetched)) => {
                let cap = ctx.config.crawl.max_page_bytes.saturating_mul(INFLATE_FACTOR);
                let found = parse(fetched.body, cap);
                all.pages.extend(found.pages);
                queue.extend(found.sitemaps);
            }
            Ok(Answer::Elsewhere(to, _)) => all.sitemaps.push(to),
            Err(error) => tracing::debug!(%url, %error, "no sitemap"),
        }
        seen.push(url);
    }
    all
}

/// Reads one file; of a broken one, what comes before the damage.
pub fn parse(body: Vec<u8>, cap: usize) -> Sitemap {
    let body = if body.starts_with(b"\x1f\x8b") {
        match codings::decode(body, "gzip", cap) {
            Ok(body) => body,
            Err(_) => return Sitemap::default(),
        }
    } else {
        body
    };
    let text = String::from_utf8_lossy(&body);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with('<') {
        return parse_xml(text);
    }
    Sitemap { pages: text.lines().filter_map(web_url).collect(), sitemaps: Vec::new() }
}

fn parse_xml(text: &str) -> Sitemap {
    let mut reader = Reader::from_str(text);
    let mut found = Sitemap::default();
    let mut path: Vec<String> = Vec::new();
    let mut loc = String::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => path.push(tag.local_name().as_ref().to_owned()),
            Ok(Event::Text(text)) if in_loc(&path) => {
                loc.push_str(&text);
            }
            Ok(Event::CData(text)) if in_loc(&path) => {
                loc.push_str(&text);
            }
            Ok(Event::GeneralRef(entity)) if in_loc(&path) => {
                loc.push_str(quick_xml::escape::resolve_predefined_entity(&entity).unwrap_or("&"));
            }
            Ok(Event::End(_)) => {
                if in_loc(&path) {
                    let list = match path[path.len() - 2].as_str() {
                        "sitemap" => &mut found.sitemaps,
                        _ => &mut found.pages,
                    };
                    list.extend(web_url(&std::mem::take(&mut loc)));
                }
                path.pop();
            }
            Ok(Event::Eof) | Err(_) => return found,
            Ok(_) => {}
        }
    }
}

/// Whether the reader is in `<url><loc>` or `<sitemap><loc>`; image sitemaps nest another `loc`.
fn in_loc(path: &[String]) -> bool {
    let [.., parent, last] = path else { return false };
    last == "loc" && (parent == "url" || parent == "sitemap")
}

fn web_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text.trim()).ok()?;
    url.set_fragment(None);
    matches!(url.scheme(), "http" | "https").then_some(url)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const CAP: usize = 1 << 20;

    fn pages(text: &[u8]) -> Vec<String> {
        parse(text.to_vec(), CAP).pages.into_iter().map(String::from).collect()
    }

    const URLSET: &str = r#"<?xml version="1.0"?>
        <urlset xmlns:image="x"><url><loc> http://a.example/?a=1&amp;b=2 </loc>
        <image:image><image:loc>http://a.example/i.jpg</image:loc></image:image></url>
        <url><loc><![CDATA[http://a.example/c]]></loc></url><url><loc>mailto:x@y</loc></url>"#;

    #[test]
    fn a_url_set_cut_short_gives_what_it_has() {
        let expected = ["http://a.example/?a=1&b=2", "http://a.example/c"];
        assert_eq!(pages(URLSET.as_bytes()), expected);
    }

    #[test]
    fn gzip_and_plain_lists_are_read_too() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(URLSET.as_bytes()).unwrap();
        assert_eq!(pages(&gzip.finish().unwrap()).len(), 2);
        assert_eq!(pages(b"http://a.example/1\nnonsense\nhttps://a.example/2#x").len(), 2);
    }

    #[test]
    fn an_index_leads_to_further_files() {
        let index = "<sitemapindex><sitemap><loc>http://a.example/s.xml.gz</loc></sitemap>";
        let found = parse(index.as_bytes().to_vec(), CAP);
        assert_eq!(found.sitemaps, [Url::parse("http://a.example/s.xml.gz").unwrap()]);
        assert_eq!(found.pages, []);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            parse([b"<urlset>".to_vec(), body.clone()].concat(), CAP);
            parse(body, CAP);
        }
    }
}
