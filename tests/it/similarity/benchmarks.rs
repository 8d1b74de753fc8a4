//! Benchmarks are kept out by cosines too, where what made the run's vectors is at hand, and else by hashes
//! only, which the card says.

use std::collections::BTreeSet;
use std::process::Command;

use magiclens::record::StoredAs;

use super::{by_endpoint, done, options, set, vectors};
use crate::model_server::{Act, ModelServer};
use crate::support::{Mined, Tables};

/// Hashes that find nothing but what is the same in each cell and bit.
const BLIND: [(&str, &str); 5] = [
    ("decontaminate.verify_bits", "0"),
    ("decontaminate.verify_colour", "0"),
    ("decontaminate.verify_cells", "0"),
    ("decontaminate.min_cosine", "0.99999"),
    // All images are encoded again, so that what is stored is another file than what was fetched.
    ("fetch.max_side", "160"),
];

/// Puts what is stored of a target into the folder `bench`; gives its id.
fn plant(mined: &Mined, tables: &Tables, name: &str) -> String {
    let id = &tables.triplets[0].target_image_id;
    let image = tables.images.iter().find(|image| image.image_id == *id).unwrap();
    assert_eq!(image.stored_as, StoredAs::Reencoded);
    let folder = mined.folder.path().join("bench");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), &image.bytes).unwrap();
    id.to_string()
}

fn card(mined: &Mined) -> String {
    std::fs::read_to_string(mined.folder.path().join("run/triplets/README.md")).unwrap()
}

/// The first triplet's target goes by its vector, and nothing by its hashes.
async fn kept_out(mined: &Mined, command: impl Fn() -> Command) {
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

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_embeds_a_benchmark_once() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| Act::Body(vectors(call))).await;
    let command = || {
        let mut command = by_endpoint(&mined, &server, "run");
        set(&mut command, &BLIND);
        command
    };
    kept_out(&mined, command).await;
    // A rerun, also one that makes the export anew, asks for nothing.
    let asked = server.calls();
    let mut again = command();
    again.args(["--decontaminate", "bench", "--redo", "export"]);
    let said = done(again).await;
    assert_eq!(server.calls(), asked);
    assert!(said.contains("decontaminate: 1 calls"), "{said}");

    // Nobody answers for a further image: the hashes must do, and a list of hashes has nothing else.
    let tables = mined.tables("run").await;
    plant(&mined, &tables, "two.jpg");
    drop(server);
    let gone = ModelServer::start(|_| Act::Status(401, Vec::new(), "no".into())).await;
    for (given, word) in [("bench", "did not answer"), ("list.parquet", "holds no images to embed")]
    {
        let mut hash = crate::support::mine(mined.folder.path());
        hash.args(["hash-images", "bench", "--out", "list.parquet"]);
        done(hash).await;
        let mut command = by_endpoint(&mined, &gone, "run");
        set(&mut command, &BLIND);
        command.args(["--decontaminate", given, "--redo", "export"]);
        done(command).await;
        let card = card(&mined);
        assert!(card.contains("hashes only: ") && card.contains(word), "{word}: {card}");
    }
}

#[cfg(feature = "torch")]
#[tokio::test(flavor = "multi_thread")]
async fn clip_embeds_a_benchmark_and_without_its_weights_hashes_must_do() {
    use magiclens::model::{MagicLens, ModelConfig};

    let mined = Mined::serve(&options()).await;
    let weights = mined.folder.path().join("clip");
    MagicLens::new(&ModelConfig::tiny(), tch::Device::Cpu, 7).save(&weights).unwrap();
    let command = || {
        let mut command = mined.command("run");
        set(&mut command, &[("pair.similarity", "clip"), ("embed.weights", "clip")]);
        set(&mut command, &BLIND);
        command.env("OMP_NUM_THREADS", "1").env("CUDA_VISIBLE_DEVICES", "");
        command
    };
    kept_out(&mined, command).await;
    // What is kept of the benchmark is enough, until it has another image.
    std::fs::rename(&weights, mined.folder.path().join("away")).unwrap();
    let again = || {
        // The weights are those that the run directory keeps.
        let mut command = mined.command("run");
        command.args(["--decontaminate", "bench", "--redo", "export"]);
        command
    };
    done(again()).await;
    assert!(card(&mined).contains("hashes and cosines of embeddings"), "{}", card(&mined));
    plant(&mined, &mined.tables("run").await, "two.jpg");
    done(again()).await;
    let card = card(&mined);
    assert!(card.contains("hashes only: ") && card.contains("not at hand"), "{card}");
}
