//! The resolver that reqwest connects through: fixed addresses first, then DNS, all of it checked.
//!
//! The check sits where the connection takes its address from, so a name that changes its answer
//! between a check and the connection (DNS rebinding) gains nothing. A name with one forbidden
//! answer is refused as a whole, because any of the answers could be used.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::guard::{AddressPolicy, canonical_name};

/// Asks for the addresses of a name. Tests put their own answers here.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// No address for a name.
#[derive(Debug, thiserror::Error)]
#[error("no address for {name}: {why}")]
pub struct NoAddress {
    name: String,
    why: String,
}

/// Resolves names and refuses those with a forbidden answer.
#[derive(Clone)]
pub struct GuardedResolver {
    policy: Arc<AddressPolicy>,
    pinned: Arc<BTreeMap<String, IpAddr>>,
    lookup: Lookup,
}

impl GuardedResolver {
    /// `pinned` is `http.resolve`; every other name goes to `lookup`.
    pub fn new(
        policy: Arc<AddressPolicy>,
        pinned: &BTreeMap<String, IpAddr>,
        lookup: Lookup,
    ) -> Self {
        let pinned = pinned.iter().map(|(name, ip)| (canonical_name(name), *ip)).collect();
        Self { policy, pinned: Arc::new(pinned), lookup }
    }

    /// The addresses of `name`, all of them permitted.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Box<dyn Error + Send + Sync>> {
        let key = canonical_name(name);
        self.policy.check_name(&key)?;
        let found = match self.pinned.get(&key) {
            Some(ip) => vec![*ip],
            None => (self.lookup)(key.clone())
                .await
                .map_err(|error| NoAddress { name: key.clone(), why: error.to_string() })?,
        };
        if found.is_empty() {
            return Err(NoAddress { name: key, why: "an empty answer".into() }.into());
        }
        for ip in &found {
            self.policy.check_ip(*ip).map_err(|mut forbidden| {
                forbidden.what = format!("{}, an address of {key},", forbidden.what);
                forbidden
            })?;
        }
        Ok(found)
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.addresses(name.as_str()).await?;
            // Port 0 is replaced by the URL's own.
            let addrs: Addrs = Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addrs)
        })
    }
}

/// The system's resolver.
pub fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|addr| addr.ip()).collect())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::guard::ForbiddenAddress;
    use super::*;

    fn answers(ips: &'static [&'static str]) -> Lookup {
        Arc::new(move |_| {
            Box::pin(async move { Ok(ips.iter().map(|ip| ip.parse().unwrap()).collect()) })
        })
    }

    fn resolver(allowed: &[&str], pinned: &[(&str, &str)], lookup: Lookup) -> GuardedResolver {
        let allowed: Vec<_> = allowed.iter().map(|net| net.parse().unwrap()).collect();
        let pinned =
            pinned.iter().map(|(name, ip)| (name.to_string(), ip.parse().unwrap())).collect();
        GuardedResolver::new(Arc::new(AddressPolicy::new(&allowed)), &pinned, lookup)
    }

    #[tokio::test]
    async fn one_forbidden_answer_refuses_the_name() {
        for ips in [
            &["10.0.0.1"][..],
            &["8.8.8.8", "127.0.0.1"],
            &["2606:4700::1111", "8.8.8.8", "fd00::1"],
            &["::ffff:192.168.0.1"],
            &["169.254.169.254"],
        ] {
            let error = resolver(&[], &[], answers(ips)).addresses("a.example").await.unwrap_err();
            assert!(error.is::<ForbiddenAddress>(), "{ips:?}: {error}");
        }
        let found = resolver(&[], &[], answers(&["8.8.8.8"])).addresses("a.example").await.unwrap();
        assert_eq!(found, ["8.8.8.8".parse::<IpAddr>().unwrap()]);
    }

    #[tokio::test]
    async fn metadata_is_refused_though_its_range_is_allowed() {
        let resolver = resolver(&["0.0.0.0/0"], &[], answers(&["169.254.169.254"]));
        let error = resolver.addresses("a.example").await.unwrap_err();
        assert!(error.is::<ForbiddenAddress>(), "{error}");
    }

    #[tokio::test]
    async fn pinned_addresses_come_first_and_are_checked_too() {
        let pinned = [("Good.Example", "8.8.4.4"), ("bad.example", "10.1.1.1")];
        let resolver = resolver(&[], &pinned, answers(&[]));
        let good = resolver.addresses("good.example.").await.unwrap();
        assert_eq!(good, ["8.8.4.4".parse::<IpAddr>().unwrap()]);
        let bad = resolver.addresses("bad.example").await.unwrap_err();
        assert!(bad.is::<ForbiddenAddress>());
        let none = resolver.addresses("else.example").await.unwrap_err();
        assert!(none.is::<NoAddress>());
    }
}
