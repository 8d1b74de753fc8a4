//! Runs that keep a benchmark out, as their user starts them.

use std::collections::BTreeSet;
use std::path::Path;

use magiclens::record::Reason;
use magiclens::table::Triplet;
use magiclens_demo::Options;

use crate::support::{Mined, Tables, mine, run};

fn options() -> Options {
    Options { sites: 3, odd: false, hostile: false, ..Options::default() }
}

/// The images that a triplet shows, hard negatives left out.
fn shown(triplet: &Triplet) -> [&str; 2] {
    [triplet.query_image_id.as_str(), triplet.target_image_id.as_str()]
}

/// Writes every so-many-th image that triplets show to a folder, as its site serves it.
fn write_benchmark(tables: &Tables, folder: &Path, every: usize) -> BTreeSet<String> {
    std::fs::create_dir_all(folder).unwrap();
    let wanted: BTreeSet<&str> = tables.triplets.iter().flat_map(shown).collect();
    let wanted: BTreeSet<String> = wanted.into_iter().step_by(every).map(str::to_owned).collect();
    for image in &tables.images {
        if wanted.contains(image.image_id.as_str()) {
            let name = format!("{}.{}", image.image_id, image.format);
            std::fs::write(folder.join(name), &image.bytes).unwrap();
        }
    }
    wanted
}

/// Clusters of images that triplets must not show.
fn clusters(tables: &Tables, images: &BTreeSet<String>) -> BTreeSet<String> {
    let of = tables.groups.iter().filter(|image| images.contains(image.look.image_id.as_str()));
    of.map(|image| image.look.cluster_id.to_string()).collect()
}

fn card(mined: &Mined, out: &str) -> String {
    std::fs::read_to_string(mined.folder.path().join(out).join("triplets/README.md")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_triplet_shows_a_benchmark_and_a_list_of_hashes_does_as_well_as_its_images() {
    let mined = Mined::serve(&options()).await;
    mined.run("plain").await;
    assert!(card(&mined, "plain").contains("Images of benchmarks were not looked for"));
    let plain = mined.tables("plain").await;
    let folder = mined.folder.path().join("bench");
    let wanted = write_benchmark(&plain, &folder, 7);
    std::fs::write(folder.join("broken.png"), "no picture").unwrap();
    let gone = clusters(&plain, &wanted);

    let mut command = mined.command("clean");
    command.args(["--decontaminate", "bench"]);
    let output = run(command).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let clean = mined.tables("clean").await;
    let (kept, lost): (Vec<_>, Vec<_>) = plain.triplets.iter().partition(|triplet| {
        let clusters = [&triplet.query_cluster_id, &triplet.target_cluster_id];
        clusters.iter().all(|cluster| !gone.contains(cluster.as_str()))
    });
    assert!(lost.len() > 5 && kept.len() > 5, "{} lost, {} kept", lost.len(), kept.len());
    let ids = |triplets: &[&Triplet]| -> BTreeSet<String> {
        triplets.iter().map(|triplet| triplet.triplet_id.clone()).collect()
    };
    // Looser thresholds than those of clusters find more, and never less.
    let left: Vec<&Triplet> = clean.triplets.iter().collect();
    assert!(ids(&left).is_subset(&ids(&kept)));
    let rejects = clean.rejects_of("triplet_plan");
    assert!(rejects.iter().all(|reject| reject.reason == Reason::Benchmark));
    assert!(rejects[0].detail.contains(" of bench, "), "{:?}", rejects[0]);
    assert_eq!(rejects.len() + clean.triplets.len(), plain.triplets.len());
    assert_eq!(rejects.len(), lost.len() + BEYOND_CLUSTERS);
    assert!(said.contains("triplet_plan") && said.contains("benchmark"), "{said}");
    assert!(said.contains(&format!("{} triplets that show bench", rejects.len())), "{said}");
    let row = format!("| bench | {} | 1 | hashes | {} |", wanted.len(), rejects.len());
    assert!(card(&mined, "clean").contains(&row), "{row}: {}", card(&mined, "clean"));

    // The list stands for the folder, and a run that goes on needs neither.
    let mut command = mine(mined.folder.path());
    command.args(["hash-images", "bench", "--out", "lists/bench.parquet"]);
    let output = run(command).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with(&format!("{} images hashed, 1 not readable", wanted.len())), "{said}");
    std::fs::rename(&folder, mined.folder.path().join("away")).unwrap();
    let mut command = mined.command("listed");
    command.args(["--decontaminate", "lists/bench.parquet"]);
    assert!(run(command).await.status.success());
    assert_eq!(clean.difference(&mined.tables("listed").await), None);
}

/// Triplets that show no cluster of the benchmark, and are near one of its images by the looser thresholds.
const BEYOND_CLUSTERS: usize = 0;

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_out_is_said_before_anything_is_fetched() {
    let mined = Mined::serve(&options()).await;
    let path = |name: &str| mined.folder.path().join(name);
    std::fs::create_dir(path("empty")).unwrap();
    std::fs::write(path("text.txt"), "0123456789abcdef\n").unwrap();
    for (given, word) in [
        ("empty", "no image in it"),
        ("nowhere", "mine hash-images"),
        ("text.txt", "mine hash-images"),
    ] {
        let mut command = mined.command("run");
        command.args(["--decontaminate", given]);
        let output = run(command).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains(word) && stderr.contains(given), "{word}: {stderr}");
    }
    assert!(mined.world.log().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_benchmark_or_another_image_in_it_is_another_export() {
    let mined = Mined::serve(&options()).await;
    mined.run("run").await;
    let tables = mined.tables("run").await;
    let folder = mined.folder.path().join("bench");
    write_benchmark(&tables, &folder, 9);
    let with = |redo: bool| {
        let mut command = mine(mined.folder.path());
        command.args(["--out", "run", "--decontaminate", "bench"]);
        if redo {
            command.args(["--redo", "export"]);
        }
        run(command)
    };
    let refused = with(false).await;
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("decontaminate") && stderr.contains("--redo export"), "{stderr}");
    assert!(with(true).await.status.success());
    // Neither a rerun nor one with the images gone makes anything anew.
    let clean = mined.tables("run").await;
    assert!(with(false).await.status.success());
    write_benchmark(&tables, &folder, 5);
    let stderr = String::from_utf8_lossy(&with(false).await.stderr).into_owned();
    assert!(stderr.contains("decontaminate.benchmarks"), "{stderr}");
    assert_eq!(clean.difference(&mined.tables("run").await), None);
}
