//! `search serve` under good, bad and many requests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use magiclens_testing::{conformance, shared};
use reqwest::{Body, StatusCode};
use serde_json::Value;

use super::index::assert_own_score;
use super::requests::{answer, ask, client, form, post};
use super::{IMAGES, Place, Serving, scenes};
use crate::support::signal;

fn served() -> (Place, Serving) {
    let place = Place::with_images();
    place.index("images");
    let serving = place.serve();
    (place, serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_finds_itself_and_a_result_leads_on() {
    let (place, serving) = served();
    let (client, url) = (client(), &serving.url);
    let image = std::fs::read(place.at(&Place::image(5))).unwrap();
    let (status, found) = ask(&client, url, &image, "").await;
    assert_eq!(status, StatusCode::OK);
    let hits = found["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 5);
    assert_eq!(hits[0]["id"], "scene 05.jpg");
    assert_own_score(&hits[0]["score"]);
    // The same as on the command line.
    let on_paper = place.query(&["--image", &Place::image(5), "-k", "5"]);
    let id = |hit: &Value| hit["id"].clone();
    assert_eq!(
        hits.iter().map(id).collect::<Vec<_>>(),
        on_paper.iter().map(id).collect::<Vec<_>>()
    );

    let row = &hits[0]["row"];
    let get = |query: String| client.get(format!("{url}/api/search?{query}")).send();
    let (status, others) = answer(get(format!("row={row}&k=5")).await.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    let others = others["hits"].as_array().unwrap();
    assert_eq!(others.len(), 5);
    assert!(others.iter().all(|hit| hit["row"] != *row), "the query image is no result of its own");
    assert_eq!(others[0]["row"], hits[1]["row"]);

    let (status, found) = answer(get("text=in+the+snow".into()).await.unwrap()).await;
    assert_eq!((status, found["hits"].as_array().unwrap().len()), (StatusCode::OK, IMAGES));

    let shown =
        client.get(format!("{url}{}", hits[0]["image"].as_str().unwrap())).send().await.unwrap();
    assert_eq!(shown.headers()["content-type"], "image/jpeg");
    assert_eq!(shown.headers()["x-content-type-options"], "nosniff");
    assert_eq!(shown.bytes().await.unwrap(), image, "a small image is shown as it is");
    let about: Value =
        client.get(format!("{url}/api/index")).send().await.unwrap().json_value().await;
    assert_eq!(about["images"], IMAGES);
    for (path, kind) in
        [("/", "text/html"), ("/app.js", "text/javascript"), ("/style.css", "text/css")]
    {
        let page = client.get(format!("{url}{path}")).send().await.unwrap();
        assert!(page.headers()["content-type"].to_str().unwrap().starts_with(kind), "{path}");
        assert!(page.headers().contains_key("content-security-policy"), "{path}");
    }
}

/// `reqwest` is built without its JSON.
trait JsonValue {
    async fn json_value(self) -> Value;
}

impl JsonValue for reqwest::Response {
    async fn json_value(self) -> Value {
        serde_json::from_str(&self.text().await.unwrap()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_told_what_is_wrong() {
    let (_place, serving) = served();
    let (client, url) = (client(), &serving.url);
    let image = scenes().remove(0);
    let broken = &image[..image.len() / 3];
    let bomb = png_of(60_000, 60_000);
    let long = "x".repeat(20_000);
    let cases: Vec<(Vec<u8>, u16, &str)> = vec![
        (form(&[]), 400, "image, row or text"),
        (form(&[("text", None, b"  ")]), 400, "image, row or text"),
        (form(&[("image", Some("a.jpg"), &image), ("row", None, b"1")]), 400, "not both"),
        (form(&[("picture", Some("a.jpg"), &image)]), 400, "unknown field \"picture\""),
        (form(&[("text", None, b"x"), ("k", None, b"many")]), 400, "k is no whole number"),
        (form(&[("row", None, b"-1")]), 400, "row is no whole number"),
        (form(&[("row", None, b"99")]), 404, "no image 99"),
        (form(&[("image", Some("a.jpg"), b"<html>no</html>")]), 415, ""),
        (form(&[("image", Some("a.svg"), b"<svg xmlns='http://www.w3.org/2000/svg'/>")]), 415, ""),
        (form(&[("image", Some("a.jpg"), &broken[..200])]), 422, ""),
        (form(&[("image", Some("a.png"), &bomb)]), 413, "pixels"),
        (form(&[("text", None, long.as_bytes())]), 413, "text is longer"),
        (form(&[("text", None, b"x")])[..30].to_vec(), 400, ""),
        (b"no form at all".to_vec(), 400, ""),
    ];
    for (number, (body, expected, word)) in cases.into_iter().enumerate() {
        let (status, said) = answer(post(&client, url, body).await).await;
        assert_eq!(status.as_u16(), expected, "case {number}: {said}");
        assert!(said["error"].as_str().unwrap().contains(word), "case {number}: {said}");
    }
    let json = client.post(format!("{url}/api/search")).header("content-type", "application/json");
    assert_eq!(json.body("{}").send().await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for (path, expected) in
        [("/etc/passwd", 404), ("/images/99", 404), ("/images/x", 400), ("/images/..%2f", 400)]
    {
        let (status, _) = answer(client.get(format!("{url}{path}")).send().await.unwrap()).await;
        assert_eq!(status.as_u16(), expected, "{path}");
    }
    let (status, _) =
        answer(client.delete(format!("{url}/api/search")).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

/// A file that says it is so large, and holds next to nothing.
fn png_of(width: u32, height: u32) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend(width.to_be_bytes());
    png.extend(height.to_be_bytes());
    png.extend([8, 2, 0, 0, 0, 0, 0, 0, 0]);
    png
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_100_mb_is_refused_and_not_held() {
    let (_place, serving) = served();
    let (client, url) = (client(), &serving.url);
    ask(&client, url, &scenes()[0], "").await;
    let before = serving.kib("VmHWM");
    let huge = form(&[("image", Some("a.jpg"), &vec![0xff; 100 << 20])]);
    let sends = (0..4).map(|_| post(&client, url, huge.clone()));
    for response in futures::future::join_all(sends).await {
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    // Without a length it is found out on the way; the connection may end before the answer is read.
    let chunks =
        futures::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(vec![0xff_u8; 1 << 20])));
    let head = form(&[("image", Some("a.jpg"), b"")]);
    let head = futures::stream::iter([Ok(head[..head.len() - 40].to_vec())]);
    let kind = "multipart/form-data; boundary=a-boundary-that-no-picture-holds";
    let request = client.post(format!("{url}/api/search")).header("content-type", kind);
    if let Ok(response) = request.body(Body::wrap_stream(head.chain(chunks))).send().await {
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    let grown = serving.kib("VmHWM") - before;
    assert!(grown < 100 << 10, "{grown} KiB for bodies that are refused");
    assert_eq!(ask(&client, url, &scenes()[0], "").await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_searches_at_once_are_answered_alike() {
    let (place, serving) = served();
    let (client, url) = (client(), &serving.url);
    let images: Vec<Vec<u8>> =
        (0..IMAGES).map(|number| std::fs::read(place.at(&Place::image(number))).unwrap()).collect();
    let mut alone = Vec::new();
    for image in &images {
        alone.push(rows(&ask(&client, url, image, "in winter").await.1));
    }
    let before = serving.kib("VmHWM");
    let searches = (0..500).map(|number| {
        let (image, client) = (&images[number % IMAGES], &client);
        async move { (number, ask(client, url, image, "in winter").await) }
    });
    for (number, (status, found)) in futures::future::join_all(searches).await {
        assert_eq!(status, StatusCode::OK, "search {number}: {found}");
        assert_eq!(rows(&found)[0], alone[number % IMAGES][0], "search {number}");
    }
    let grown = serving.kib("VmHWM") - before;
    assert!(grown < 256 << 10, "{grown} KiB for 500 searches");
}

fn rows(found: &Value) -> Vec<u64> {
    found["hits"].as_array().unwrap().iter().map(|hit| hit["row"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_uploads_leave_it_standing() {
    let Some(corpus) = shared("corpora/images") else { return };
    let (_place, mut serving) = served();
    let (client, url) = (client(), serving.url.clone());
    let mut paths = Vec::new();
    files_below(&corpus, &mut paths);
    let count = paths.len();
    let uploads = paths.into_iter().map(|path| {
        let (client, url) = (client.clone(), url.clone());
        async move {
            let bytes = tokio::fs::read(&path).await.unwrap();
            let (status, said) = ask(&client, &url, &bytes, "brighter").await;
            (path, status, said)
        }
    });
    let mut counts = std::collections::BTreeMap::<u16, usize>::new();
    let mut uploads = futures::stream::iter(uploads).buffer_unordered(32);
    while let Some((path, status, said)) = uploads.next().await {
        let known = [200, 413, 415, 422].contains(&status.as_u16());
        // An empty file is as none, and the text is searched for.
        assert!(known, "{}: {status} {said}", path.display());
        *counts.entry(status.as_u16()).or_default() += 1;
    }
    assert!(counts[&200] > 100 && counts[&422] > 10 && counts[&415] > 5, "{counts:?}");
    assert!(serving.child.try_wait().unwrap().is_none(), "it ended");
    assert!(serving.kib("VmHWM") < 2 << 20, "{} KiB", serving.kib("VmHWM"));
    assert_eq!(ask(&client, &url, &scenes()[0], "").await.0, StatusCode::OK);
    conformance("search-uploads", count);
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, files) } else { files.push(path) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_with_success() {
    let (_place, mut serving) = served();
    assert_eq!(ask(&client(), &serving.url, &scenes()[0], "").await.0, StatusCode::OK);
    signal(&serving.child, "TERM");
    for _ in 0..12_000 {
        if let Some(status) = serving.child.try_wait().unwrap() {
            return assert!(status.success(), "{status}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not end");
}

#[test]
fn an_address_in_use_is_said() {
    let (place, serving) = served();
    let address = serving.url.trim_start_matches("http://");
    let output = place.run(&["serve", "--index", "index", "--listen", address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(super::said(&output).contains("cannot listen on"), "{}", super::said(&output));
}
