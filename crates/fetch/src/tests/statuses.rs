//! Statuses, retries, Retry-After, budgets and request headers.

use std::time::Duration;

use magiclens_core::{Class, Reason};
use tokio::time::Instant;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::support::{Act, Server, answer, client, config, failure, get, ok};
use crate::{Client, Kind};

#[tokio::test]
async fn statuses_have_their_reasons() {
    for (head, reason) in [
        ("400 Bad Request", Reason::HttpClientError),
        ("401 Unauthorized", Reason::HttpClientError),
        ("404 Not Found", Reason::HttpClientError),
        ("410 Gone", Reason::HttpClientError),
        ("451 Unavailable", Reason::HttpClientError),
        ("304 Not Modified", Reason::HttpClientError),
        ("429 Too Many Requests", Reason::HttpServerError),
        ("500 Oops", Reason::HttpServerError),
        ("501 Not Implemented", Reason::HttpServerError),
        ("503 Busy", Reason::HttpServerError),
    ] {
        let server = Server::pages(move |_| answer(head, "body")).await;
        let error = failure(&config(), &server).await;
        assert_eq!(error.reason, reason, "{head}");
        assert_eq!(error.detail, format!("status {}", &head[..3]));
        assert_eq!(error.status, head[..3].parse().ok());
    }
}

#[tokio::test]
async fn only_what_may_pass_is_tried_again() {
    let mut config = config();
    config.http.retries = 2;
    for (head, tries) in [("404 Not Found", 1), ("501 No", 1), ("500 Oops", 3), ("429 Slow", 3)] {
        let server = Server::pages(move |_| answer(head, "")).await;
        failure(&config, &server).await;
        assert_eq!(server.count("/page"), tries, "{head}");
    }
    for first in [vec![Act::Reset], answer("502 Bad Gateway", ""), vec![]] {
        let server = Server::pages(move |n| if n < 2 { first.clone() } else { ok("fine") }).await;
        let client = client(&config);
        assert_eq!(get(&client, &server.url("/page"), Kind::Page).await.unwrap().body, b"fine");
        assert_eq!(client.requests(), 1 + 3);
    }
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let mut config = config();
    (config.http.retries, config.http.max_backoff_s) = (1, 5.0);
    let busy = "429 Too Many Requests\r\nRetry-After: 1";
    let server = Server::pages(move |n| if n == 0 { answer(busy, "") } else { ok("fine") }).await;
    let start = Instant::now();
    let body = get(&client(&config), &server.url("/page"), Kind::Page).await.unwrap().body;
    assert_eq!(body, b"fine");
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_retry_after_past_the_limit_gives_up_on_that_url_and_pauses_the_host() {
    let mut config = config();
    config.http.retries = 5;
    let server = Server::pages(|_| answer("503 Busy\r\nRetry-After: 3600", "")).await;
    let client = client(&config);
    for path in ["/one", "/two"] {
        let error = get(&client, &server.url(path), Kind::Page).await.map(|_| ()).unwrap_err();
        assert_eq!(error.reason, Reason::HttpServerError, "{error}");
    }
    assert_eq!(server.seen(), ["/robots.txt", "/one", "/two"]);
}

#[tokio::test]
async fn a_host_budget_counts_every_request() {
    let mut config = config();
    config.http.host_max_requests = 3;
    let server = Server::pages(|_| ok("fine")).await;
    let client = client(&config);
    for path in ["/one", "/two"] {
        assert!(get(&client, &server.url(path), Kind::Page).await.is_ok());
    }
    let error = get(&client, &server.url("/three"), Kind::Page).await.map(|_| ()).unwrap_err();
    assert_eq!((error.reason, error.reason.class()), (Reason::HostBudget, Class::Rejected));
    assert_eq!(server.seen().len(), 3);
    assert_eq!(client.hosts().get(&format!("127.0.0.1:{}", server.address.port())).requests(), 3);
}

#[tokio::test]
async fn requests_say_who_asks_and_what_for() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let mut config = config();
    config.crawl.contact = "https://example.org/bot".into();
    let url = server.uri().parse().unwrap();
    let answering = client(&config);
    get(&answering, &url, Kind::Page).await.unwrap();
    get(&answering, &url, Kind::Image).await.unwrap();
    config.crawl.contact = String::new();
    get(&client(&config), &url, Kind::Page).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let header =
        |n: usize, name| requests[n].headers.get(name).unwrap().to_str().unwrap().to_owned();
    let own = concat!("magiclens/", env!("CARGO_PKG_VERSION"));
    assert_eq!(requests[0].url.path(), "/robots.txt");
    assert_eq!(header(0, "user-agent"), format!("{own} (+https://example.org/bot)"));
    assert!(header(1, "accept").starts_with("text/html"));
    assert_eq!(header(1, "accept-encoding"), "gzip, deflate, br, zstd");
    assert!(header(2, "accept").starts_with("image/"));
    assert_eq!(header(2, "accept-encoding"), "identity");
    assert_eq!(header(4, "user-agent"), own);
    assert!(requests.iter().all(|request| !request.headers.contains_key("cookie")));
}

#[tokio::test]
async fn a_contact_that_is_no_header_is_refused() {
    let mut config = config();
    for contact in ["a\r\nX-Evil: 1", "Jürgen"] {
        config.crawl.contact = contact.into();
        assert!(Client::new(&config).is_err(), "{contact:?}");
    }
    config.crawl.contact = " someone@example.org ".into();
    assert!(Client::new(&config).is_ok());
}

#[tokio::test]
async fn a_refused_connection_is_a_connect_error() {
    // Bound and dropped again: no process listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}/").parse().unwrap();
    let error = get(&client(&config()), &url, Kind::Page).await.map(|_| ()).unwrap_err();
    assert_eq!(error.reason, Reason::ConnectError);
}
