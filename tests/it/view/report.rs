//! What a report says of a run, finished and not.

use reqwest::StatusCode;
use serde_json::Value;

use super::{Serving, data, mined, mined_quickly, options, report};
use crate::s3::Server;
use crate::support::{Mined, mine, run};

fn line<'a>(data: &'a Value, table: &str) -> &'a Value {
    let funnel = data["survey"]["funnel"].as_array().unwrap();
    funnel.iter().find(|line| line["table"] == table).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_tells_what_the_tables_hold() {
    let mined = mined().await;
    let tables = mined.tables("run").await;
    let told = report(mined.folder.path(), &[]).await;
    assert_eq!(told["survey"]["notes"], serde_json::json!([]), "the run is whole");
    for (table, rejects) in &tables.rejects {
        let funnel = told["survey"]["funnel"].as_array().unwrap();
        let Some(line) = funnel.iter().find(|line| line["table"] == *table) else { continue };
        let reasons = line["reasons"].as_array().unwrap();
        let lost: u64 = reasons.iter().map(|reason| reason["count"].as_u64().unwrap()).sum();
        assert_eq!(lost, rejects.len() as u64, "{table}");
        for reason in reasons {
            let name = reason["reason"].as_str().unwrap();
            let examples = told["examples"][*table][name].as_array().unwrap();
            let of_reason = rejects.iter().filter(|reject| reject.reason.as_str() == name);
            assert_eq!(examples.len(), of_reason.count().min(12), "{table} {name}");
        }
    }
    assert_eq!(line(&told, "triplets")["output"], tables.triplets.len());
    let cards = told["cards"].as_array().unwrap();
    assert_eq!(cards.len(), tables.triplets.len());
    for card in cards {
        let row = tables.triplets.iter().find(|row| card["id"] == *row.triplet_id).unwrap();
        assert_eq!(card["instruction"], *row.instruction);
        assert_eq!(card["query"]["url"], *row.query_url);
        assert_eq!(card["split"], row.split.as_str());
        for side in ["query_image", "target_image"] {
            assert!(card[side].as_str().unwrap().starts_with("data:image/"), "{card}");
        }
    }
    let splits = told["survey"]["triplets"]["splits"].as_object().unwrap();
    let split: u64 = splits.values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(split, tables.triplets.len() as u64);

    let visual = &told["survey"]["similarities"][0];
    let sum = |what: &str| {
        visual[what].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(sum("kept"), tables.pairs.len() as u64);
    assert_eq!(sum("rejected"), tables.rejects_of("pairs").len() as u64);
    assert_eq!(told["survey"]["sizes"]["images"], tables.images.len());
    assert_eq!(told["survey"]["wording"][0]["count"], tables.instructions.len());
    let stages: Vec<_> = told["survey"]["stages"].as_array().unwrap().iter().collect();
    assert!(stages.iter().any(|stage| stage["stage"] == "fetch"), "{stages:?}");
    // A second one, of a few only, takes the place of the first.
    let few = report(mined.folder.path(), &["--sample", "5"]).await;
    let ids = |told: &Value| {
        let cards = told["cards"].as_array().unwrap().iter();
        cards.map(|card| card["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&few), ids(&told)[..5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_whole_has_a_report_that_says_so() {
    let mined = Mined::serve(&options()).await;
    let mut command = mined.command("run");
    command.args(["--stages", "collect..fetch"]);
    assert!(run(command).await.status.success());
    let told = report(mined.folder.path(), &[]).await;
    let note = told["survey"]["notes"][0].as_str().unwrap();
    assert!(note.contains("in progress") && note.contains("pairs (not begun)"), "{note}");
    assert_eq!(told["cards"], serde_json::json!([]));
    assert!(line(&told, "images")["output"].as_u64().unwrap() > 0);
    assert_eq!(line(&told, "pairs")["output"], 0);

    let mut command = mine(mined.folder.path());
    command.args(["report", "nowhere"]);
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(3));
    assert!(!mined.folder.path().join("nowhere").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_an_object_store_has_its_report_there() {
    let mined = mined_quickly().await;
    let Some(server) = Server::start(&mined.folder.path().join("run")) else { return };
    let mut command = mine(mined.folder.path());
    command.args(["report", "s3://bucket/run"]).envs(server.environment());
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = magiclens::store::Store::within(server.objects("run"), mined.folder.path());
    let page = page.read("report.html").await.unwrap().unwrap();
    let told = data(std::str::from_utf8(&page).unwrap());
    let tables = mined.tables("run").await;
    assert_eq!(told["cards"].as_array().unwrap().len(), tables.triplets.len());

    // It is seen and marked where it lies.
    let serve = || {
        let mut command = mine(mined.folder.path());
        command.args(["serve", "s3://bucket/run", "--listen", "127.0.0.1:0"]);
        command.envs(server.environment()).env("TMPDIR", mined.folder.path());
        Serving::of(command)
    };
    let serving = serve();
    let (all, cards) = serving.triplets("fate=exported").await;
    assert_eq!(all, tables.triplets.len() as u64);
    let id = cards[0]["id"].as_str().unwrap().to_owned();
    let image = format!("{}/images/{id}/target", serving.url);
    let image = serving.client.get(image).send().await.unwrap();
    assert_eq!(image.status(), StatusCode::OK);
    assert!(image::load_from_memory(&image.bytes().await.unwrap()).is_ok());
    assert_eq!(serving.mark(&id, "\"bad\"").await.0, StatusCode::OK);
    drop(serving);
    let (marked, cards) = serve().triplets("mark=bad").await;
    assert_eq!((marked, &cards[0]["id"]), (1, &Value::from(id)));
}
