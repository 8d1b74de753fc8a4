//! `mine report` and `mine serve`, as their user runs and sees them.

mod browser;
mod hostile;
mod live;
mod report;
mod reviews;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use magiclens_demo::Options;
use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{Mined, mine};

/// A small world with all that is odd but what takes time.
fn options() -> Options {
    Options { sites: 4, hostile: false, ..Options::default() }
}

/// A world that was mined into `run`.
async fn mined() -> Mined {
    mined_of(&options()).await
}

/// The same without what is odd, which takes time.
async fn mined_quickly() -> Mined {
    mined_of(&Options { odd: false, ..options() }).await
}

async fn mined_of(options: &Options) -> Mined {
    let mined = Mined::serve(options).await;
    mined.run("run").await;
    mined
}

/// The data of a report.
fn data(page: &str) -> Value {
    let start = "<script type=\"application/json\" id=\"data\">";
    let from = page.find(start).unwrap() + start.len();
    let to = from + page[from..].find("</script>").unwrap();
    serde_json::from_str(&page[from..to]).unwrap()
}

/// Writes a report of `run` and gives its data.
async fn report(folder: &Path, arguments: &[&str]) -> Value {
    let mut command = mine(folder);
    command.args(["report", "run", "--html", "out.html"]).args(arguments);
    let output = crate::support::run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    data(&std::fs::read_to_string(folder.join("out.html")).unwrap())
}

/// A viewer that ends with the test.
struct Serving {
    child: Child,
    url: String,
    client: reqwest::Client,
}

impl Serving {
    /// `mine serve run` on a port of its own.
    fn start(folder: &Path) -> Self {
        let mut command = mine(folder);
        command.args(["serve", "run", "--listen", "127.0.0.1:0"]);
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains("http://"));
        let line = line.expect("it says where it listens");
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
        let url = url.trim_end_matches('/').to_owned();
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        magiclens::http::install_tls();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { child, url, client }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.client.get(format!("{}{path}", self.url))).await
    }

    async fn mark(&self, id: &str, mark: &str) -> (StatusCode, Value) {
        let body = format!("{{\"triplet_id\":\"{id}\",\"mark\":{mark}}}");
        answer(self.client.post(format!("{}/api/marks", self.url)).body(body)).await
    }

    /// Triplets by filter.
    async fn triplets(&self, filter: &str) -> (u64, Vec<Value>) {
        let (status, found) = self.get(&format!("/api/triplets?limit=100&{filter}")).await;
        assert_eq!(status, StatusCode::OK, "{found}");
        (found["total"].as_u64().unwrap(), found["items"].as_array().unwrap().clone())
    }

    /// The figures, once they are read and `is_right`.
    async fn survey(&self, is_right: impl Fn(&Value) -> bool) -> Value {
        let (mut seen, mut last) = (String::new(), Value::Null);
        for _ in 0..9000 {
            let (status, news) = self.get(&format!("/api/survey?seen={seen}")).await;
            if status == StatusCode::OK {
                seen = news["version"].as_str().unwrap().to_owned();
                last = news["survey"].clone();
                if is_right(&last) {
                    return last;
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("no such figures come: {last}");
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
