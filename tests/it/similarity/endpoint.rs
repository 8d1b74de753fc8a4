//! Vectors from an embeddings endpoint, which is asked once for each image and text.

use std::collections::{BTreeMap, HashSet};

use super::{
    WIDTH, by_endpoint, check_cosines, check_sent_once, done, inputs, options, refused, set,
    vectors,
};
use crate::model_server::{Act, ModelServer};
use crate::support::{Mined, mine};
use magiclens::record::Pair;

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_asked_once_and_bounds_can_be_changed_for_nothing() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| Act::Body(vectors(call))).await;
    let said = done(by_endpoint(&mined, &server, "run")).await;
    let tables = mined.tables("run").await;
    assert!(!tables.pairs.is_empty() && !tables.triplets.is_empty());
    assert_eq!(tables.embeddings.len(), tables.descriptions.len());
    check_cosines(&tables.pairs, &tables.embeddings);
    let card = std::fs::read_to_string(mined.folder.path().join("run/triplets/README.md")).unwrap();
    assert!(card.contains("embeddings of images and descriptions by `test-model`"), "{card}");
    assert!(card.contains("`pair.min_visual` = 0.8"), "{card}");
    assert!(said.contains(&format!("embed: {} calls", server.calls())), "{said}");

    let sent: Vec<Vec<String>> =
        server.bodies().iter().map(|body| inputs(&serde_json::from_str(body).unwrap())).collect();
    assert!(sent.iter().all(|inputs| inputs.len() <= 8));
    check_sent_once(&mined, "run", &server);

    // Neither a rerun nor other bounds nor the table made anew ask anything.
    let asked = server.calls();
    let pairs_with = async |redo: &str, bound: &str| {
        let mut command = by_endpoint(&mined, &server, "run");
        command.args(["--redo", redo]);
        set(&mut command, &[("pair.min_visual", bound), ("pair.min_text", bound)]);
        done(command).await;
        mined.tables("run").await
    };
    let strict = pairs_with("pair", "0.95").await;
    assert!(strict.pairs.len() < tables.pairs.len());
    let bar = |pair: &Pair| pair.visual_similarity.max(pair.text_similarity) >= 0.95;
    assert!(strict.pairs.iter().all(bar));
    assert_eq!(tables.difference(&pairs_with("pair", "auto").await), None);
    assert_eq!(tables.difference(&pairs_with("embed", "0.8").await), None);
    assert_eq!(server.calls(), asked);

    // Another run of the same pages has the same pairs.
    done(by_endpoint(&mined, &server, "other")).await;
    assert_eq!(tables.difference(&mined.tables("other").await), None);

    // What there is to choose from.
    let mut tune = mine(mined.folder.path());
    tune.args(["tune-pairs", "--out", "run"]);
    let said = done(tune).await;
    assert!(said.contains(&format!("pairs {}", tables.pairs.len())), "{said}");
    let candidates = tables.pairs.len() + tables.rejects_of("pairs").len();
    assert!(said.contains(&format!("{candidates} candidates, compared by endpoint")), "{said}");
    assert!(said.contains("--redo pair --set pair.min_visual=0.8"), "{said}");
    let page = std::fs::read_to_string(mined.folder.path().join("run/tune-pairs.html")).unwrap();
    assert!(page.contains("data:image/") && page.contains("<article>"), "{page:.300}");
    assert!(!page.contains("<script"), "a page without scripts");
    assert_eq!(tables.difference(&mined.tables("run").await), None, "tables stay as they were");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_texts_leaves_looks_to_hashes_and_colours() {
    let mined = Mined::serve(&options()).await;
    mined.run("plain").await;
    let server = ModelServer::start(|call| {
        assert!(call.body.get("modality").is_none());
        Act::Body(vectors(call))
    })
    .await;
    let mut command = by_endpoint(&mined, &server, "run");
    set(&mut command, &[("embed.images", "none")]);
    done(command).await;
    let (plain, tables) = (mined.tables("plain").await, mined.tables("run").await);
    assert!(tables.embeddings.iter().all(|row| row.image.is_empty() && row.text.len() == WIDTH));
    let looks = |pairs: &[Pair]| -> BTreeMap<String, f32> {
        pairs.iter().map(|pair| (pair.pair_id.clone(), pair.visual_similarity)).collect()
    };
    let (before, after) = (looks(&plain.pairs), looks(&tables.pairs));
    let both: Vec<_> = after.iter().filter(|(id, _)| before.contains_key(*id)).collect();
    assert!(!both.is_empty());
    assert!(both.into_iter().all(|(id, looks)| before[id] == *looks));
}

