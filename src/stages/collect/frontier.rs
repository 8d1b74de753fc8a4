//! What is visited on one host, and in which order: a plain data structure without I/O.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use url::Url;

use crate::config::Crawl;
use crate::record::{Reason, Reject};

/// The frontier of one host.
pub struct Frontier {
    max_depth: u32,
    max_url_length: usize,
    max_path_repeats: usize,
    max_pages: usize,
    admitted: usize,
    known: HashSet<u64>,
    offered: u64,
    levels: BTreeMap<u32, BTreeSet<String>>,
    rejects: Vec<Reject>,
}

impl Frontier {
    /// An empty one.
    pub fn new(crawl: &Crawl) -> Self {
        Self {
            max_depth: crawl.max_depth,
            max_url_length: crawl.max_url_length,
            max_path_repeats: crawl.max_path_repeats,
            max_pages: crawl.max_pages_per_host,
            admitted: 0,
            known: HashSet::new(),
            offered: 0,
            levels: BTreeMap::new(),
            rejects: Vec::new(),
        }
    }

    /// Marks a URL as dealt with elsewhere: by an earlier round, or as the end of a redirect.
    pub fn mark(&mut self, url: &str) {
        self.known.insert(hash(url));
    }

    /// Counts a visit of an earlier round against the page limit.
    pub fn count_earlier_visit(&mut self, url: &str) {
        self.mark(url);
        self.admitted += 1;
    }

    /// Offers a URL of this host, found `depth` links from a seed. The first offer counts.
    pub fn offer(&mut self, url: &str, depth: u32) {
        if !self.known.insert(hash(url)) {
            return;
        }
        self.offered += 1;
        if let Some((reason, detail)) = self.objection(url, depth) {
            self.rejects.push(Reject::new(url, reason, detail));
            return;
        }
        let level = self.levels.entry(depth).or_default();
        level.insert(url.to_owned());
        // Only the first by URL can be admitted, so no level needs to hold more.
        if level.len() > self.max_pages
            && let Some(url) = level.pop_last()
        {
            self.reject_over_limit(url);
        }
    }

    /// The next level in order, cut at the page limit.
    pub fn next_level(&mut self) -> Option<(u32, Vec<String>)> {
        let (depth, level) = self.levels.pop_first()?;
        let quota = self.max_pages.saturating_sub(self.admitted);
        let mut urls: Vec<String> = level.into_iter().collect();
        for url in urls.drain(quota.min(urls.len())..).collect::<Vec<_>>() {
            self.reject_over_limit(url);
        }
        self.admitted += urls.len();
        Some((depth, urls))
    }

    /// What was turned down since the last call.
    pub fn take_rejects(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.rejects)
    }

    /// How many distinct URLs were offered.
    pub fn offered(&self) -> u64 {
        self.offered
    }

    fn reject_over_limit(&mut self, url: String) {
        let detail = format!("more than {} pages", self.max_pages);
        self.rejects.push(Reject::new(url, Reason::PageLimit, detail));
    }

    fn objection(&self, url: &str, depth: u32) -> Option<(Reason, String)> {
        if url.len() > self.max_url_length {
            return Some((Reason::UrlTooLong, format!("{} bytes", url.len())));
        }
        if depth > self.max_depth {
            return Some((Reason::TooDeep, format!("{depth} links from a seed")));
        }
        let segment = most_repeated_segment(url, self.max_path_repeats)?;
        Some((Reason::PathRepetition, format!("/{segment}/ again and again")))
    }
}

/// A path segment that occurs more than `limit` times.
fn most_repeated_segment(url: &str, limit: usize) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let mut counts = BTreeMap::new();
    for segment in url.path_segments()?.filter(|segment| !segment.is_empty()) {
        *counts.entry(segment.to_owned()).or_insert(0) += 1;
    }
    counts.into_iter().find(|(_, n)| *n > limit).map(|(segment, _)| segment)
}

fn hash(url: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    url.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frontier(max_pages_per_host: usize) -> Frontier {
        Frontier::new(&Crawl { max_pages_per_host, max_depth: 3, ..Crawl::default() })
    }

    fn reasons(frontier: &mut Frontier) -> Vec<Reason> {
        frontier.take_rejects().into_iter().map(|reject| reject.reason).collect()
    }

    #[test]
    fn traps_are_turned_down_with_their_reason() {
        let mut f = frontier(10);
        f.offer("http://a.example/x/x/x/", 1);
        f.offer("http://a.example/x/y/x/y/x/y/x/y/", 1);
        f.offer(&format!("http://a.example/{}", "z".repeat(2083)), 1);
        f.offer("http://a.example/deep", 4);
        let expected = [Reason::PathRepetition, Reason::UrlTooLong, Reason::TooDeep];
        assert_eq!(reasons(&mut f), expected);
        assert_eq!(f.next_level(), Some((1, vec!["http://a.example/x/x/x/".into()])));
        assert_eq!(f.offered(), 4);
    }

    #[test]
    fn a_url_is_visited_once() {
        let mut f = frontier(10);
        f.mark("http://a.example/earlier");
        f.offer("http://a.example/earlier", 0);
        f.offer("http://a.example/", 0);
        f.offer("http://a.example/", 1);
        assert_eq!(f.next_level(), Some((0, vec!["http://a.example/".into()])));
        f.offer("http://a.example/", 1);
        assert_eq!(f.next_level(), None);
        assert_eq!(f.offered(), 1);
    }

    proptest! {
        #[test]
        fn the_order_of_offers_does_not_matter(
            mut urls in proptest::collection::vec("[a-e]{1,2}", 1..40), limit in 1usize..12,
        ) {
            let crawl = |urls: &[String]| {
                let mut f = frontier(limit);
                urls.iter().for_each(|url| f.offer(&format!("http://h.example/{url}"), 1));
                let admitted = f.next_level().map(|(_, urls)| urls).unwrap_or_default();
                let mut rejects = f.take_rejects();
                rejects.sort();
                assert_eq!(f.offered() as usize, admitted.len() + rejects.len());
                assert!(admitted.len() <= limit);
                (admitted, rejects)
            };
            let one = crawl(&urls);
            urls.reverse();
            prop_assert_eq!(one, crawl(&urls));
        }
    }
}
