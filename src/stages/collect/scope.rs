//! Which URLs belong to a crawl.

use std::collections::BTreeSet;
use std::ops::Bound;

use url::Url;

use crate::config::Scope;
use crate::record::{host_key, registrable_domain};

/// The union of what the seeds reach.
#[derive(Clone, Debug)]
pub struct CrawlScope {
    scope: Scope,
    keys: BTreeSet<String>,
}

impl CrawlScope {
    /// The scope of a set of seeds.
    pub fn new(scope: Scope, seeds: &[Url]) -> Self {
        Self { scope, keys: seeds.iter().map(|seed| key(scope, seed)).collect() }
    }

    /// Whether a URL belongs to the crawl.
    pub fn contains(&self, url: &Url) -> bool {
        if !matches!(url.scheme(), "http" | "https") {
            return false;
        }
        match self.scope {
            Scope::Host => self.keys.contains(&host_key(url)),
            Scope::Domain => self.keys.contains(&registrable_domain(url)),
            Scope::Prefix => {
                let url = without_scheme(url);
                // The longest key that could be a prefix sorts just before the URL or earlier.
                let upper = (Bound::Unbounded, Bound::Included(url));
                let candidates = self.keys.range::<str, _>(upper).rev();
                let mut same_host = candidates.take_while(|key| shares_host(key, url));
                same_host.any(|key| url.starts_with(key.as_str()))
            }
        }
    }
}

fn key(scope: Scope, seed: &Url) -> String {
    match scope {
        Scope::Host => host_key(seed),
        Scope::Domain => registrable_domain(seed),
        Scope::Prefix => {
            let mut folder = seed.clone();
            folder.set_query(None);
            folder.set_fragment(None);
            let url = without_scheme(&folder);
            url[..=url.rfind('/').expect("an http URL has a path")].to_owned()
        }
    }
}

fn without_scheme(url: &Url) -> &str {
    let text = url.as_str();
    &text[url.scheme().len() + "://".len()..]
}

fn shares_host(a: &str, b: &str) -> bool {
    a.split('/').next() == b.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(scope: Scope, seeds: &[&str], url: &str) -> bool {
        let seeds: Vec<Url> = seeds.iter().map(|seed| Url::parse(seed).unwrap()).collect();
        CrawlScope::new(scope, &seeds).contains(&Url::parse(url).unwrap())
    }

    #[test]
    fn host_scope_keeps_to_host_and_port() {
        let seeds = ["http://a.example/x/y.html"];
        assert!(contains(Scope::Host, &seeds, "https://a.example/z"));
        assert!(!contains(Scope::Host, &seeds, "http://a.example:8080/z"));
        assert!(!contains(Scope::Host, &seeds, "http://b.a.example/z"));
        assert!(!contains(Scope::Host, &seeds, "ftp://a.example/z"));
    }

    #[test]
    fn domain_scope_spans_subdomains_but_no_public_suffix() {
        let seeds = ["http://www.a.co.uk/"];
        assert!(contains(Scope::Domain, &seeds, "http://img.a.co.uk/z"));
        assert!(!contains(Scope::Domain, &seeds, "http://b.co.uk/z"));
    }

    #[test]
    fn prefix_scope_keeps_below_the_seeds_folder() {
        let seeds = ["http://a.example/docs/en/index.html?x=1", "http://a.example/docs/en/sub/"];
        assert!(contains(Scope::Prefix, &seeds, "http://a.example/docs/en/z/1.html"));
        assert!(contains(Scope::Prefix, &seeds, "https://a.example/docs/en/"));
        assert!(!contains(Scope::Prefix, &seeds, "http://a.example/docs/english.html"));
        assert!(!contains(Scope::Prefix, &seeds, "http://a.example/docs/de/z.html"));
        assert!(!contains(Scope::Prefix, &seeds, "http://a.example.org/docs/en/"));
    }
}
