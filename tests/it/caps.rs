//! Caps on domains and clusters keep exactly as many triplets as they allow.

use std::collections::{BTreeMap, BTreeSet};

use magiclens::table::Triplet;
use magiclens_demo::Options;

use crate::support::{Mined, Tables, run};

/// No cap, for those that have one of another kind.
const NO_CAP: usize = usize::MAX;

async fn export(mined: &Mined, set: &[&str]) -> Tables {
    let mut command = mined.command("run");
    // Both ways, so that a picture of two pages is the target of both.
    command.args(["--redo", "export", "--set", "pair.direction=both"]);
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
fn expected(triplets: &[Triplet], per_domain: usize, per_cluster: usize) -> BTreeSet<&str> {
    let (mut domains, mut clusters) = (BTreeMap::new(), BTreeMap::new());
    let mut is_kept = |row: &&Triplet| {
        let n = domains.entry(row.domain.clone()).or_insert(0);
        *n += 1;
        if *n > per_domain {
            return false;
        }
        let n = clusters.entry(row.target_cluster_id.clone()).or_insert(0);
        *n += 1;
        *n <= per_cluster
    };
    let kept = in_order(triplets).into_iter().filter(|row| is_kept(row));
    kept.map(|row| row.triplet_id.as_str()).collect()
}

fn rejected(tables: &Tables, reason: &str) -> usize {
    let rejects = tables.rejects_of("triplets").iter();
    rejects.filter(|row| row.reason.as_str() == reason).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn caps_keep_as_many_as_they_allow() {
    let mined = Mined::serve(&Options { sites: 12, odd: false, ..Options::default() }).await;
    let all = export(&mined, &[]).await;
    let leaks = rejected(&all, "split_leak");
    assert!(leaks > 0);
    for (per_domain, per_cluster) in [(7, NO_CAP), (NO_CAP, 1), (7, 1)] {
        let cap = |n: usize| if n == NO_CAP { 0 } else { n };
        let caps = [
            format!("export.max_per_domain={}", cap(per_domain)),
            format!("export.max_per_cluster={}", cap(per_cluster)),
        ];
        let capped = export(&mined, &[&caps[0], &caps[1]]).await;
        let found = capped.triplets.iter().map(|row| row.triplet_id.as_str());
        assert_eq!(
            found.collect::<BTreeSet<_>>(),
            expected(&all.triplets, per_domain, per_cluster),
            "{caps:?}"
        );
        assert_eq!(rejected(&capped, "split_leak"), leaks, "caps do not move what is held out");
        let (domain, cluster) = (rejected(&capped, "domain_cap"), rejected(&capped, "cluster_cap"));
        assert_eq!(capped.triplets.len() + domain + cluster, all.triplets.len());
        assert_eq!(
            (domain > 0, cluster > 0),
            (per_domain == 7, per_domain == NO_CAP || cluster > 0)
        );
    }
}
