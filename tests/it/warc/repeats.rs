//! One page in several files: it makes one group.

use magiclens::record::Reason;
use magiclens_demo::Options;

use super::archive::{records, write};
use super::site::command;
use crate::support::{Mined, mine, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_two_archives_hold_gives_one_group() {
    let options = Options { sites: 1, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    mined.run("live").await;
    let records = records(&mined.world).await;
    write(&mined.folder.path().join("one.warc.gz"), &records);
    write(&mined.folder.path().join("two.warc.gz"), &[&records[..], &records[..]].concat());
    let groups = async |out: &str, files: &[&str]| {
        let output = run(command(&mined, out, &[&["--warc"], files].concat())).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tables = mined.tables(out).await;
        let mut ids: Vec<_> = tables.groups.iter().map(|image| image.group_id.clone()).collect();
        let occurrences = ids.len();
        ids.sort();
        ids.dedup();
        (occurrences, ids, tables)
    };
    let (once, ids, _) = groups("once", &["one.warc.gz"]).await;
    let (twice, same_ids, tables) = groups("twice", &["one.warc.gz", "two.warc.gz"]).await;
    assert!(once > 20, "{once} images in groups");
    assert_eq!((twice, &same_ids), (once, &ids));
    let repeated = |table: &str| {
        tables.rejects_of(table).iter().filter(|r| r.reason == Reason::DuplicateUrl).count()
    };
    assert!(repeated("pages") > 10, "within a file");
    assert!(repeated("occurrences") >= once, "over files");

    // A crawl beside an archive: parts of both kinds, and still each page once.
    let (both, same_ids, tables) =
        groups("both", &["one.warc.gz", "--seed-urls", "seeds.txt"]).await;
    assert_eq!((both, &same_ids), (once, &ids));
    let crawled = tables.pages.iter().filter(|page| page.depth > 0).count();
    assert!(crawled > 5, "{crawled} pages were crawled");
    let mut status = mine(mined.folder.path());
    status.args(["status", "both"]);
    let status = String::from_utf8(run(status).await.stdout).unwrap();
    assert!(!status.contains("parts"), "{status}");
}
