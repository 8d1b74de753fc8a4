//! Redirects: loops, too many, into private space, to other hosts.

use magiclens_core::Reason;

use super::support::{Server, client, config, failure, get, not_found, ok, to};
use crate::{Answer, Kind};

#[tokio::test]
async fn redirects_are_followed_within_the_host() {
    let server = Server::start(|path, _| match path {
        "/a" => to("/b?x=1#part"),
        "/b?x=1" => to("c"),
        "/c" => ok("here"),
        _ => not_found(),
    });
    let server = server.await;
    let fetched = get(&client(&config()), &server.url("/a#top"), Kind::Page).await.unwrap();
    assert_eq!((fetched.url, &fetched.body[..]), (server.url("/c"), &b"here"[..]));
    assert_eq!(server.seen(), ["/robots.txt", "/a", "/b?x=1", "/c"]);
}

#[tokio::test]
async fn loops_and_long_chains_end() {
    let server = Server::pages(|_| to("/page")).await;
    let error = failure(&config(), &server).await;
    assert_eq!((error.reason, server.count("/page")), (Reason::BadRedirect, 1), "{error}");

    let server = Server::start(|path, _| match path {
        "/page" => to("/other"),
        "/other" => to("/page"),
        _ => not_found(),
    });
    let server = server.await;
    assert_eq!(failure(&config(), &server).await.reason, Reason::BadRedirect);
    assert_eq!((server.count("/page"), server.count("/other")), (1, 1));

    let endless = |path: &str, _| match path {
        "/robots.txt" => not_found(),
        _ => to(&format!("{path}x")),
    };
    let server = Server::start(endless).await;
    let mut config = config();
    config.http.max_redirects = 3;
    assert_eq!(failure(&config, &server).await.reason, Reason::BadRedirect);
    assert_eq!(server.seen().len(), 1 + 4, "robots.txt, the page and three redirects");
}

#[tokio::test]
async fn redirects_into_forbidden_places_are_refused_unasked() {
    for (location, reason) in [
        ("http://10.0.0.1/", Reason::ForbiddenAddress),
        ("http://0x0a000001/", Reason::ForbiddenAddress),
        ("//192.168.0.1/x", Reason::ForbiddenAddress),
        ("http://[::1]/", Reason::ForbiddenAddress),
        ("http://[64:ff9b::10.0.0.1]/", Reason::ForbiddenAddress),
        ("http://169.254.169.254/latest/", Reason::ForbiddenAddress),
        ("http://metadata.google.internal/", Reason::ForbiddenAddress),
        ("file:///etc/passwd", Reason::BadUrl),
        ("ftp://example.org/", Reason::BadUrl),
        ("http://user:secret@127.0.0.1/", Reason::BadUrl),
        ("http://", Reason::BadRedirect),
    ] {
        let server = Server::pages(move |_| to(location)).await;
        for kind in [Kind::Page, Kind::Image] {
            let client = client(&config());
            let error = client.get(&server.url("/x"), kind).await.unwrap_err();
            assert_eq!(error.reason, reason, "{location}: {error}");
            assert!(!error.detail.contains("secret"));
            assert_eq!(client.requests(), 2, "robots.txt and the redirect");
        }
    }
}

#[tokio::test]
async fn metadata_is_refused_in_a_redirect_though_everything_is_allowed() {
    let mut config = config();
    config.crawl.allow_addresses = vec!["0.0.0.0/0".parse().unwrap()];
    let server = Server::pages(|_| to("http://169.254.169.254/latest/meta-data/")).await;
    assert_eq!(failure(&config, &server).await.reason, Reason::ForbiddenAddress);
}

#[tokio::test]
async fn a_redirect_without_a_target_or_with_a_long_one_fails() {
    let server = Server::pages(|_| super::support::answer("301 Moved", "")).await;
    assert_eq!(failure(&config(), &server).await.reason, Reason::BadRedirect);
    let server = Server::pages(|_| to(&format!("/{}", "x".repeat(3000)))).await;
    assert_eq!(failure(&config(), &server).await.reason, Reason::UrlTooLong);
}

#[tokio::test]
async fn a_page_on_another_host_is_left_to_its_owner() {
    let other = Server::pages(|_| ok("other")).await;
    let target = other.url("/there");
    let server = Server::pages(move |_| to(target.as_str())).await;
    let answer = client(&config()).get(&server.url("/page"), Kind::Page).await.unwrap();
    assert!(matches!(answer, Answer::Elsewhere(url, _) if url == other.url("/there")));
    assert_eq!(other.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn an_image_is_followed_under_the_other_hosts_rules() {
    let other = Server::start(|path, _| match path {
        "/robots.txt" => ok("User-agent: *\nDisallow: /no"),
        _ => ok("pixels"),
    });
    let other = other.await;
    let (yes, no) = (other.url("/yes.png"), other.url("/no.png"));
    let script = move |path: &str, _: usize| match path {
        "/yes" => to(yes.as_str()),
        "/no" => to(no.as_str()),
        _ => not_found(),
    };
    let server = Server::start(script).await;
    let client = client(&config());
    assert_eq!(get(&client, &server.url("/yes"), Kind::Image).await.unwrap().body, b"pixels");
    let error = get(&client, &server.url("/no"), Kind::Image).await.map(|_| ()).unwrap_err();
    assert_eq!(error.reason, Reason::RobotsTxt);
    assert_eq!(other.seen(), ["/robots.txt", "/yes.png"]);
}
