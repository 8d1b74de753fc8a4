//! Caps on domains and clusters keep exactly as many triplets as they allow.

use std::collections::{BTreeMap, BTreeSet};

use magiclens::table::Triplet;
use magiclens_demo::Options;

use crate::support::{Mined, Tables, run};

const PER_DOMAIN: usize = 7;
const PER_CLUSTER: usize = 1;

async fn export(mined: &Mined, set: &[&str]) -> Tables {
    let mut command = mined.command("run");
    command.args(["--redo", "export"]);
    command.args(["--set", "export.val_share=0.25", "--set", "export.test_share=0.25"]);
    command.args(set.iter().flat_map(|value| ["--set", value]));
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    mined.tables("run").await
}

/// The order in which triplets are taken.
fn in_order(triplets: &[Triplet]) -> Vec<&Triplet> {
    let mut order: Vec<&Triplet> = triplets.iter().collect();
    order.sort_by_key(|row| {
        (u64::from_str_radix(&row.triplet_id[..16], 16).unwrap() >> 1, &row.triplet_id)
    });
    order
}

/// What caps leave: each domain its first ones, and of these each cluster its first ones.
fn expected(triplets: &[Triplet]) -> BTreeSet<&str> {
    let (mut domains, mut clusters) = (BTreeMap::new(), BTreeMap::new());
    let mut is_kept = |row: &&Triplet| {
        let n = domains.entry(row.domain.clone()).or_insert(0);
        *n += 1;
        if *n > PER_DOMAIN {
            return false;
        }
        let n = clusters.entry(row.target_cluster_id.clone()).or_insert(0);
        *n += 1;
        *n <= PER_CLUSTER
    };
    let kept = in_order(triplets).into_iter().filter(|row| is_kept(row));
    kept.map(|row| row.triplet_id.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn caps_keep_as_many_as_they_allow() {
    let mined = Mined::serve(&Options { sites: 12, odd: false, ..Options::default() }).await;
    let all = export(&mined, &[]).await;
    let caps = [
        format!("export.max_per_domain={PER_DOMAIN}"),
        format!("export.max_per_cluster={PER_CLUSTER}"),
    ];
    let capped = export(&mined, &[&caps[0], &caps[1]]).await;
    let expected = expected(&all.triplets);
    let found: BTreeSet<&str> = capped.triplets.iter().map(|row| row.triplet_id.as_str()).collect();
    assert_eq!(found, expected);
    let rejected = |tables: &Tables, reason: &str| {
        tables.rejects_of("triplets").iter().filter(|row| row.reason.as_str() == reason).count()
    };
    let leaks = rejected(&all, "split_leak");
    assert!(leaks > 0);
    assert_eq!(rejected(&capped, "split_leak"), leaks, "caps do not move what is held out");
    let (domain, cluster) = (rejected(&capped, "domain_cap"), rejected(&capped, "cluster_cap"));
    assert!(domain > 0 && cluster > 0, "{domain} and {cluster}");
    assert_eq!(found.len() + domain + cluster, all.triplets.len());
    // Taken alone, the cap on domains fills every domain that has so many.
    let capped = export(&mined, &[&caps[0]]).await;
    let count = |tables: &Tables| {
        let mut domains: BTreeMap<String, usize> = BTreeMap::new();
        tables.triplets.iter().for_each(|row| *domains.entry(row.domain.clone()).or_default() += 1);
        domains
    };
    let full: BTreeMap<String, usize> =
        count(&all).into_iter().map(|(domain, n)| (domain, n.min(PER_DOMAIN))).collect();
    assert_eq!(count(&capped), full);
}
