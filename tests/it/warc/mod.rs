//! WARC files and tables as input: the same pages and images as the live site, whatever happens in between.

use std::path::Path;

use crate::support::{mine, run};

pub mod archive;
mod forget;
mod gimp;
mod inputs;
mod repeats;
mod resume;
mod site;
mod tables;

/// Holds that an input is bad configuration, and that the message says why.
async fn is_refused(folder: &Path, flag: &str, name: &str, expected: &str) {
    let mut command = mine(folder);
    command.args([flag, name, "--out", "run", "--set", "crawl.contact=a@b.example"]);
    let output = run(command).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{name}: {stderr}");
    assert!(stderr.contains(expected), "{name}: {stderr}");
}
