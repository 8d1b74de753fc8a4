//! A site out of a WARC file, beside the same site live.

use std::collections::BTreeMap;

use magiclens::record::{Image, Page, Reason};
use magiclens_demo::Options;

use super::archive::{records, write};
use crate::support::{Mined, mine, run};

/// `mine --warc …` with the world's configuration.
pub fn command(mined: &Mined, out: &str, arguments: &[&str]) -> std::process::Command {
    let mut command = mine(mined.folder.path());
    command.args(["--config", "mine.toml", "--out", out]).args(arguments);
    command
}

/// Pages by URL, without what only a crawl or its time gives.
pub fn by_url(pages: Vec<Page>) -> BTreeMap<String, Page> {
    let same = |page: Page| {
        let requested_url = page.url.clone();
        (page.url.clone(), Page { requested_url, depth: 0, ..page })
    };
    pages.into_iter().map(same).collect()
}

fn images_by_url(images: Vec<Image>) -> BTreeMap<String, Image> {
    images.into_iter().map(|image| (image.url.clone(), image)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_site_gives_the_rows_of_the_live_one_without_a_request() {
    let options = Options { sites: 3, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    mined.run("live").await;
    let live = mined.tables("live").await;
    write(&mined.folder.path().join("site.warc.gz"), &records(&mined.world).await);
    let all = ["--warc", "site.warc.gz", "--set", "archive.min_image_tags=0"];
    let output = run(command(&mined, "archived", &all)).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert_eq!(mined.world.log(), [], "something was asked for");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("archived_images") && stdout.contains(" request"), "{stdout}");

    let archived = mined.tables("archived").await;
    assert!(archived.pages.len() > 20 && archived.images.len() > 50);
    assert_eq!(by_url(archived.pages.clone()), by_url(live.pages.clone()));
    assert_eq!(images_by_url(archived.images.clone()), images_by_url(live.images));
    assert_eq!(archived.triplets.len(), live.triplets.len());
    let dates =
        magiclens::store::RunDir::open(mined.folder.path().join("archived").to_str().unwrap());
    assert!(dates.unwrap().kept().await.unwrap().unwrap().archives[0].ends_with("site.warc.gz"));

    // By default, pages that can hold no two images are not read, and those alone.
    let output =
        run(command(&mined, "most", &["--warc", "site.warc.gz", "--stages", "collect"])).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let most = mined.tables("most").await;
    let few = most.rejects_of("pages").iter().filter(|r| r.reason == Reason::FewImages);
    let few: Vec<&str> = few.map(|reject| reject.url.as_str()).collect();
    let mut pages = by_url(live.pages);
    for url in few {
        let page = pages.remove(url).unwrap_or_else(|| panic!("{url} is no page of the live run"));
        assert!(page.images.len() < 2, "{url}");
    }
    assert_eq!(by_url(most.pages), pages);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_pages_come_out_of_an_archive_as_they_come_live() {
    let options = Options { sites: 1, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    mined.run("live").await;
    let live = mined.tables("live").await;
    write(&mined.folder.path().join("site.warc"), &records(&mined.world).await);
    let arguments =
        ["--warc", "site.warc", "--stages", "collect", "--set", "archive.min_image_tags=0"];
    let output = run(command(&mined, "archived", &arguments)).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let archived = mined.tables("archived").await;
    let (mut pages, live_pages) = (by_url(archived.pages.clone()), by_url(live.pages.clone()));
    for (url, page) in live_pages {
        let found = pages.remove(&url);
        assert_eq!(found, Some(page), "{:?}", archived.rejects_of("pages"));
    }
    // What the live run has not: hosts are not asked for their reservations.
    for url in pages.keys() {
        let reject = live.rejects_of("pages").iter().find(|reject| reject.url == *url);
        let reason = reject.map(|reject| reject.reason);
        assert_eq!(reason, Some(Reason::TdmReservation), "{url}");
    }
    // Opt-outs in headers and markup hold.
    let reasons: Vec<Reason> = archived.rejects_of("pages").iter().map(|r| r.reason).collect();
    for reason in [Reason::Noai, Reason::Noindex, Reason::NotHtml] {
        assert!(reasons.contains(&reason), "{reason:?} is not in {reasons:?}");
    }
}
