//! A dataset without images gets them back from the web, byte for byte, or says what is lost.

use magiclens::store::{Store, read_rows};
use magiclens::table::Triplet;
use magiclens_demo::Options;

use crate::support::{Mined, mine, run};

async fn rehydrated(mined: &Mined, out: &str, set: &[&str]) -> (Vec<Triplet>, String) {
    let mut command = mine(mined.folder.path());
    command.args(["rehydrate", "bare/triplets", "--out", out, "--config", "mine.toml"]);
    command.args(set.iter().flat_map(|value| ["--set", value]));
    let output = run(command).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    let store = Store::open(mined.folder.path().join(out).to_str().unwrap()).unwrap();
    let mut triplets = Vec::new();
    for (path, _) in store.list("").await.unwrap() {
        if path.ends_with(".parquet") {
            let rows = read_rows::<Triplet>(&store, &path, 64).await.unwrap();
            triplets.extend(rows.collect().await.unwrap());
        }
    }
    (triplets, stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn images_come_back_verified_and_losses_are_counted() {
    let options = Options { sites: 2, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    mined.run("full").await;
    let mut command = mined.command("bare");
    command.args(["--set", "export.images=none"]);
    assert!(run(command).await.status.success());
    let (full, bare) = (mined.tables("full").await, mined.tables("bare").await);
    assert!(bare.triplets.iter().all(|row| row.query_image.is_none()));
    assert_eq!(full.triplets.len(), bare.triplets.len());
    let folder = mined.folder.path().join("bare/triplets");
    let size: u64 = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(size < 500_000, "{size} bytes are more than text");

    let (mut triplets, _) = rehydrated(&mined, "again", &[]).await;
    triplets.iter_mut().for_each(|row| row.fetched_at = 0);
    let bytes = |row: &Triplet| (row.query_image.clone(), row.target_image.clone());
    let images: Vec<_> = triplets.iter().map(bytes).collect();
    assert_eq!(images, full.triplets.iter().map(bytes).collect::<Vec<_>>());

    let (kept, stderr) = rehydrated(&mined, "few", &["http.host_max_requests=9"]).await;
    assert!(kept.len() < full.triplets.len());
    let lost = format!("lost={}", full.triplets.len() - kept.len());
    assert!(stderr.contains(&lost), "{lost} is not in {stderr}");
    for row in &kept {
        let bytes = &row.query_image.as_ref().unwrap().bytes;
        let original = full.images.iter().find(|image| image.image_id == row.query_image_id);
        assert_eq!(bytes, &original.unwrap().bytes);
    }
}
