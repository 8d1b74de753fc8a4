//! The URLs and addresses that may be requested: http(s) to public addresses, plus allowed ranges.
//!
//! [`AddressPolicy::check_url`] sees hosts that are IP literals, for which no resolver is asked;
//! [`super::resolver`] sees every answer of DNS. Both are asked on every hop of a redirect. The url
//! crate has already turned decimal, octal, hex, short, full-width and percent-encoded forms of an
//! address into the address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use magiclens_core::Reason;
use url::{Host, Url};

use super::addresses::{is_metadata, is_metadata_name, mapped, not_public};
use super::error::FetchError;

/// A host or address that is never asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {why}")]
pub struct ForbiddenAddress {
    /// The address or name.
    pub what: String,
    /// Reason why it is forbidden.
    pub why: &'static str,
}

const METADATA: &str = "a cloud metadata service";

/// The rules for addresses: public ones, and the ranges of `crawl.allow_addresses`.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    allowed: Vec<IpNet>,
}

impl AddressPolicy {
    /// Public addresses and `allowed`; metadata addresses stay refused even inside of `allowed`.
    pub fn new(allowed: &[IpNet]) -> Self {
        Self { allowed: allowed.to_vec() }
    }

    /// Refuses what is not public and not allowed, and metadata addresses always.
    pub fn check_ip(&self, ip: IpAddr) -> Result<(), ForbiddenAddress> {
        let forbidden = |why| Err(ForbiddenAddress { what: ip.to_string(), why });
        if is_metadata(ip) {
            return forbidden(METADATA);
        }
        match not_public(ip) {
            Some(why) if !self.is_allowed(ip) => forbidden(why),
            _ => Ok(()),
        }
    }

    /// Refuses names that need no lookup to be known as forbidden: metadata services, localhost.
    pub fn check_name(&self, name: &str) -> Result<(), ForbiddenAddress> {
        let name = canonical_name(name);
        if is_metadata_name(&name) {
            return Err(ForbiddenAddress { what: name, why: METADATA });
        }
        if let Ok(ip) = name.parse() {
            return self.check_ip(ip);
        }
        if name == "localhost" || name.ends_with(".localhost") {
            let v4 = self.check_ip(Ipv4Addr::LOCALHOST.into());
            let ok = v4.is_ok() || self.check_ip(Ipv6Addr::LOCALHOST.into()).is_ok();
            return if ok { Ok(()) } else { v4 };
        }
        Ok(())
    }

