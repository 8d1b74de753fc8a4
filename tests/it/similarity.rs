//! `mine` with vectors of a model to compare by: from an embeddings endpoint, and from CLIP's towers here.

use std::collections::{BTreeMap, HashSet};
use std::process::Command;

use magiclens::model::{MagicLens, ModelConfig};
use magiclens::record::{Embedding, Pair, Reason};
use magiclens_demo::Options;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::model_server::{Act, Call, ModelServer};
use crate::support::{Mined, mine, run};

/// Numbers of a vector of the server.
const WIDTH: usize = 8;

fn options() -> Options {
    Options { sites: 2, odd: false, hostile: false, ..Options::default() }
}

/// What a call wants vectors of.
fn inputs(body: &Value) -> Vec<String> {
    let input = body["input"].as_array().expect("a list of inputs");
    input.iter().map(|input| input.as_str().unwrap().to_owned()).collect()
}

/// A direction that the content decides, near enough to all others to be a pair's.
fn vector(content: &str) -> Vec<f64> {
    let digest = Sha256::digest(content);
    let number = |at: usize| f64::from(digest[at]) / 255.0 - 0.5;
    (0..WIDTH).map(|at| if at == 0 { 1.5 } else { number(at) }).collect()
}

/// All vectors of a call, the last one first.
fn vectors(call: &Call) -> Value {
    assert_eq!(call.path, "/v1/embeddings");
    assert_eq!(call.body["model"], "test-model");
    let all = inputs(&call.body).into_iter().enumerate();
    let mut data: Vec<Value> = all
        .map(|(index, input)| {
            if call.body["modality"] == "image" {
                assert!(input.starts_with("data:image/"), "{input:.40}");
            }
            json!({ "object": "embedding", "index": index, "embedding": vector(&input) })
        })
        .collect();
    data.reverse();
    json!({ "object": "list", "data": data, "usage": { "prompt_tokens": 5, "total_tokens": 5 } })
}

fn set(command: &mut Command, pairs: &[(&str, &str)]) {
    for (key, value) in pairs {
        command.arg("--set").arg(format!("{key}={value}"));
    }
}

/// A run whose pairs are compared by the server's vectors.
fn by_endpoint(mined: &Mined, server: &ModelServer, out: &str) -> Command {
    let mut command = mined.command(out);
    set(
        &mut command,
        &[
            ("pair.similarity", "endpoint"),
            ("embed.batch", "8"),
            ("embed.endpoint.base_url", &server.url()),
            ("embed.endpoint.model", "test-model"),
        ],
    );
    command
}

/// A run whose pairs are compared by CLIP.
fn by_clip(mined: &Mined, out: &str, batch: &str) -> Command {
    let mut command = mined.command(out);
    set(
        &mut command,
        &[("pair.similarity", "clip"), ("embed.weights", "clip"), ("embed.batch", batch)],
    );
    command.env("OMP_NUM_THREADS", "1").env("CUDA_VISIBLE_DEVICES", "");
    command
}

