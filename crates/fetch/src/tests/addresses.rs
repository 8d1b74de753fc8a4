//! Names that resolve to forbidden addresses, through the whole client. No connection is made.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use magiclens_common::config::Config;
use magiclens_core::Reason;

use super::support::{Server, config, get, ok};
use crate::resolver::Lookup;
use crate::{Client, FetchError, Kind};

fn answers(ips: &'static [&'static str]) -> Lookup {
    Arc::new(move |_| {
        Box::pin(async move { Ok(ips.iter().map(|ip| ip.parse().unwrap()).collect()) })
    })
}

async fn failure(config: &Config, lookup: Lookup, url: &str) -> FetchError {
    let client = Client::with_lookup(config, lookup).unwrap();
    get(&client, &url.parse().unwrap(), Kind::Image).await.map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn names_with_a_forbidden_answer_are_refused() {
    for ips in [
        &["10.0.0.1"][..],
        &["127.0.0.2", "10.0.0.1"],
        &["127.0.0.2", "::1"],
        &["::ffff:10.0.0.1"],
        &["64:ff9b::a00:1"],
        &["169.254.169.254"],
        &["fd00:ec2::254"],
    ] {
        let error = failure(&config(), answers(ips), "http://rebind.example:1/").await;
        assert_eq!(error.reason, Reason::ForbiddenAddress, "{ips:?}: {error}");
        assert!(error.detail.contains("rebind.example"), "{error}");
    }
}

#[tokio::test]
async fn metadata_is_refused_by_answer_pin_and_name_though_allowed() {
    let mut config = config();
    config.crawl.allow_addresses = ["0.0.0.0/0", "::/0"].map(|net| net.parse().unwrap()).to_vec();
    config.http.resolve.insert("pinned.example".into(), "169.254.169.254".parse().unwrap());
    for (ips, url) in [
        (&["127.0.0.1", "169.254.169.254"][..], "http://answer.example/"),
        (&[], "http://pinned.example/"),
        (&["127.0.0.1"], "http://metadata.google.internal/"),
        (&["127.0.0.1"], "http://Metadata.Google.Internal./"),
    ] {
        let error = failure(&config, answers(ips), url).await;
        assert_eq!(error.reason, Reason::ForbiddenAddress, "{url}: {error}");
    }
}

#[tokio::test]
async fn an_answer_that_turns_private_is_refused_at_the_next_connection() {
    let server = Server::pages(|_| ok("fine")).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let turning: Lookup = Arc::new(move |_| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        let ip: IpAddr = if first { "127.0.0.1" } else { "10.0.0.1" }.parse().unwrap();
        Box::pin(async move { Ok(vec![ip]) })
    });
    let client = Client::with_lookup(&config(), turning).unwrap();
    // The server closes after robots.txt, so the page needs a connection of its own.
    let error = get(&client, &server.url_at("turning.example", "/"), Kind::Page).await;
    assert_eq!(error.map(|_| ()).unwrap_err().reason, Reason::ForbiddenAddress);
    assert_eq!((calls.load(Ordering::SeqCst), server.seen().len()), (2, 1));
}

#[tokio::test]
async fn a_name_without_an_address_is_a_dns_error() {
    let none: Lookup = Arc::new(|_| Box::pin(async { Err(io::Error::other("no such name")) }));
    for lookup in [none, answers(&[])] {
        let error = failure(&config(), lookup, "http://nowhere.example/").await;
        assert_eq!(error.reason, Reason::DnsError, "{error}");
    }
}

#[tokio::test]
async fn pinned_names_reach_their_address() {
    let server = Server::pages(|_| ok("fine")).await;
    let mut config = config();
    config.http.resolve.insert("pinned.example".into(), "127.0.0.1".parse().unwrap());
    let client = Client::with_lookup(&config, answers(&[])).unwrap();
    let url = server.url_at("pinned.example", "/");
    assert_eq!(get(&client, &url, Kind::Page).await.unwrap().body, b"fine");
}

#[tokio::test]
async fn literals_are_refused_without_any_request() {
    let client = Client::with_lookup(&Config::default(), answers(&["8.8.8.8"])).unwrap();
    for url in ["http://127.0.0.1/", "http://2130706433/", "http://[::ffff:10.0.0.1]/"] {
        let url = url.parse().unwrap();
        let error = get(&client, &url, Kind::Page).await.map(|_| ()).unwrap_err();
        assert_eq!(error.reason, Reason::ForbiddenAddress);
        assert!(client.robots(&url).await.is_err());
    }
    assert_eq!((client.requests(), client.hosts().len()), (0, 0));
}
