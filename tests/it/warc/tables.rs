//! Tables of images as input: pages come together from rows, and images are fetched as from a crawl.

use std::collections::BTreeMap;
use std::fmt::Write;

use magiclens::record::{Page, Reason};
use magiclens_demo::{Options, Rng};

use super::archive::gzip;
use super::is_refused;
use super::site::command;
use crate::support::{Mined, run, wait};

/// Image URLs and alternative texts of pages by URL, each image once, in the order of URLs.
fn shown(pages: &[Page]) -> BTreeMap<String, Vec<(String, String)>> {
    let images = |page: &Page| {
        let mut images: Vec<_> =
            page.images.iter().map(|image| (image.url.clone(), image.alt.clone())).collect();
        images.sort();
        images
    };
    let some = pages.iter().filter(|page| !page.images.is_empty());
    some.map(|page| (page.url.clone(), images(page))).collect()
}

/// A world with the tables of what a live run of it found, rows in no order, over two files.
async fn tabled() -> Mined {
    let options = Options { sites: 2, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    mined.run("live").await;
    let live = mined.tables("live").await;
    let uses = live.pages.iter().flat_map(|page| page.images.iter().map(move |i| (page, i)));
    let mut rows: Vec<(String, String, String)> = uses
        .map(|(page, image)| (page.url.clone(), image.url.clone(), image.alt.clone()))
        .collect();
    let mut rng = Rng::new(5);
    for at in (1..rows.len()).rev() {
        rows.swap(at, rng.below(at + 1));
    }
    let (csv_rows, json_rows) = rows.split_at(rows.len() / 2);
    let mut csv = "caption,url,page_url\n".to_owned();
    for (page, image, alt) in csv_rows {
        writeln!(csv, "\"{}\",{image},{page}", alt.replace('"', "\"\"")).unwrap();
    }
    csv.push_str("no page,http://a.example/1.jpg,nonsense\n");
    let mut json = String::new();
    for (page, image, alt) in json_rows {
        let row = serde_json::json!({ "page_url": page, "url": image, "caption": alt });
        writeln!(json, "{row}").unwrap();
    }
    json.push_str("{broken\n");
    std::fs::write(mined.folder.path().join("a.csv"), csv).unwrap();
    std::fs::write(mined.folder.path().join("b.jsonl.gz"), gzip(json.as_bytes())).unwrap();
    mined.world.reset();
    mined
}

const TABLES: [&str; 5] =
    ["--table", "a.csv", "b.jsonl.gz", "--table-columns", "image_url=url,alt=caption"];

#[tokio::test(flavor = "multi_thread")]
async fn pages_come_together_from_rows_of_several_files() {
    let mined = tabled().await;
    let output = run(command(&mined, "tabled", &TABLES)).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    let (live, tabled) = (mined.tables("live").await, mined.tables("tabled").await);
    assert!(tabled.pages.len() > 15, "{} pages", tabled.pages.len());
    assert_eq!(shown(&tabled.pages), shown(&live.pages));
    let rejects = tabled.rejects_of("pages");
    let reasons: Vec<_> = rejects.iter().map(|reject| reject.reason).collect();
    assert!(reasons.len() == 2 && reasons.contains(&Reason::BadUrl), "{rejects:?}");
    assert!(reasons.contains(&Reason::InputBroken), "{rejects:?}");
    // Fewer pages know of an image here, so more can count as boilerplate of its site.
    let boilerplate = tabled.rejects_of("fetch_list").iter().map(|reject| reject.url.as_str());
    let boilerplate: Vec<_> = boilerplate.collect();
    let found: Vec<_> = tabled.images.iter().map(|image| &image.image_id).collect();
    for image in live.images.iter().filter(|i| !boilerplate.contains(&i.url.as_str())) {
        assert!(found.contains(&&image.image_id), "{} is missing", image.url);
    }
    assert!(found.len() * 10 > live.images.len() * 9, "{} images", found.len());
    assert!(!tabled.triplets.is_empty());
    let pages = mined.world.log().into_iter().filter(|access| access.path.ends_with(".html"));
    assert_eq!(pages.count(), 0, "a page was asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_resumed_runs_over_tables_leave_the_same_rows() {
    let mined = tabled().await;
    assert!(run(command(&mined, "undisturbed", &TABLES)).await.status.success());
    let undisturbed = mined.tables("undisturbed").await;
    for pause in [150, 400] {
        let out = format!("killed-{pause}");
        let mut child = command(&mined, &out, &TABLES).spawn().unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        child.kill().unwrap();
        wait(child).await;
        assert!(run(command(&mined, &out, &TABLES)).await.status.success());
        assert_eq!(undisturbed.difference(&mined.tables(&out).await), None);
    }
}

#[tokio::test]
async fn a_table_without_its_columns_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.csv", "url,caption\nhttp://a.example/1.jpg,x\n");
    write("a.jsonl", "{\"url\": \"x\"}\n");
    write("a.xlsx", "x");
    write("a.parquet", "PAR1 and nothing");
    for (name, expected) in [
        ("a.csv", "no column \"page_url\""),
        ("a.jsonl", "no column \"page_url\""),
        ("a.xlsx", "says no format"),
        ("a.parquet", "--table a.parquet: "),
        ("none.csv", "No such file"),
    ] {
        is_refused(folder.path(), "--table", name, expected).await;
    }
}