async fn done(command: Command) -> String {
    let output = run(command).await;
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Every pair's similarities are the cosines of its rows of `embeddings`.
fn check_cosines(pairs: &[Pair], embeddings: &[Embedding]) {
    let by_place: BTreeMap<_, _> =
        embeddings.iter().map(|row| ((row.group_id.as_str(), row.position), row)).collect();
    for pair in pairs {
        let of = |position| by_place[&(pair.group_id.as_str(), position)];
        let (query, target) = (of(pair.query_position), of(pair.target_position));
        assert!((dot(&query.image, &target.image) - pair.visual_similarity).abs() < 1e-5);
        assert!((dot(&query.text, &target.text) - pair.text_similarity).abs() < 1e-5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_asked_once_and_bounds_can_be_changed_for_nothing() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| Act::Body(vectors(call))).await;
    let said = done(by_endpoint(&mined, &server, "run")).await;
    let tables = mined.tables("run").await;
    assert!(!tables.pairs.is_empty() && !tables.triplets.is_empty());
    assert_eq!(tables.embeddings.len(), tables.descriptions.len());
    check_cosines(&tables.pairs, &tables.embeddings);
    assert!(said.contains(&format!("embed: {} calls", server.calls())), "{said}");

    let sent: Vec<Vec<String>> =
        server.bodies().iter().map(|body| inputs(&serde_json::from_str(body).unwrap())).collect();
    assert!(sent.iter().all(|inputs| inputs.len() <= 8));
    let all = sent.concat();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "an input was sent twice");

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
async fn one_odd_input_costs_nobody_else_a_vector() {
    let mined = Mined::serve(&options()).await;
    mined.run("plain").await;
    let plain = mined.tables("plain").await;
    let odd = plain.descriptions[plain.descriptions.len() / 2].caption.clone();
    let refused = odd.clone();
    let server = ModelServer::start(move |call| {
        let is_odd = |input: &String| input.starts_with(refused.as_str());
        if inputs(&call.body).iter().any(is_odd) {
            let body = json!({ "error": { "message": "input too odd", "code": 400 } });
            return Act::Status(400, Vec::new(), body.to_string());
        }
        Act::Body(vectors(call))
    })
    .await;
    let output = run(by_endpoint(&mined, &server, "run")).await;
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 2)), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = mined.tables("run").await;
    let lost = tables.descriptions.iter().filter(|row| row.caption.starts_with(&odd)).count();
    assert!(lost > 0);
    assert_eq!(tables.embeddings.len(), tables.descriptions.len() - lost);
    let rejects = tables.rejects_of("embeddings");
    assert_eq!(rejects.len(), lost);
    assert!(rejects.iter().all(|reject| reject.reason == Reason::HttpClientError), "{rejects:?}");
    assert!(rejects[0].detail.contains("too odd"), "{rejects:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_of_another_width_are_no_vectors() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| {
        let mut body = vectors(call);
        if call.number % 3 == 1 {
            body["data"][0]["embedding"].as_array_mut().unwrap().pop();
        }
        Act::Body(body)
    })
    .await;
    let mut command = by_endpoint(&mined, &server, "run");
    set(&mut command, &[("embed.endpoint.concurrency", "1")]);
    let output = run(command).await;
    assert!(matches!(output.status.code(), Some(0 | 2)));
    let tables = mined.tables("run").await;
    assert!(!tables.embeddings.is_empty());
    for row in &tables.embeddings {
        assert_eq!((row.image.len(), row.text.len()), (WIDTH, WIDTH));
    }
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
async fn clip_compares_and_its_vectors_do_not_depend_on_the_batch() {
    let mined = Mined::serve(&options()).await;
    let model = MagicLens::new(&ModelConfig::tiny(), tch::Device::Cpu, 7);
    model.save(&mined.folder.path().join("clip")).unwrap();
    done(by_clip(&mined, "run", "32")).await;
    let tables = mined.tables("run").await;
    assert_eq!(tables.embeddings.len(), tables.descriptions.len());
    for row in &tables.embeddings {
        for vector in [&row.image, &row.text] {
            assert!((dot(vector, vector) - 1.0).abs() < 1e-5, "{row:?}");
        }
    }
    check_cosines(&tables.pairs, &tables.embeddings);
    // The same image, the same vector.
    let mut by_image: BTreeMap<_, &[f32]> = BTreeMap::new();
    for row in &tables.embeddings {
        let known = by_image.entry(&row.image_id).or_insert(&row.image);
        assert_eq!(*known, row.image);
    }

    done(by_clip(&mined, "again", "32")).await;
    assert_eq!(tables.difference(&mined.tables("again").await), None);
    done(by_clip(&mined, "single", "1")).await;
    let single = mined.tables("single").await;
    for (one, other) in tables.embeddings.iter().zip(&single.embeddings) {
        assert_eq!((&one.group_id, one.position), (&other.group_id, other.position));
        for (a, b) in [(&one.image, &other.image), (&one.text, &other.text)] {
            let far = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(far < 1e-4, "{far}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_before_anything_is_fetched() {
    let mined = Mined::serve(&options()).await;
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[("pair.similarity", "clip")], "embed.weights"),
        (&[("pair.similarity", "clip"), ("embed.weights", "nowhere")], "no such file"),
        (&[("pair.similarity", "endpoint"), ("embed.endpoint.model", "m")], "OPENAI_API_KEY"),
    ];
    for (settings, word) in cases {
        let mut command = mined.command("run");
        command.env_remove("OPENAI_API_KEY");
        set(&mut command, settings);
        let output = run(command).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains(word), "{word}: {stderr}");
        assert!(mined.world.log().is_empty());
    }
}
