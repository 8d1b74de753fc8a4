//! The viewer over a run that goes on, and what it finds.

use std::collections::BTreeSet;

use reqwest::StatusCode;

use super::{Serving, mined, mined_quickly, options};
use crate::support::{Mined, run};

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_follow_the_run() {
    let mined = Mined::serve(&options()).await;
    let mut command = mined.command("run");
    command.args(["--stages", "collect..fetch"]);
    assert!(run(command).await.status.success());
    let serving = Serving::start(mined.folder.path());
    let before = serving.survey(|_| true).await;
    assert!(before["notes"][0].as_str().unwrap().contains("in progress"), "{before}");
    assert_eq!(serving.triplets("").await.0, 0);
    mined.run("run").await;
    let tables = mined.tables("run").await;
    let all = tables.triplets.len();
    let is_whole = |survey: &serde_json::Value| survey["notes"] == serde_json::json!([]);
    let after = serving.survey(is_whole).await;
    assert_eq!(after["triplets"]["exported"], all);
    assert_eq!(serving.triplets("fate=exported").await.0, all as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_find_what_the_table_has() {
    let mined = mined_quickly().await;
    let rows = mined.tables("run").await.triplets;
    let serving = Serving::start(mined.folder.path());
    let count = |is: &dyn Fn(&magiclens::table::Triplet) -> bool| {
        rows.iter().filter(|row| is(row)).count() as u64
    };
    let some = &rows[rows.len() / 2];
    let word = some.instruction.split_whitespace().last().unwrap().to_lowercase();
    let (domain, split, visual) = (&some.domain, some.split, some.visual_similarity);
    let cases: [(String, u64); 6] = [
        (format!("split={}", split.as_str()), count(&|row| row.split == split)),
        (format!("domain={domain}"), count(&|row| row.domain.contains(domain.as_str()))),
        (format!("words={word}"), count(&|row| row.instruction.to_lowercase().contains(&word))),
        (format!("visual_min={visual}"), count(&|row| row.visual_similarity >= visual)),
        (format!("generator={}", some.generator), count(&|row| row.generator == some.generator)),
        ("mark=good".into(), 0),
    ];
    for (filter, expected) in cases {
        assert_eq!(
            serving.triplets(&format!("fate=exported&{filter}")).await.0,
            expected,
            "{filter}"
        );
    }
    // Pages are parts of one list.
    let mut seen = BTreeSet::new();
    let total = serving.triplets("").await.0;
    for offset in (0..total).step_by(7) {
        let (status, page) = serving.get(&format!("/api/triplets?limit=7&offset={offset}")).await;
        assert_eq!(status, StatusCode::OK);
        for card in page["items"].as_array().unwrap() {
            assert!(seen.insert(card["id"].as_str().unwrap().to_owned()), "{card} comes twice");
        }
    }
    assert_eq!(seen.len() as u64, total);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_told_where_it_went() {
    let mined = mined().await;
    let tables = mined.tables("run").await;
    let serving = Serving::start(mined.folder.path());
    let client = &serving.client;
    let why = async |address: &str| {
        let mut url = url::Url::parse(&format!("{}/api/why", serving.url)).unwrap();
        url.query_pairs_mut().append_pair("url", address);
        super::answer(client.get(url)).await.1
    };
    for table in ["pages", "fetch_list", "images", "image_clusters", "occurrences", "pairs"] {
        let Some(reject) = tables.rejects_of(table).first() else { continue };
        let told = why(&reject.url).await;
        let is_there = told["rejects"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["table"] == table && one["reason"] == reject.reason.as_str());
        assert!(is_there, "{reject:?}: {told}");
    }
    let row = &tables.triplets[0];
    let told = why(&row.query_url).await;
    let used = told["triplets"].as_array().unwrap().iter();
    assert!(used.clone().any(|card| card["id"] == *row.triplet_id), "{told}");
    assert!(told["kept"].as_array().unwrap().iter().any(|one| one["table"] == "images"), "{told}");
    let nothing = why("http://nobody.example/it's'; DROP TABLE rows; --").await;
    assert_eq!(nothing["rejects"], serde_json::json!([]));
    assert_eq!(nothing["kept"], serde_json::json!([]));
}
