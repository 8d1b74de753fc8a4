//! Titles, alternative texts and addresses that mean harm are text: in the report, the viewer and on the
//! terminal.

use magiclens_demo::picture::Picture;
use magiclens_demo::{Rng, Scene};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::browser::look;
use super::{Serving, report};
use crate::support::{mine, run};

const SCRIPT: &str =
    "</script><script>window.hacked=1</script><img src=x onerror=\"window.hacked=2\">";
const BIDI: &str = "\u{202e}gpj.exe\u{2066}\u{200f}";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

fn page(number: usize) -> String {
    let long = "lamp ".repeat(200_000);
    let title = match number {
        0 => format!("{SCRIPT} {BIDI} \u{7f}\u{9b}31m"),
        1 => long.clone(),
        _ => format!("{BIDI}{SCRIPT}"),
    };
    let mut html =
        format!("<!doctype html><html><head><title>{}</title></head><body>", escaped(&title));
    for other in 0..3 {
        html += &format!("<a href=\"/page-{other}.html\">page</a> ");
    }
    for image in 0..4 {
        let colour = ["red", "green", "blue", "yellow"][image];
        let alt = match (number, image) {
            (2, 0) => format!("a {colour} lamp {long}"),
            _ => format!("a {colour} lamp {SCRIPT} {BIDI} number {image}"),
        };
        let path = format!("/image-{number}-{image}-%3Cscript%3Ealert(1)%3C-{}.png", "%E2%80%AE");
        html += &format!(
            "<p><img src=\"{path}?q=&quot;onerror=alert(1)\" alt=\"{}\"></p>",
            escaped(&alt)
        );
    }
    html += &format!(
        "<img src=\"/long.png?{}\" alt=\"a long one\"></body></html>",
        "x".repeat(1 << 20)
    );
    html
}

fn answer(request: &Request) -> ResponseTemplate {
    let path = request.url.path();
    if let Some(number) = path.strip_prefix("/page-").and_then(|rest| rest[..1].parse().ok()) {
        return ResponseTemplate::new(200).set_body_raw(page(number), "text/html; charset=utf-8");
    }
    if path.starts_with("/image-") {
        let seed = path.bytes().map(u64::from).fold(7, |sum, byte| sum * 31 % 1_000_003 + byte);
        let bytes = Picture::of(Scene::random(&mut Rng::new(seed)), (400, 300)).bytes().unwrap();
        return ResponseTemplate::new(200).set_body_raw(bytes, "image/jpeg");
    }
    ResponseTemplate::new(404)
}

fn is_harmless(text: &str) -> bool {
    let is_harm = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    !text.contains(is_harm)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pages_say_is_shown_as_text() {
    let site = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&site).await;
    let folder = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/loopback.toml");
    let mut command = mine(folder.path());
    command.args(["--config", config, "--out", "run", "--log", "text"]);
    command.args(["--seed-urls", &format!("{}/page-0.html", site.uri())]);
    for bound in ["pair.min_visual=0", "pair.max_visual=1", "pair.min_text=0", "pair.max_text=1"] {
        command.args(["--set", bound]);
    }
    command.env("MAGICLENS_LOG", "magiclens=debug");
    let mined = run(command).await;
    let said = String::from_utf8(mined.stderr).unwrap();
    assert!(mined.status.success(), "{said}");
    assert!(is_harmless(&said), "the log holds what hides or turns text");
    let mut command = mine(folder.path());
    command.args(["status", "run"]);
    let output = run(command).await;
    assert!(is_harmless(&String::from_utf8(output.stdout).unwrap()));

    let told = report(folder.path(), &[]).await;
    let cards = told["cards"].as_array().unwrap();
    assert!(cards.len() >= 3, "{} triplets", cards.len());
    let text = told.to_string();
    assert!(
        text.contains("window.hacked") && text.contains("\\\\u{202e}"),
        "it says what was said"
    );
    assert!(is_harmless(&text));
    assert!(text.len() < 2 << 20, "{} bytes: what is long is cut", text.len());
    let page = format!("file://{}", folder.path().join("out.html").display());
    look("report", &page, "", folder.path()).await;

    let serving = Serving::start(folder.path());
    let (status, found) = serving.get("/api/triplets?limit=100").await;
    assert!(status.is_success() && is_harmless(&found.to_string()));
    let url = found["items"][0]["query"]["url"].as_str().unwrap();
    assert!(url.contains("%3Cscript%3E"), "{url}");
    let refused = &told["examples"]["pairs"];
    let refused = refused.as_object().unwrap().values().next().unwrap()[0]["url"].as_str().unwrap();
    look("serve", &serving.url, refused, folder.path()).await;
}