    /// Refuses other schemes than http(s), URLs without a host, with credentials or with port 0,
    /// and hosts that [`Self::check_ip`] or [`Self::check_name`] refuse.
    pub fn check_url(&self, url: &Url) -> Result<(), FetchError> {
        let bad = |what: String| Err(FetchError::new(Reason::BadUrl, what));
        if !matches!(url.scheme(), "http" | "https") {
            return bad(format!("scheme {} is not http or https", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return bad("the URL carries credentials".into());
        }
        if url.port() == Some(0) {
            return bad("port 0".into());
        }
        let checked = match url.host() {
            Some(Host::Ipv4(ip)) => self.check_ip(ip.into()),
            Some(Host::Ipv6(ip)) => self.check_ip(ip.into()),
            Some(Host::Domain(name)) if !canonical_name(name).is_empty() => self.check_name(name),
            _ => return bad("the URL has no host".into()),
        };
        checked.map_err(|error| FetchError::new(Reason::ForbiddenAddress, error.to_string()))
    }

    fn is_allowed(&self, ip: IpAddr) -> bool {
        let as_v4 = match ip {
            IpAddr::V6(v6) => mapped(v6).map(IpAddr::V4),
            IpAddr::V4(_) => None,
        };
        self.allowed
            .iter()
            .any(|net| net.contains(&ip) || as_v4.is_some_and(|v4| net.contains(&v4)))
    }
}

/// Lower case, without the dots at the end that make no difference to a resolver.
pub(super) fn canonical_name(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(policy: &AddressPolicy, url: &str) -> Result<(), Reason> {
        let url = Url::parse(url).unwrap_or_else(|e| panic!("{url}: {e}"));
        policy.check_url(&url).map_err(|error| error.reason)
    }

    /// Everything that once got a request into a private network somewhere.
    const FORBIDDEN: &[&str] = &[
        "http://127.0.0.1/",
        "http://127.255.255.254/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.0x1/",
        "http://0177.0.0.01/",
        "http://017700000001/",
        "http://127.0.0.1./",
        "http://１２７.０.０.１/",
        "http://127。0。0。1/",
        "http://%31%32%37.0.0.1/",
        "http://①②⑦.0.0.1/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://a.localhost/",
        "http://0.0.0.0/",
        "http://0/",
        "http://0.1.2.3/",
        "http://10.0.0.1/",
        "http://10.255.255.255/",
        "http://172.16.0.1/",
        "http://172.31.255.255/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://100.127.255.255/",
        "http://169.254.1.1/",
        "http://192.0.0.8/",
        "http://192.0.2.1/",
        "http://198.51.100.7/",
        "http://203.0.113.9/",
        "http://192.88.99.1/",
        "http://198.18.0.1/",
        "http://198.19.255.255/",
        "http://224.0.0.1/",
        "http://239.255.255.250/",
        "http://240.0.0.1/",
        "http://255.255.255.255/",
        "http://[::]/",
        "http://[::1]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::ffff:192.168.0.1]/",
        "http://[::127.0.0.1]/",
        "http://[::ffff:0:10.0.0.1]/",
        "http://[64:ff9b::127.0.0.1]/",
        "http://[64:ff9b::10.0.0.1]/",
        "http://[64:ff9b:1::8.8.8.8]/",
        "http://[2002:7f00:1::]/",
        "http://[2002:808:808::1]/",
        "http://[2001:0:808:808::f5ff:fffe]/",
        "http://[2001:db8::1]/",
        "http://[2001:2::1]/",
        "http://[2001:10::1]/",
        "http://[3fff::1]/",
        "http://[100::1]/",
        "http://[5f00::1]/",
        "http://[fc00::1]/",
        "http://[fd12:3456::1]/",
        "http://[fe80::1]/",
        "http://[fec0::1]/",
        "http://[ff02::1]/",
    ];

    const METADATA_URLS: &[&str] = &[
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://0xA9FEA9FE/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://169.254.169.254./",
        "http://169.254.170.2/",
        "http://169.254.170.23/",
        "http://100.100.100.200/",
        "http://168.63.129.16/",
        "http://192.0.0.192/",
        "http://[::ffff:169.254.169.254]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[::169.254.169.254]/",
        "http://[::ffff:0:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[64:ff9b:1::a9fe:a9fe]/",
        "http://[64:ff9b:1:a9fe:a9:fe00::]/",
        "http://[2002:a9fe:a9fe::1]/",
        "http://[2001:0:a9fe:a9fe::1]/",
        "http://[2001::5601:5601]/",
        "http://[2001:4860::5efe:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://[fd20:ce::254]/",
        "http://[fe80::a9fe:a9fe]/",
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://METADATA.google.internal./",
        "http://metadata/",
        "http://metadata.goog/",
        "http://instance-data/",
    ];

    #[test]
    fn nothing_but_public_addresses_is_asked() {
        let policy = AddressPolicy::default();
        for url in FORBIDDEN.iter().chain(METADATA_URLS) {
            assert_eq!(verdict(&policy, url), Err(Reason::ForbiddenAddress), "{url}");
        }
    }

    #[test]
    fn public_hosts_are_asked() {
        for url in [
            "http://example.org/",
            "https://8.8.8.8/",
            "http://172.32.0.1/",
            "http://100.128.0.1/",
            "http://[2606:4700::1111]/",
            "http://[::ffff:8.8.8.8]/",
            "http://[64:ff9b::8.8.8.8]/",
            "http://localhost.example.org:8080/",
        ] {
            assert_eq!(verdict(&AddressPolicy::default(), url), Ok(()), "{url}");
        }
    }

    #[test]
    fn an_allowed_range_opens_itself_but_never_a_metadata_address() {
        let everything = ["0.0.0.0/0", "::/0"].map(|net| net.parse().unwrap());
        let policy = AddressPolicy::new(&everything);
        for url in FORBIDDEN {
            assert_eq!(verdict(&policy, url), Ok(()), "{url}");
        }
        for url in METADATA_URLS {
            assert_eq!(verdict(&policy, url), Err(Reason::ForbiddenAddress), "{url}");
        }
        let loopback = AddressPolicy::new(&["127.0.0.0/8".parse().unwrap()]);
        for url in ["http://127.0.0.1:8090/", "http://localhost/", "http://[::ffff:127.0.0.1]/"] {
            assert_eq!(verdict(&loopback, url), Ok(()), "{url}");
        }
        for url in ["http://10.0.0.1/", "http://[::1]/", "http://[64:ff9b::127.0.0.1]/"] {
            assert_eq!(verdict(&loopback, url), Err(Reason::ForbiddenAddress), "{url}");
        }
    }

    #[test]
    fn other_schemes_credentials_and_empty_hosts_are_bad_urls() {
        for url in [
            "ftp://example.org/",
            "file:///etc/passwd",
            "gopher://example.org/",
            "data:text/html,x",
            "javascript:alert(1)",
            "http://user@example.org/",
            "http://user:pass@example.org/",
            "http://:pass@example.org/",
            "http://127.0.0.1@example.org/",
            "http://example.org:0/",
            "http://./",
        ] {
            assert_eq!(verdict(&AddressPolicy::default(), url), Err(Reason::BadUrl), "{url}");
        }
        assert!(Url::parse("http:///").is_err(), "the url crate refuses empty hosts itself");
    }
}
