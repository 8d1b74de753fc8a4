//! What was taken back is taken out of what a run noted of its archives.

use magiclens::store::{RunDir, read_rows};
use magiclens::table::{ARCHIVED_IMAGES, ArchivedImage};
use magiclens_demo::Options;

use super::archive::{records, write};
use super::site::command;
use crate::support::{Mined, mine, run};

async fn archived(mined: &Mined) -> Vec<ArchivedImage> {
    let dir = RunDir::open(mined.folder.path().join("run").to_str().unwrap()).unwrap();
    let mut rows = Vec::new();
    for manifest in dir.manifests(ARCHIVED_IMAGES).await.unwrap() {
        let stream = read_rows(dir.store(), &manifest.files["rows"].path, 64).await.unwrap();
        rows.extend(stream.collect().await.unwrap());
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_site_is_gone_from_the_list_of_archived_images() {
    let options = Options { sites: 2, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    mined.run("live").await;
    write(&mined.folder.path().join("site.warc.gz"), &records(&mined.world).await);
    assert!(run(command(&mined, "run", &["--warc", "site.warc.gz"])).await.status.success());
    let site = url::Url::parse(&mined.world.seeds()[0]).unwrap();
    let host = site.host_str().unwrap();
    let before = archived(&mined).await;
    let of_site = before.iter().filter(|image| image.url.contains(host)).count();
    assert!(of_site > 5 && of_site < before.len(), "{of_site} of {}", before.len());
    for arguments in [&["forget", "run", "--domain", host][..], &["compact", "run"]] {
        let mut command = mine(mined.folder.path());
        command.args(arguments);
        let output = run(command).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let after = archived(&mined).await;
    assert_eq!(after.len(), before.len());
    assert_eq!(after.iter().filter(|image| image.url.is_empty()).count(), of_site);
    assert!(run(command(&mined, "run", &[])).await.status.success());
    let tables = mined.tables("run").await;
    assert!(!tables.triplets.is_empty());
    assert!(tables.groups.iter().all(|image| !image.page_url.contains(host)));
    assert_eq!(mined.world.log(), []);
}
