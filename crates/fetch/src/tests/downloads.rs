//! Large files: broken transfers are continued, and parts of different files are never combined.

use magiclens_core::Reason;

use super::support::{Act, Server, answer, client, config, not_found, send, to};
use crate::{Client, FetchError};

async fn read(
    client: &Client,
    url: &url::Url,
    range: Option<std::ops::Range<u64>>,
) -> Result<String, FetchError> {
    let mut download = client.download(url, range);
    let mut body = Vec::new();
    while let Some(chunk) = download.chunk().await? {
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(body).unwrap())
}

fn patient() -> Client {
    let mut config = config();
    config.http.retries = 2;
    client(&config)
}

/// The beginning of a file of eleven bytes, and then the end of the connection.
fn broken_off() -> Vec<Act> {
    let head = "HTTP/1.1 200 OK\r\nETag: \"one\"\r\nContent-Length: 11\r\n\r\n";
    vec![send(format!("{head}hello "))]
}

#[tokio::test]
async fn a_file_that_breaks_off_is_gone_on_with() {
    let server = Server::start(|path, n| match (path, n) {
        ("/moved", _) => to("/file"),
        (_, 0) => broken_off(),
        _ => answer("206 Partial Content\r\nETag: \"one\"", "world"),
    })
    .await;
    let body = read(&patient(), &server.url("/moved"), None).await;
    assert_eq!(body.unwrap(), "hello world");
    assert_eq!(server.count("/file"), 2);
    assert_eq!(server.count("/robots.txt"), 0);
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_is_an_error() {
    let server = Server::start(|_, n| match n {
        0 => broken_off(),
        _ => answer("200 OK\r\nETag: \"two\"", "another one"),
    })
    .await;
    let error = read(&patient(), &server.url("/file"), None).await.unwrap_err();
    assert_eq!(error.reason, Reason::BodyBroken);
    assert!(error.detail.contains("changed while it was read"), "{error}");
}

#[tokio::test]
async fn ranges_are_cut_out_or_an_error() {
    let server = Server::start(|path, _| match path {
        "/ranges" => answer("206 Partial Content", "lo wo and more than was asked for"),
        _ => answer("200 OK", "hello world"),
    })
    .await;
    let part = read(&patient(), &server.url("/ranges"), Some(3..8)).await;
    assert_eq!(part.unwrap(), "lo wo");
    let error = read(&patient(), &server.url("/whole"), Some(3..8)).await.unwrap_err();
    assert!(error.detail.contains("the server does not support ranges of the file"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_not_tried_again() {
    let server = Server::start(|_, _| not_found()).await;
    let error = read(&patient(), &server.url("/file"), None).await.unwrap_err();
    assert_eq!((error.reason, server.count("/file")), (Reason::HttpClientError, 1));
    assert!(error.detail.contains("/file: status 404"), "{error}");
    let mut closed = config();
    closed.crawl.allow_addresses.clear();
    let error = read(&client(&closed), &server.url("/file"), None).await.unwrap_err();
    assert_eq!((error.reason, server.count("/file")), (Reason::ForbiddenAddress, 1));
}
