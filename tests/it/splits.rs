//! No split leaks: an image that two domains show is never in train and in test.

use std::collections::BTreeSet;

use magiclens::record::Split;
use magiclens_demo::Options;

use crate::support::Mined;

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_on_two_domains_is_in_one_split() {
    let mined = Mined::serve(&Options { sites: 12, odd: false, ..Options::default() }).await;
    let mut command = mined.command("run");
    command.args(["--set", "export.val_share=0.25", "--set", "export.test_share=0.25"]);
    let output = crate::support::run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = mined.tables("run").await;
    let clusters = |wanted: &[Split]| -> BTreeSet<&str> {
        let rows = tables.triplets.iter().filter(|row| wanted.contains(&row.split));
        rows.flat_map(|row| [&row.query_cluster_id, &row.target_cluster_id])
            .map(|cluster| cluster.as_str())
            .collect()
    };
    let (train, held) = (clusters(&[Split::Train]), clusters(&[Split::Val, Split::Test]));
    assert!(train.len() > 20 && held.len() > 20, "{} and {}", train.len(), held.len());
    assert_eq!(train.intersection(&held).collect::<Vec<_>>(), Vec::<&&str>::new());
    let leaks = tables.rejects_of("triplets");
    assert!(leaks.iter().any(|reject| reject.reason.as_str() == "split_leak"), "none was planted");

    let domains = |wanted: Split| -> BTreeSet<&str> {
        let rows = tables.triplets.iter().filter(|row| row.split == wanted);
        rows.map(|row| row.domain.as_str()).collect()
    };
    assert!(domains(Split::Train).is_disjoint(&domains(Split::Test)));
    let pool: Vec<&str> = tables.test_pool.iter().map(|row| row.cluster_id.as_str()).collect();
    let distinct: BTreeSet<&str> = pool.iter().copied().collect();
    assert_eq!(pool.len(), distinct.len(), "one image of each cluster");
    assert!(distinct.is_disjoint(&train), "the pool has an image of train");
    let test = clusters(&[Split::Test]);
    assert!(test.is_subset(&distinct), "the pool lacks an image of a test triplet");
}
