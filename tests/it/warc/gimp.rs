//! A WARC file that another tool wrote of a real site: wget's of the GIMP manual.

use std::process::Command;

use super::site::by_url;
use crate::gimp::Site;
use crate::support::{Tables, mine, run};

#[tokio::test]
async fn the_gimp_manual_comes_out_of_wgets_archive_as_it_comes_live() {
    let Some(site) = Site::start() else { return };
    if Command::new("wget").arg("--version").output().is_err() {
        eprintln!("skipped: there is no wget");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut live = site.command(folder.path(), 1);
    live.args(["--stages", "collect"]);
    let output = run(live).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let mut wget = Command::new("wget");
    wget.current_dir(folder.path()).args(["--quiet", "--recursive", "--level=inf"]);
    wget.args(["--delete-after", "--warc-file=manual"]).arg(site.url(1));
    // 8: some answer was an error, which the archive has too.
    assert!(matches!(run(wget).await.status.code(), Some(0 | 8)));

    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/loopback.toml");
    let mut archived = mine(folder.path());
    archived.args(["--warc", "manual.warc.gz", "--config", config, "--out", "archived"]);
    archived.args(["--stages", "collect", "--set", "archive.min_image_tags=0"]);
    let output = run(archived).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let live = by_url(Tables::read(&folder.path().join("run")).await.pages);
    let archived = by_url(Tables::read(&folder.path().join("archived")).await.pages);
    assert!(live.len() > 600, "{} pages", live.len());
    let urls =
        |pages: &std::collections::BTreeMap<String, _>| pages.keys().cloned().collect::<Vec<_>>();
    assert_eq!(urls(&archived), urls(&live));
    for (url, page) in &live {
        assert_eq!(archived.get(url), Some(page), "{url}");
    }
}
