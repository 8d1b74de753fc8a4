//! The fetch rules of robots.txt, and the well-known file of TDM reservations.

use std::time::Duration;

use magiclens_common::config::Config;
use magiclens_core::Reason;
use reqwest::header::HeaderMap;

use super::support::{Act, Server, answer, client, config, get, impatient, not_found, ok, to};
use crate::Kind;
use crate::robots::BYTE_LIMIT;

const PAGE: &str = "/page";

/// The reason why a page is not fetched where robots.txt is answered by `acts`, and the server.
async fn verdict(acts: Vec<Act>) -> (Option<Reason>, Server) {
    verdict_with(&config(), acts).await
}

async fn verdict_with(config: &Config, acts: Vec<Act>) -> (Option<Reason>, Server) {
    let script = move |path: &str, _| if path == "/robots.txt" { acts.clone() } else { ok("fine") };
    let server = Server::start(script).await;
    let result = get(&client(config), &server.url(PAGE), Kind::Page).await;
    (result.err().map(|error| error.reason), server)
}

#[tokio::test]
async fn client_errors_allow_and_everything_unreachable_denies() {
    for head in ["400 Bad", "401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone"] {
        assert_eq!(verdict(answer(head, "User-agent: *\nDisallow: /")).await.0, None, "{head}");
    }
    for head in ["500 Oops", "503 Busy", "501 No", "429 Slow"] {
        let (reason, server) = verdict(answer(head, "")).await;
        assert_eq!((reason, server.count(PAGE)), (Some(Reason::RobotsTxt), 0), "{head}");
    }
    for (acts, reason) in [
        (vec![Act::Reset], Reason::ConnectError),
        (
            vec![super::support::send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")],
            Reason::BodyBroken,
        ),
    ] {
        let (seen, server) = verdict(acts).await;
        assert_eq!((seen, server.count(PAGE)), (Some(reason), 0));
    }
    let (seen, server) = verdict_with(&impatient(), vec![Act::Hang]).await;
    assert_eq!((seen, server.count(PAGE)), (Some(Reason::Timeout), 0));
}

#[tokio::test]
async fn what_is_disallowed_is_never_asked_for() {
    let (reason, server) = verdict(ok("User-agent: *\nDisallow: /page")).await;
    assert_eq!((reason, server.seen()), (Some(Reason::RobotsTxt), vec!["/robots.txt".to_owned()]));
    let (reason, _) = verdict(ok("User-agent: GPTBot\nDisallow: /")).await;
    assert_eq!(reason, Some(Reason::RobotsTxt), "AI tokens are asked too");
    assert_eq!(verdict(ok("User-agent: Other\nDisallow: /")).await.0, None);
}

#[tokio::test]
async fn at_most_500_kib_are_read() {
    let filler = "#".repeat(99) + "\n";
    let head = filler.repeat(BYTE_LIMIT / filler.len() + 1);
    assert_eq!(verdict(ok(format!("{head}User-agent: *\nDisallow: /"))).await.0, None);
    let inside = format!("User-agent: *\nDisallow: /page\n{head}");
    assert_eq!(verdict(ok(&inside)).await.0, Some(Reason::RobotsTxt));
    let endless = vec![
        super::support::send("HTTP/1.1 200 OK\r\n\r\nUser-agent: *\nDisallow: /page\n"),
        Act::Forever(filler.repeat(100).into_bytes(), Duration::ZERO),
    ];
    assert_eq!(verdict(endless).await.0, Some(Reason::RobotsTxt));
}

#[tokio::test]
async fn five_redirects_are_followed_also_to_other_hosts() {
    let other = Server::start(|path, _| match path {
        "/5" => ok("User-agent: *\nDisallow: /page"),
        "/robots.txt" => ok("User-agent: *\nDisallow: /"),
        path => to(&format!("/{}", path[1..].parse::<usize>().unwrap() + 1)),
    });
    let other = other.await;
    let (reason, _) = verdict(to(other.url("/1").as_str())).await;
    assert_eq!(reason, Some(Reason::RobotsTxt), "the fifth hop's file applies");
    assert_eq!(other.seen(), ["/1", "/2", "/3", "/4", "/5"]);
    let (reason, _) = verdict(to(other.url("/0").as_str())).await;
    assert_eq!(reason, None, "six hops count as no file");
    let (reason, server) = verdict(to("http://10.0.0.1/robots.txt")).await;
    assert_eq!((reason, server.count(PAGE)), (Some(Reason::ForbiddenAddress), 0));
}

#[tokio::test]
async fn one_fetch_serves_all_and_a_day_later_it_is_repeated() {
    let script = |path: &str, n| match (path, n) {
        ("/robots.txt", 0) => ok("User-agent: *\nDisallow:"),
        ("/robots.txt", _) => ok("User-agent: *\nDisallow: /page"),
        _ => ok("fine"),
    };
    let server = Server::start(script).await;
    let mut config = config();
    config.http.host_max_seconds = 7 * 86_400;
    let client = client(&config);
    let url = server.url(PAGE);
    let results = futures::future::join_all((0..20).map(|_| get(&client, &url, Kind::Page))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!((server.count("/robots.txt"), server.count(PAGE)), (1, 20));
    for (hours, fetches) in [(23, 1), (2, 2)] {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(hours * 60 * 60)).await;
        tokio::time::resume();
        assert_eq!(get(&client, &url, Kind::Page).await.is_ok(), fetches == 1);
        assert_eq!(server.count("/robots.txt"), fetches, "after {hours} hours more");
    }
}

#[tokio::test]
async fn sitemaps_and_crawl_delay_are_exposed() {
    let file = "Sitemap: https://a.example/s.xml\nUser-agent: *\nCrawl-delay: 0.4\nDisallow: /x";
    let server =
        Server::start(move |path, _| if path == "/robots.txt" { ok(file) } else { ok("") });
    let server = server.await;
    let client = client(&config());
    let rules = client.robots(&server.url(PAGE)).await.unwrap();
    assert_eq!(rules.sitemaps()[0].as_str(), "https://a.example/s.xml");
    assert_eq!(rules.crawl_delay(), Some(Duration::from_millis(400)));
    let start = tokio::time::Instant::now();
    for _ in 0..2 {
        get(&client, &server.url(PAGE), Kind::Page).await.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(750), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_well_known_file_reserves_and_its_absence_does_not() {
    let file = r#"[{"location": "/paid/", "tdm-reservation": 1}]"#;
    let server = Server::start(move |path, _| match path {
        "/.well-known/tdmrep.json" => ok(file),
        _ => not_found(),
    });
    let server = server.await;
    let none = HeaderMap::new();
    let asking = client(&config());
    assert!(asking.directives(&server.url("/paid/a.png"), &none).await.tdm);
    assert!(!asking.directives(&server.url("/free/a.png"), &none).await.tdm);
    assert_eq!(server.count("/.well-known/tdmrep.json"), 1);

    let mut config = config();
    config.crawl.opt_outs.clear();
    let not_asking = client(&config);
    assert!(!not_asking.directives(&server.url("/paid/a.png"), &none).await.tdm);
    assert_eq!(not_asking.requests(), 0);

    for acts in [not_found(), answer("500 Oops", file), ok("<html>"), vec![Act::Reset], to("/x")] {
        let script =
            move |path: &str, _| if path == "/robots.txt" { not_found() } else { acts.clone() };
        let server = Server::start(script).await;
        let asking = client(&super::support::config());
        assert!(!asking.directives(&server.url("/paid/a.png"), &none).await.tdm);
    }
}
