//! Truncated, lying, endless, dripping, stalled, reset and encoded bodies.

use std::time::Duration;

use magiclens_core::Reason;
use magiclens_testing::{conformance, shared};

use super::support::{
    Act, Server, answer, client, config, failure, get, impatient, ok, page_reason, send,
};
use crate::Kind;

const HEAD: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn corpus(name: &str) -> Option<Vec<u8>> {
    let path = shared(&format!("corpora/http/{name}"))?;
    Some(std::fs::read(path).unwrap())
}

#[tokio::test]
async fn bodies_that_end_early_are_broken() {
    let short = format!("{HEAD}Content-Length: 100\r\n\r\nonly this");
    let chunk_cut = format!("{CHUNKED}10\r\nonly this");
    let no_last_chunk = format!("{CHUNKED}4\r\nthis\r\n");
    let bad_chunk = format!("{CHUNKED}zz\r\nthis\r\n");
    for body in [short, chunk_cut, no_last_chunk, bad_chunk] {
        let script = body.clone();
        let reason = page_reason(move |_| vec![send(script.clone())]).await;
        assert_eq!(reason, Reason::BodyBroken, "{body}");
    }
    let reset = move |_| vec![send(format!("{HEAD}Content-Length: 100\r\n\r\nx")), Act::Reset];
    assert_eq!(page_reason(reset).await, Reason::BodyBroken);
}

#[tokio::test]
async fn a_content_length_over_the_cap_is_refused_unread() {
    let head = || vec![send(format!("{HEAD}Content-Length: 99999999999\r\n\r\n")), Act::Hang];
    assert_eq!(page_reason(move |_| head()).await, Reason::BodyTooLarge);
}

#[tokio::test]
async fn endless_bodies_end_at_the_cap() {
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let endless =
        move |_| vec![send(CHUNKED), Act::Forever(chunk.clone().into_bytes(), Duration::ZERO)];
    let server = Server::pages(endless).await;
    let mut config = config();
    config.crawl.max_page_bytes = 1 << 20;
    assert_eq!(failure(&config, &server).await.reason, Reason::BodyTooLarge);
}

#[tokio::test]
async fn drips_and_stalls_time_out() {
    let drip = Act::Forever(b"1\r\nx\r\n".to_vec(), Duration::from_millis(20));
    let header_drip = Act::Forever(b"X: y\r\n".to_vec(), Duration::from_millis(50));
    for script in [
        vec![send(CHUNKED), drip],
        vec![send(HEAD), header_drip],
        vec![send(CHUNKED), Act::Hang],
        vec![Act::Hang],
    ] {
        let server = Server::pages(move |_| script.clone()).await;
        assert_eq!(failure(&impatient(), &server).await.reason, Reason::Timeout);
    }
}

/// Client and server share a runtime's only thread, which is blocked for longer than any limit.
#[tokio::test]
async fn what_came_while_this_process_stood_still_is_no_timeout() {
    let half = format!("{HEAD}Content-Length: 8\r\n\r\nhalf");
    for first in [String::new(), half.clone()] {
        let rest = format!("{half}half")[first.len()..].to_owned();
        let server = Server::pages(move |_| {
            vec![send(first.clone()), Act::Block(Duration::from_secs(3)), send(rest.clone())]
        })
        .await;
        let body = get(&client(&impatient()), &server.url("/"), Kind::Page).await.unwrap().body;
        assert_eq!(body, b"halfhalf");
    }
}

#[tokio::test]
async fn no_answer_at_all_is_a_connect_error() {
    assert_eq!(page_reason(|_| vec![Act::Reset]).await, Reason::ConnectError);
    assert_eq!(page_reason(|_| vec![]).await, Reason::ConnectError);
    assert_eq!(page_reason(|_| vec![send("SSH-2.0-OpenSSH_9.6\r\n")]).await, Reason::ConnectError);
    let many = "X: y\r\n".repeat(100_000);
    let reason = page_reason(move |_| vec![send(format!("{HEAD}{many}\r\n"))]).await;
    assert_eq!(reason, Reason::ConnectError);
}

#[tokio::test]
async fn bombs_are_too_large_as_pages_and_as_images() {
    let bombs = [
        ("bomb-br.bin", "br"),
        ("bomb-deflate.bin", "deflate"),
        ("bomb-gzip.bin", "gzip"),
        ("bomb-zstd.bin", "zstd"),
    ];
    for (name, coding) in bombs {
        let Some(raw) = corpus(name) else { return };
        let head = format!("200 OK\r\nContent-Encoding: {coding}");
        let server = Server::pages(move |_| answer(&head, &raw)).await;
        let mut config = config();
        config.crawl.max_page_bytes = 1 << 20;
        config.fetch.max_image_bytes = 2 << 20;
        for kind in [Kind::Page, Kind::Image, Kind::Sitemap] {
            let error =
                get(&client(&config), &server.url("/x"), kind).await.map(|_| ()).unwrap_err();
            assert_eq!(error.reason, Reason::BodyTooLarge, "{name} {kind:?}");
        }
        config.crawl.max_page_bytes = 12 << 20;
        let body = get(&client(&config), &server.url("/x"), Kind::Page).await.unwrap().body;
        assert_eq!(body.len(), 11_511_612, "{name}");
    }
    conformance("client-bombs", bombs.len());
}

#[tokio::test]
async fn codings_are_undone_also_over_several_headers() {
    let Some(raw) = corpus("html-gzip-deflate-gzip.bin") else { return };
    let head = "200 OK\r\nContent-Encoding: gzip, deflate\r\nContent-Encoding: gzip";
    let server = Server::pages(move |_| answer(head, &raw)).await;
    let body = get(&client(&config()), &server.url("/"), Kind::Page).await.unwrap().body;
    assert!(body.ends_with(b"</html>\n"));
    let head = "200 OK\r\nContent-Encoding: gzip";
    assert_eq!(page_reason(move |_| answer(head, "no gzip")).await, Reason::BodyBroken);
    conformance("client-codings", 1);
}

#[tokio::test]
async fn caps_are_by_kind_and_a_body_may_be_as_long_as_its_cap() {
    let server = Server::pages(|_| ok("x".repeat(1000))).await;
    let mut config = config();
    (config.crawl.max_page_bytes, config.fetch.max_image_bytes) = (999, 1000);
    let client = client(&config);
    let error = get(&client, &server.url("/"), Kind::Page).await.map(|_| ()).unwrap_err();
    assert_eq!(error.reason, Reason::BodyTooLarge);
    assert_eq!(get(&client, &server.url("/"), Kind::Image).await.unwrap().body.len(), 1000);
    assert_eq!(get(&client, &server.url("/"), Kind::Sitemap).await.unwrap().body.len(), 1000);
}
