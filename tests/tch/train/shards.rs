//! Shards of drawn triplets, written by the writer that `mine` has.

use std::path::Path;

use magiclens::record::{ImageBytes, ImageId, Split, content_id};
use magiclens::store::{Layout, RowWriter, Store};
use magiclens::table::Triplet;
use magiclens_demo::picture::Picture;
use magiclens_demo::{Relation, Rng, Scene};

/// Triplets to train on: ten batches of the recipe.
pub const TRAIN: usize = 160;

/// Triplets to validate on.
pub const VAL: usize = 16;

/// The files of [`write`], below the folder.
pub const FILES: [&str; 3] = ["a.parquet", "b.parquet", "c.parquet"];

/// The triplet whose target image does not decode.
pub const BROKEN: usize = 7;

/// Triplets: a scene, and the same with one thing changed. Two share a page and a query image,
/// some a target, so that there is something to mask; one is [`BROKEN`], one has too long a text.
pub fn triplets() -> Vec<Triplet> {
    let mut rng = Rng::new(3);
    let common = Scene::random(&mut rng);
    let mut all = Vec::new();
    for page in 0..(TRAIN + VAL) / 2 {
        let scene = Scene::random(&mut rng);
        for _ in 0..2 {
            let relation = rng.pick(Relation::ALL);
            let changed = match all.len() % 10 {
                0 => common,
                _ => relation.change(scene, &mut rng),
            };
            let split = if all.len() < TRAIN { Split::Train } else { Split::Val };
            all.push(triplet(all.len(), page, (scene, changed), relation.phrase(&changed), split));
        }
    }
    all[BROKEN].target_image.as_mut().unwrap().bytes.truncate(300);
    all[BROKEN + 2].instruction = "the same barn ".repeat(40);
    all
}

fn triplet(
    number: usize,
    page: usize,
    (query, target): (Scene, Scene),
    instruction: String,
    split: Split,
) -> Triplet {
    let (query_image, target_image) = (image(query), image(target));
    Triplet {
        triplet_id: content_id(&["triplet", &number.to_string()]),
        group_id: content_id(&["page", &page.to_string()]),
        instruction,
        query_cluster_id: ImageId::of(&query_image.bytes),
        target_cluster_id: ImageId::of(&target_image.bytes),
        query_image: Some(query_image),
        target_image: Some(target_image),
        split,
        ..Triplet::default()
    }
}

fn image(scene: Scene) -> ImageBytes {
    let bytes = Picture::of(scene, (64, 64)).bytes().unwrap();
    ImageBytes { bytes: bytes.into(), path: "drawn.jpg".into() }
}

/// Two shards of training triplets and one of the rest.
pub fn write(folder: &Path, triplets: Vec<Triplet>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::open(folder.to_str().unwrap()).unwrap();
    let mut triplets = triplets.into_iter();
    for (name, rows) in FILES.into_iter().zip([TRAIN / 2, TRAIN / 2, VAL]) {
        let shard = triplets.by_ref().take(rows);
        runtime.block_on(async {
            let mut writer = RowWriter::create(&store, name.into(), Layout::Part).unwrap();
            for triplet in shard {
                writer.push(triplet).await.unwrap();
            }
            writer.close().await.unwrap();
        });
    }
}
