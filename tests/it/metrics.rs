//! `--metrics`: scraped while a run goes on, parsed by Prometheus' own client, and at the end the funnel.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use magiclens::store::RunDir;
use magiclens_demo::Options;

use crate::support::{Mined, python, run, wait};

/// Between two scrapes: more often than any collector, and seldom enough that a run gets on.
const EVERY: Duration = Duration::from_millis(100);

fn options() -> Options {
    Options { hostile: false, ..Options::default() }
}

/// Starts a run that serves metrics; gives its process and where.
fn start(mined: &Mined, out: &str) -> (Child, String) {
    let mut command = mined.command(out);
    command.args(["--metrics", "0"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = lines.by_ref().map(|line| line.unwrap()).find(|line| line.contains("metrics at"));
    let said = said.expect("the address is said");
    // What is not read would hold the run up.
    std::thread::spawn(move || lines.for_each(drop));
    (child, said[said.find("http://").unwrap()..].trim().to_owned())
}

/// Scrapes until the run is over; the files of the scrapes.
async fn scrapes(child: &mut Child, url: &str, folder: &Path) -> Vec<PathBuf> {
    magiclens::http::install_tls();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut files = Vec::new();
    while child.try_wait().unwrap().is_none() {
        // The run may end between this and the line above.
        let Ok(response) = client.get(url).send().await else { continue };
        assert_eq!(response.status(), 200);
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
        let Ok(text) = response.text().await else { continue };
        files.push(folder.join(format!("scrape-{:05}.txt", files.len())));
        std::fs::write(files.last().unwrap(), text).unwrap();
        tokio::time::sleep(EVERY).await;
    }
    files
}

/// The samples of the last file, all of them read by the parser.
async fn parsed(python: &Path, files: &[PathBuf]) -> BTreeMap<String, f64> {
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/metrics.py")).args(files);
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn scrapes_parse_and_their_totals_end_as_the_funnel_and_the_access_log() {
    let Some(python) = python() else { return };
    let mined = Mined::serve(&options()).await;
    let (mut child, url) = start(&mined, "run");
    let files = scrapes(&mut child, &url, mined.folder.path()).await;
    assert!(wait(child).await.success());
    assert!(!files.is_empty(), "no scrape while the run went on");
    let during = parsed(&python, &files).await;
    let running = during.iter().filter(|(key, _)| key.starts_with("magiclens_stage_running{"));
    assert_eq!(running.clone().count(), 7, "{during:?}");
    assert!(running.map(|(_, on)| on).sum::<f64>() <= 1.0);

    let left = mined.folder.path().join("run/metrics.prom");
    let last = parsed(&python, std::slice::from_ref(&left)).await;
    let dir = RunDir::open(mined.folder.path().join("run").to_str().unwrap()).unwrap();
    let tables = [
        ("collect", "pages"),
        ("fetch", "images"),
        ("group", "groups"),
        ("describe", "descriptions"),
        ("pair", "pairs"),
        ("instruct", "instructions"),
        ("export", "triplets"),
    ];
    for (stage, table) in tables {
        let counts = dir.counts(table).await.unwrap();
        let value = |outcome: &str| {
            last[&format!(
                "magiclens_records_total{{outcome={outcome},stage={stage},table={table}}}"
            )]
        };
        let found = ["in", "out", "rejected", "failed"].map(|outcome| value(outcome) as u64);
        let expected =
            [counts.input, counts.output, counts.rejected_total(), counts.failed_total()];
        assert_eq!(found, expected, "{table}");
        assert!(counts.output > 0, "{table}");
        for (reason, n) in counts.rejected.iter().chain(&counts.failed) {
            let reason = reason.as_str();
            let key =
                format!("magiclens_rejects_total{{reason={reason},stage={stage},table={table}}}");
            assert_eq!(last[&key] as u64, *n, "{key}");
        }
    }
    // Answers by class of status are those that the server says it gave.
    for class in 2..=5 {
        let served = mined.world.log().iter().filter(|line| line.status / 100 == class).count();
        let key = format!("magiclens_http_requests_total{{status={class}xx}}");
        assert_eq!(last[&key] as usize, served, "{key}");
    }
    assert!(last["magiclens_http_received_bytes_total{}"] > 100_000.0);
    assert!(last["process_cpu_seconds_total{}"] > 0.0);
    assert!(last["process_resident_memory_bytes{}"] > 1e6);
    assert_eq!(last["magiclens_queue_depth{queue=cores}"], 0.0);

    // Another process of the same run goes on with the same totals.
    let (mut child, url) = start(&mined, "run");
    let again = scrapes(&mut child, &url, mined.folder.path()).await;
    assert!(wait(child).await.success());
    let again = match again.is_empty() {
        true => vec![left],
        false => again,
    };
    let again = parsed(&python, &again).await;
    let pages = "magiclens_records_total{outcome=out,stage=collect,table=pages}";
    assert_eq!(again[pages], last[pages]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_had_is_said_at_once() {
    let mined = Mined::serve(&options()).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for given in [taken.as_str(), "nonsense"] {
        let mut command = mined.command("run");
        command.args(["--metrics", given]);
        let output = run(command).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains("--metrics") && stderr.contains(given), "{stderr}");
    }
    drop(listener);
    assert!(mined.world.log().is_empty());
}
