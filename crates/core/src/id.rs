//! Ids made from content, and the two names a URL is grouped by.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

/// The sha256 of an image's original bytes, in lower-case hex.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageId(String);

impl ImageId {
    /// Hashes the bytes as they came off the wire, after content decoding.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }

    /// From the 32 bytes of a digest.
    pub fn of_digest(digest: &[u8; 32]) -> Self {
        Self(hex::encode(digest))
    }

    /// The 32 bytes of the digest; none where this is not one.
    pub fn digest(&self) -> Option<[u8; 32]> {
        let mut digest = [0; 32];
        hex::decode_to_slice(&self.0, &mut digest).ok()?;
        Some(digest)
    }

    /// The 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `host` or `host:port` where the port is not the scheme's own: what politeness is counted by.
pub fn host_key(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The registrable domain (public suffix + 1) of a URL; the host itself for IP literals and bare
/// suffixes.
pub fn registrable_domain(url: &Url) -> String {
    match url.host() {
        Some(url::Host::Domain(host)) => psl::domain_str(host).unwrap_or(host).to_owned(),
        Some(host) => host.to_string(),
        None => String::new(),
    }
}

/// The sha256, in lower-case hex, of parts that are told apart by a line break.
pub fn content_id(parts: &[&str]) -> String {
    hex::encode(Sha256::digest(parts.join("\n")))
}

/// The part, of `parts`, that owns a host. The same on every machine and in every version.
pub fn partition(host: &str, parts: u32) -> u32 {
    let digest = Sha256::digest(host);
    let hash = u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"));
    u32::try_from(hash % u64::from(parts)).expect("less than parts")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_follow_the_public_suffix_list() {
        for (url, domain) in [
            ("http://a.b.example.co.uk/", "example.co.uk"),
            ("http://me.github.io/x", "me.github.io"),
            ("http://127.0.0.1:8090/", "127.0.0.1"),
            ("http://localhost/", "localhost"),
            ("http://[::1]/", "[::1]"),
        ] {
            let url = Url::parse(url).expect("a valid test URL");
            assert_eq!(registrable_domain(&url), domain);
        }
    }

    #[test]
    fn a_host_key_names_only_unusual_ports() {
        let key = |url| host_key(&Url::parse(url).expect("a valid test URL"));
        assert_eq!(key("http://EXAMPLE.org:80/x"), "example.org");
        assert_eq!(key("https://example.org:8443/x"), "example.org:8443");
    }
}
