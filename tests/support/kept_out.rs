//! A run from which a benchmark is kept out by cosines.

use std::collections::BTreeSet;
use std::process::Command;

use magiclens::record::StoredAs;

use crate::support::{Mined, Tables};
use crate::vectors::done;

/// Hashes that find nothing but what is the same in each cell and bit.
pub const BLIND: [(&str, &str); 5] = [
    ("decontaminate.verify_bits", "0"),
    ("decontaminate.verify_colour", "0"),
    ("decontaminate.verify_cells", "0"),
    ("decontaminate.min_cosine", "0.99999"),
    // All images are encoded again, so that what is stored is another file than what was fetched.
    ("fetch.max_side", "160"),
];

/// Puts what is stored of a target into the folder `bench`; gives its id.
pub fn plant(mined: &Mined, tables: &Tables, name: &str) -> String {
    let id = &tables.triplets[0].target_image_id;
    let image = tables.images.iter().find(|image| image.image_id == *id).unwrap();
    assert_eq!(image.stored_as, StoredAs::Reencoded);
    let folder = mined.folder.path().join("bench");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), &image.bytes).unwrap();
    id.to_string()
}

/// The card of a run's dataset.
pub fn card(mined: &Mined) -> String {
    std::fs::read_to_string(mined.folder.path().join("run/triplets/README.md")).unwrap()
}

/// The first triplet's target goes by its vector, and nothing by its hashes.
pub async fn kept_out(mined: &Mined, command: impl Fn() -> Command) {
    done(command()).await;
    let plain = mined.tables("run").await;
    let id = plant(mined, &plain, "one.jpg");
    let mut with = command();
    with.args(["--decontaminate", "bench", "--redo", "export"]);
    done(with).await;
    let clean = mined.tables("run").await;
    let rejects = clean.rejects_of("triplet_plan");
    assert!(!rejects.is_empty());
    let cosine = |detail: &str| detail.contains("one.jpg of bench, cosine 1.000");
    assert!(rejects.iter().all(|reject| cosine(&reject.detail)), "{:?}", rejects[0]);
    let shows = |ids: &BTreeSet<&str>| ids.contains(id.as_str());
    for triplet in &clean.triplets {
        let ids = [&triplet.query_image_id, &triplet.target_image_id];
        assert!(!shows(&ids.map(|id| id.as_str()).into()), "{triplet:?}");
    }
    let row = format!("| bench | 1 | 0 | hashes and cosines of embeddings | {} |", rejects.len());
    assert!(card(mined).contains(&row), "{}", card(mined));
}
