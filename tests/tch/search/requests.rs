//! Requests to `search serve`, written by hand where a client would not send such a thing.

use reqwest::{Body, Client, Response, StatusCode};
use serde_json::Value;

/// Between the parts of a form.
const BOUNDARY: &str = "a-boundary-that-no-picture-holds";

/// A form of fields, each with a file name where it is one.
pub fn form(fields: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, value) in fields {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n"
        );
        body.extend(head.as_bytes());
        body.extend(*value);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// A client that waits long enough.
pub fn client() -> Client {
    magiclens::http::install_tls();
    Client::builder().timeout(std::time::Duration::from_secs(900)).build().unwrap()
}

/// Sends a form's body.
pub async fn post(client: &Client, url: &str, body: impl Into<Body>) -> Response {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = client.post(format!("{url}/api/search")).header("content-type", kind);
    request.body(body).send().await.unwrap()
}

/// Searches by an image and a text.
pub async fn ask(client: &Client, url: &str, image: &[u8], text: &str) -> (StatusCode, Value) {
    let fields =
        [("image", Some("a.jpg"), image), ("text", None, text.as_bytes()), ("k", None, &b"5"[..])];
    answer(post(client, url, form(&fields)).await).await
}

/// Status and JSON.
pub async fn answer(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}")))
}
