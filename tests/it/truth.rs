//! The funnel over the demo world against its truth, URL by URL and number by number.

use std::collections::{BTreeMap, BTreeSet};

use magiclens_demo::Options;
use magiclens_demo::truth::{ImageFate, PageFate, Truth};

use crate::support::{Mined, Tables};

#[tokio::test(flavor = "multi_thread")]
async fn every_url_meets_its_fate() {
    let mined = Mined::serve(&Options::default()).await;
    mined.run("run").await;
    let (tables, truth) = (mined.tables("run").await, mined.world.truth());
    let mut wrong = pages_that_differ(&truth, &tables);
    wrong.extend(images_that_differ(&truth, &tables));
    assert!(wrong.is_empty(), "{} URLs:\n{}", wrong.len(), wrong.join("\n"));

    let asked: BTreeSet<String> =
        mined.world.log().iter().map(|access| format!("{}{}", access.host, access.path)).collect();
    let forbidden: Vec<_> = truth
        .never_requested
        .iter()
        .filter(|url| asked.contains(&without_scheme_and_port(url)))
        .collect();
    assert!(forbidden.is_empty(), "asked for {forbidden:?}");
}

fn without_scheme_and_port(url: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{}{query}", url.host_str().unwrap_or_default(), url.path())
}

/// One line for each page whose row or reject is not what the truth says.
fn pages_that_differ(truth: &Truth, tables: &Tables) -> Vec<String> {
    let mut wrong = Vec::new();
    let rejects: BTreeMap<&str, &str> = tables
        .rejects_of("pages")
        .iter()
        .map(|reject| (reject.url.as_str(), reject.reason.as_str()))
        .collect();
    let rows: BTreeMap<&str, _> =
        tables.pages.iter().map(|page| (page.requested_url.as_str(), page)).collect();
    assert_eq!(rows.len(), tables.pages.len(), "a page was collected twice");
    for (url, fate) in &truth.pages {
        match (fate, rows.get(url.as_str()), rejects.get(url.as_str())) {
            (PageFate::Rejected(expected), None, Some(reason)) if expected == reason => {}
            (PageFate::Collected(page), Some(row), None) => {
                let shown: Vec<_> = page
                    .images
                    .iter()
                    .map(|image| (image.url.clone(), image.alt.clone(), image.caption.clone()))
                    .collect();
                let found: Vec<_> = row
                    .images
                    .iter()
                    .map(|image| (image.url.clone(), image.alt.clone(), image.caption.clone()))
                    .collect();
                let expected = (&page.url, page.depth, &page.title, &page.charset, shown);
                let got = (&row.url, row.depth, &row.title, &row.charset, found);
                if expected != got {
                    wrong.push(format!("{url}:\n  expected {expected:?}\n  got      {got:?}"));
                }
            }
            (fate, row, reason) => {
                let fate = match fate {
                    PageFate::Collected(_) => "collected",
                    PageFate::Rejected(reason) => reason,
                };
                wrong.push(format!(
                    "{url}: expected {fate}, got row {}, reject {reason:?}",
                    row.is_some()
                ));
            }
        }
    }
    let all = rows.keys().chain(rejects.keys());
    wrong.extend(
        all.filter(|url| !truth.pages.contains_key(**url)).map(|url| format!("{url}: unexpected")),
    );
    wrong
}

/// One line for each image whose row or reject is not what the truth says.
fn images_that_differ(truth: &Truth, tables: &Tables) -> Vec<String> {
    let mut wrong = Vec::new();
    let rows: BTreeMap<&str, _> =
        tables.images.iter().map(|image| (image.url.as_str(), image)).collect();
    assert_eq!(rows.len(), tables.images.len(), "an image was stored twice");
    let reasons = |tables_of: &[&str]| -> BTreeMap<String, BTreeSet<&'static str>> {
        let mut reasons: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
        for reject in tables_of.iter().flat_map(|table| tables.rejects_of(table)) {
            reasons.entry(reject.url.clone()).or_default().insert(reject.reason.as_str());
        }
        reasons
    };
    let (filtered, failed) = (reasons(&["image_uses", "fetch_list"]), reasons(&["images"]));
    for (url, image) in &truth.images {
        let row = rows.get(url.as_str());
        let right = match &image.fate {
            ImageFate::Fetched { width, height, format, .. } => row.is_some_and(|row| {
                (row.width, row.height, row.format.as_str()) == (*width, *height, format.as_str())
                    && row.page_count as usize <= image.pages.len()
                    && image.pages.contains(&row.page_url)
            }),
            ImageFate::Filtered(reason) => {
                row.is_none() && filtered.get(url).is_some_and(|r| r.contains(reason.as_str()))
            }
            ImageFate::NotFetched(reason) => {
                row.is_none() && failed.get(url).is_some_and(|r| r.contains(reason.as_str()))
            }
        };
        if !right {
            let row = row.map(|row| (row.width, row.height, &row.format, row.page_count));
            wrong.push(format!(
                "{url}: expected {:?}, got row {row:?}, filtered {:?}, failed {:?}",
                image.fate,
                filtered.get(url),
                failed.get(url)
            ));
        }
    }
    let all = rows.keys().copied().chain(filtered.keys().chain(failed.keys()).map(String::as_str));
    let unexpected = all.filter(|url| !truth.images.contains_key(*url));
    wrong.extend(unexpected.map(|url| format!("{url}: unexpected")));
    wrong
}
