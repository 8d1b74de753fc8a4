//! What a round leaves for other hosts: each URL once, at its least depth.

use std::collections::BTreeMap;

use crate::table::OutboxLink;

/// Links and sitemaps on other hosts, in the order of their URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox(BTreeMap<(String, bool), u32>);

impl Outbox {
    /// Adds one; of the same URL the least depth stays.
    pub fn add(&mut self, link: OutboxLink) {
        let known = self.0.entry((link.url, link.is_sitemap)).or_insert(link.depth);
        *known = link.depth.min(*known);
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn links(&self) -> impl Iterator<Item = OutboxLink> {
        let link = |((url, is_sitemap), depth): (&(String, bool), &u32)| OutboxLink {
            url: url.clone(),
            depth: *depth,
            is_sitemap: *is_sitemap,
        };
        self.0.iter().map(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_depth_stays() {
        let link =
            |depth, is_sitemap| OutboxLink { url: "http://a.example/".into(), depth, is_sitemap };
        let mut outbox = Outbox::default();
        for depth in [3, 2, 4] {
            outbox.add(link(depth, false));
        }
        outbox.add(link(1, true));
        let links: Vec<_> = outbox.links().collect();
        assert_eq!(links, [link(2, false), link(1, true)]);
    }
}
