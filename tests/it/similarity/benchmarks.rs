//! Benchmarks are kept out by cosines too if the model that made the run's vectors is available, and
//! otherwise by hashes only, which the card reports.

use super::{by_endpoint, done, options, set, vectors};
use crate::kept_out::{BLIND, card, kept_out, plant};
use crate::model_server::{Act, ModelServer};
use crate::support::Mined;

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
