//! What was taken back: every stage, cache and export leaves it out.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use url::Url;

use super::ImageId;

/// URLs, domains, images and clusters that must not be used any more. Tables depend on a hash of these as JSON, so
/// a field that is added later is left out of it while it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tombstones {
    /// URLs of pages and of images, as written.
    pub urls: BTreeSet<String>,
    /// Hosts, each with all below it.
    pub domains: BTreeSet<String>,
    /// sha256 of images' original bytes, hex.
    pub sha256: BTreeSet<String>,
    /// Ids of clusters: images with all their near-duplicates.
    pub clusters: BTreeSet<String>,
}

impl Tombstones {
    /// Whether nothing was taken back.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what another one has.
    pub fn extend(&mut self, other: Self) {
        self.urls.extend(other.urls);
        self.domains.extend(other.domains);
        self.sha256.extend(other.sha256);
        self.clusters.extend(other.clusters);
    }

    /// Whether a page or an image at this URL was taken back.
    pub fn covers_url(&self, url: &str) -> bool {
        if self.urls.contains(url) {
            return true;
        }
        if self.domains.is_empty() {
            return false;
        }
        let url = Url::parse(url).ok();
        self.covers_host(url.as_ref().and_then(Url::host_str).unwrap_or_default())
    }

    /// Whether all of a host, or of a domain, was taken back; its port does not matter.
    pub fn covers_host(&self, host: &str) -> bool {
        let port = |&at: &usize| host[at + 1..].bytes().all(|byte| byte.is_ascii_digit());
        let mut rest = Some(&host[..host.rfind(':').filter(port).unwrap_or(host.len())]);
        while let Some(domain) = rest {
            if self.domains.contains(domain) {
                return true;
            }
            rest = domain.split_once('.').map(|(_, above)| above);
        }
        false
    }

    /// Whether an image was taken back, by its URL or its bytes.
    pub fn covers_image(&self, url: &str, image_id: &ImageId) -> bool {
        self.sha256.contains(image_id.as_str()) || self.covers_url(url)
    }

    /// Whether a cluster was taken back.
    pub fn covers_cluster(&self, cluster_id: &ImageId) -> bool {
        self.clusters.contains(cluster_id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_covers_its_hosts_and_no_other() {
        let stones = Tombstones {
            domains: ["example.org".to_owned()].into(),
            urls: ["http://a.test/x.jpg".to_owned()].into(),
            ..Tombstones::default()
        };
        for url in ["http://example.org/", "https://img.example.org:81/a", "http://a.test/x.jpg"] {
            assert!(stones.covers_url(url), "{url}");
        }
        for url in ["http://notexample.org/", "http://example.org.test/", "http://a.test/y.jpg"] {
            assert!(!stones.covers_url(url), "{url}");
        }
        assert!(stones.covers_host("img.example.org:8080") && stones.covers_host("example.org"));
        assert!(!stones.covers_host("org") && !stones.covers_host("[::1]"));
    }

    #[test]
    fn what_was_taken_back_is_hashed_as_in_25d6a2e() {
        let urls = ["http://a/".to_owned()].into();
        let text = serde_json::to_string(&Tombstones { urls, ..Tombstones::default() }).unwrap();
        assert_eq!(text, r#"{"urls":["http://a/"],"domains":[],"sha256":[],"clusters":[]}"#);
    }
}