#[tokio::test(flavor = "multi_thread")]
async fn images_go_as_messages_where_a_server_wants_them_so() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| {
        if call.body.get("messages").is_some() {
            assert!(call.body.get("input").is_none() && call.body.get("modality").is_none());
            assert!(inputs(&call.body)[0].starts_with("data:image/"));
        }
        Act::Body(vectors(call))
    })
    .await;
    let mut command = by_endpoint(&mined, &server, "run");
    set(&mut command, &[("embed.images", "messages")]);
    done(command).await;
    let tables = mined.tables("run").await;
    assert_eq!(tables.embeddings.len(), tables.descriptions.len());
    check_cosines(&tables.pairs, &tables.embeddings);
    assert!(server.bodies().iter().any(|body| body.contains("\"messages\"")));
    check_sent_once(&mined, "run", &server);
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_of_another_model_are_not_taken_for_those_that_are_asked_for() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| Act::Body(vectors(call))).await;
    done(by_endpoint(&mined, &server, "run")).await;
    let before = mined.tables("run").await;
    for (key, value) in [
        ("pair.similarity", "clip"),
        ("embed.endpoint.model", "other"),
        ("embed.images", "messages"),
    ] {
        let mut tune = mine(mined.folder.path());
        tune.args(["tune-pairs", "--out", "run"]);
        let as_mined = [
            ("pair.similarity", "endpoint"),
            ("embed.endpoint.model", "test-model"),
            ("embed.images", "infinity"),
        ];
        set(&mut tune, &[&as_mined[..], &[(key, value)]].concat());
        let stderr = refused(tune).await;
        assert!(stderr.contains(key) && stderr.contains("--redo embed"), "{stderr}");
        let mut pair = by_endpoint(&mined, &server, "run");
        pair.args(["--stages", "pair", "--redo", "pair"]);
        set(&mut pair, &[(key, value)]);
        let stderr = refused(pair).await;
        assert!(stderr.contains(key) && stderr.contains("--redo embed"), "{stderr}");
    }
    let mut again = by_endpoint(&mined, &server, "run");
    again.args(["--redo", "pair"]);
    // A run keeps what it was last made anew with.
    set(&mut again, &[("embed.images", "infinity")]);
    done(again).await;
    assert_eq!(before.difference(&mined.tables("run").await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_about_how_often_an_endpoint_will_be_asked() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| Act::Body(vectors(call))).await;
    let mut described = by_endpoint(&mined, &server, "run");
    described.args(["--stages", "collect..describe"]);
    done(described).await;
    let mut dry = by_endpoint(&mined, &server, "run");
    dry.arg("--dry-run");
    let said = done(dry).await;
    let line =
        said.lines().find(|line| line.contains("embed    asks a model: about")).expect(&said);
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "about").unwrap();
    let forecast: usize = words[at + 1].parse().unwrap();
    assert_eq!(server.calls(), 0, "nothing is asked yet");
    done(by_endpoint(&mined, &server, "run")).await;
    let parts = std::fs::read_dir(mined.folder.path().join("run/replies/embed")).unwrap();
    let parts = parts.filter(|file| {
        file.as_ref().unwrap().path().extension().is_some_and(|name| name == "jsonl")
    });
    // What repeats is asked once, and each part may end with two requests that are not full.
    let calls = server.calls();
    assert!(0 < calls && calls <= forecast + 2 * parts.count(), "{calls} for {forecast}");
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_takes_vectors_along_and_asks_nothing_again() {
    const DOMAIN: &str = "harbour.example";
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| Act::Body(vectors(call))).await;
    done(by_endpoint(&mined, &server, "run")).await;
    let (before, asked) = (mined.tables("run").await, server.calls());
    let gone: HashSet<&str> = before
        .groups
        .iter()
        .filter(|image| image.page_url.contains(DOMAIN) || image.image_url.contains(DOMAIN))
        .map(|image| image.group_id.as_str())
        .collect();
    assert!(before.embeddings.iter().any(|row| gone.contains(row.group_id.as_str())));
    let mut forget = mine(mined.folder.path());
    forget.args(["forget", "run", "--domain", DOMAIN]);
    done(forget).await;
    done(by_endpoint(&mined, &server, "run")).await;
    let after = mined.tables("run").await;
    assert!(!after.embeddings.is_empty());
    assert_eq!(after.embeddings.len(), after.descriptions.len());
    assert!(!after.embeddings.iter().any(|row| gone.contains(row.group_id.as_str())));
    assert_eq!(server.calls(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_missing_is_said_before_anything_is_fetched() {
    let mined = Mined::serve(&options()).await;
    let mut command = mined.command("run");
    command.env_remove("OPENAI_API_KEY");
    set(&mut command, &[("pair.similarity", "endpoint"), ("embed.endpoint.model", "m")]);
    assert!(refused(command).await.contains("OPENAI_API_KEY"));
    for bound in ["nan", "inf", "2"] {
        let mut command = mined.command("run");
        set(&mut command, &[("pair.max_visual", bound)]);
        assert!(refused(command).await.contains("pair.max_visual"));
    }
    let mut command = mined.command("run");
    set(&mut command, &[("pair.min_text", "0.99")]);
    assert!(refused(command).await.contains("pair.min_text must not be above pair.max_text"));
    assert!(mined.world.log().is_empty());
}
