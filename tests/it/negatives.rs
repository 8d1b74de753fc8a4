//! Hard negatives are of the page, are no near-duplicates of query or target, look less alike than a
//! positive could, and are in one split.

use std::collections::{BTreeMap, BTreeSet};

use magiclens::record::{GroupImage, Split};
use magiclens::similarity::visual;
use magiclens::table::Triplet;
use magiclens_demo::Options;

use crate::support::{Mined, Tables, run};

const MOST: usize = 2;
const MAX_VISUAL: f32 = 0.8;

async fn mined() -> Tables {
    let mined = Mined::serve(&Options { sites: 12, odd: false, ..Options::default() }).await;
    let mut command = mined.command("run");
    command.args(["--set", "export.val_share=0.25", "--set", "export.test_share=0.25"]);
    command.args(["--set", &format!("export.hard_negatives={MOST}")]);
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    mined.tables("run").await
}

/// The images of a triplet's page by id.
type Group<'a> = BTreeMap<&'a str, &'a GroupImage>;

fn negatives<'a>(row: &Triplet, group: &Group<'a>) -> Vec<&'a GroupImage> {
    let named = row.hard_negatives.iter().flatten();
    named.map(|image| group[image.path.split('.').next().unwrap()]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_negatives_are_no_answers_and_do_not_leak() {
    let tables = mined().await;
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for image in &tables.groups {
        let group = groups.entry(&image.group_id).or_default();
        group.insert(image.look.image_id.as_str(), image);
    }
    let mut counts = [0; MOST + 1];
    let mut clusters: BTreeMap<bool, BTreeSet<&str>> = BTreeMap::new();
    let mut of_negatives: BTreeSet<&str> = BTreeSet::new();
    for row in &tables.triplets {
        let group = &groups[row.group_id.as_str()];
        let (query, target) = (&row.query_cluster_id, &row.target_cluster_id);
        let found = negatives(row, group);
        counts[found.len()] += 1;
        let in_train = clusters.entry(row.split == Split::Train).or_default();
        in_train.extend([query.as_str(), target.as_str()]);
        let likeness =
            |image: &GroupImage| visual(&image.look, &group[row.target_image_id.as_str()].look);
        for (image, bytes) in found.iter().zip(row.hard_negatives.iter().flatten()) {
            assert!(![query, target].contains(&&image.look.cluster_id), "{}", row.triplet_id);
            assert!(likeness(image) < MAX_VISUAL, "{}", row.triplet_id);
            let stored = tables.images.iter().find(|other| other.image_id == image.look.image_id);
            assert_eq!(stored.unwrap().bytes, bytes.bytes);
            in_train.insert(image.look.cluster_id.as_str());
            if row.split == Split::Train {
                of_negatives.insert(image.look.cluster_id.as_str());
            }
        }
        assert!(found.is_sorted_by(|a, b| likeness(a) >= likeness(b)), "the hardest come first");
    }
    assert!(counts[MOST] > 50, "{counts:?}");
    let (train, held) = (&clusters[&true], &clusters[&false]);
    assert!(train.len() > 20 && held.len() > 10, "{} and {}", train.len(), held.len());
    assert_eq!(train.intersection(held).collect::<Vec<_>>(), Vec::<&&str>::new());
    let pool: BTreeSet<&str> = tables.test_pool.iter().map(|row| row.cluster_id.as_str()).collect();
    assert!(pool.is_disjoint(train), "the pool has an image that train has as a hard negative");
    let test = tables.triplets.iter().filter(|row| row.split == Split::Test);
    for row in test {
        let ends = [&row.query_cluster_id, &row.target_cluster_id];
        assert!(ends.iter().all(|cluster| pool.contains(cluster.as_str())), "{}", row.triplet_id);
    }
    let pairs_of_train: BTreeSet<&str> = tables
        .triplets
        .iter()
        .filter(|row| row.split == Split::Train)
        .flat_map(|row| [row.query_cluster_id.as_str(), row.target_cluster_id.as_str()])
        .collect();
    assert!(
        !of_negatives.is_subset(&pairs_of_train),
        "no image is in train as a hard negative only"
    );
}
