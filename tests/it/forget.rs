//! What is forgotten is gone from the next export, and after `mine compact` from the tables too.

use magiclens_demo::Options;

use crate::support::{Mined, Tables, mine, run};

const DOMAIN: &str = "harbour.example";

async fn verb(mined: &Mined, arguments: &[&str]) {
    let mut command = mine(mined.folder.path());
    command.args(arguments);
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Rows of the tables from `groups` on that have to do with the domain.
fn traces(tables: &Tables) -> usize {
    let of = |url: &str| url.contains(DOMAIN);
    let groups = tables.groups.iter().filter(|row| of(&row.page_url) || of(&row.image_url));
    let triplets = tables.triplets.iter();
    let triplets =
        triplets.filter(|row| of(&row.page_url) || of(&row.query_url) || of(&row.target_url));
    groups.count() + triplets.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_domain_is_gone() {
    let options = Options { sites: 3, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    mined.run("run").await;
    let asked = mined.world.log().len();
    let before = mined.tables("run").await;
    assert!(traces(&before) > 20);

    verb(&mined, &["forget", "run", "--domain", DOMAIN]).await;
    verb(&mined, &["--out", "run"]).await;
    let after = mined.tables("run").await;
    assert_eq!(traces(&after), 0);
    assert!(after.triplets.len() > 20, "the other sites are still there");
    let sheet = mined.folder.path().join("run/triplets/contact_sheet.html");
    assert!(!std::fs::read_to_string(sheet).unwrap().contains(DOMAIN));

    let secret = |tables: &Tables| -> Vec<u8> {
        let page = tables.pages.iter().find(|page| page.domain == DOMAIN).unwrap();
        page.title.clone().into_bytes()
    };
    assert!(!secret(&after).is_empty(), "pages are untouched so far");
    verb(&mined, &["compact", "run"]).await;
    verb(&mined, &["--out", "run"]).await;
    let compacted = mined.tables("run").await;
    for page in compacted.pages.iter().filter(|page| page.domain == DOMAIN) {
        assert!(page.title.is_empty() && page.text.is_empty() && page.images.is_empty());
    }
    let bytes = |tables: &Tables| {
        let images = tables.images.iter().filter(|image| {
            image.url.contains(DOMAIN) || image.page_url.contains(DOMAIN) && image.page_count == 1
        });
        images.map(|image| image.bytes.len()).sum::<usize>()
    };
    assert!(bytes(&after) > 0);
    assert_eq!(bytes(&compacted), 0);
    assert_eq!(after.triplets, compacted.triplets);
    assert_eq!(mined.world.log().len(), asked, "nothing was asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_image_takes_its_copies_along() {
    let options = Options { sites: 2, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    mined.run("run").await;
    let before = mined.tables("run").await;
    let first = &before.triplets[0];
    let (image, cluster) = (first.query_image_id.as_str(), first.target_cluster_id.as_str());
    verb(&mined, &["forget", "run", "--sha256", image, "--cluster", cluster]).await;
    verb(&mined, &["--out", "run"]).await;
    let after = mined.tables("run").await;
    assert!(!after.triplets.is_empty());
    for image_row in &after.groups {
        assert_ne!(image_row.look.image_id.as_str(), image);
        assert_ne!(image_row.look.cluster_id.as_str(), cluster);
    }
}

#[tokio::test]
async fn forgetting_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = mine(folder.path());
    command.args(["forget", "run"]);
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--domain"));
}
