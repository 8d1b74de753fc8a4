//! Report and viewer in headless Chromium: filters, paging, keys, marks, and that nothing else is loaded.

use std::path::Path;
use std::process::Command;

use super::{Serving, mined, report};
use crate::support::{chromium, python, run};

/// Looks at a page, where there is a browser to do so.
pub(super) async fn look(kind: &str, url: &str, image_url: &str, folder: &Path) {
    let Some(python) = python() else { return };
    let Some([chromium, driver]) = chromium() else { return };
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/view.py"));
    command.arg(chromium).arg(driver).args([kind, url, image_url]).arg(folder);
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["light", "dark", "narrow"] {
        let shot = folder.join(format!("{kind}-{name}.png"));
        assert!(shot.metadata().unwrap().len() > 10_000, "{}", shot.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_works_in_a_browser() {
    let mined = mined().await;
    let folder = mined.folder.path();
    report(folder, &[]).await;
    look("report", &format!("file://{}", folder.join("out.html").display()), "", folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_viewer_works_in_a_browser() {
    let mined = mined().await;
    let tables = mined.tables("run").await;
    let serving = Serving::start(mined.folder.path());
    let reject = &tables.rejects_of("occurrences")[0];
    look("serve", &serving.url, &reject.url, mined.folder.path()).await;
    if mined.folder.path().join("run/reviews.jsonl").exists() {
        let (bad, _) = serving.triplets("mark=bad").await;
        assert_eq!(bad, 1, "the mark that was set by keyboard");
    }
}
