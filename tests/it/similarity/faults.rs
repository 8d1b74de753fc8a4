//! Endpoints that turn inputs down, answer amiss, or are left in the middle.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use magiclens::record::{Reason, Reject};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{WIDTH, by_endpoint, done, inputs, known, options, refused, sent, set, vectors};
use crate::model_server::{Act, Call, ModelServer};
use crate::support::{Mined, run, wait};

/// A caption of the world to be odd about.
async fn odd_caption(mined: &Mined) -> String {
    mined.run("plain").await;
    let plain = mined.tables("plain").await;
    plain.descriptions[plain.descriptions.len() / 2].caption.clone()
}

/// Runs, holds that just the rows of the odd caption have no vector, and gives back what is said of them.
async fn lost(mined: &Mined, command: Command, odd: &str) -> Vec<Reject> {
    let output = run(command).await;
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 2)), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = mined.tables("run").await;
    let lost = tables.descriptions.iter().filter(|row| row.caption.starts_with(odd)).count();
    assert!(lost > 0);
    assert_eq!(tables.embeddings.len(), tables.descriptions.len() - lost);
    let rejects = tables.rejects_of("embeddings").to_vec();
    assert_eq!(rejects.len(), lost);
    rejects
}

#[tokio::test(flavor = "multi_thread")]
async fn one_odd_input_costs_nobody_else_a_vector() {
    let mined = Mined::serve(&options()).await;
    let odd = odd_caption(&mined).await;
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
    let rejects = lost(&mined, by_endpoint(&mined, &server, "run"), &odd).await;
    assert!(rejects.iter().all(|reject| reject.reason == Reason::HttpClientError), "{rejects:?}");
    assert!(rejects[0].detail.contains("too odd"), "{rejects:?}");
}

/// A run against a server that hangs, without much patience.
fn impatient(mined: &Mined, server: &ModelServer) -> Command {
    let mut command = by_endpoint(mined, server, "run");
    set(
        &mut command,
        &[
            ("embed.endpoint.request_timeout_s", "4"),
            ("embed.endpoint.retries", "1"),
            ("embed.endpoint.give_up_s", "8"),
        ],
    );
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_a_server_hangs_at_costs_nobody_else_a_vector() {
    let mined = Mined::serve(&options()).await;
    let odd = odd_caption(&mined).await;
    let hung = odd.clone();
    let is_odd = move |body: &Value| inputs(body).iter().any(|input| input.starts_with(&hung));
    let hangs = is_odd.clone();
    let server = ModelServer::start(move |call| match hangs(&call.body) {
        true => Act::Stall(Duration::from_secs(60)),
        false => Act::Body(vectors(call)),
    })
    .await;
    let rejects = lost(&mined, impatient(&mined, &server), &odd).await;
    assert!(rejects.iter().all(|reject| reject.reason == Reason::Timeout), "{rejects:?}");
    // A batch of 8 has two tries, what is left of it at 4 and 2 inputs one each, and the input alone two.
    let bodies = server.bodies();
    let hung = bodies.iter().filter(|body| is_odd(&serde_json::from_str(body).unwrap())).count();
    assert!(hung <= 6 * rejects.len(), "{hung} requests hung for {} rows", rejects.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_at_all_inputs_ends_the_run() {
    let mined = Mined::serve(&options()).await;
    // As one that never answered, and as one that did before.
    for answers in [0, 3] {
        let server = ModelServer::start(move |call| match call.number < answers {
            true => Act::Body(vectors(call)),
            false => Act::Stall(Duration::from_secs(60)),
        })
        .await;
        let mut command = impatient(&mined, &server);
        command.args(["--redo", "embed"]);
        let output = run(command).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("run again to resume"), "{stderr}");
        assert!(server.calls() < 120, "{} requests", server.calls());
    }
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
async fn a_wrong_first_answer_decides_over_no_other() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| {
        let mut body = vectors(call);
        if call.number == 0 {
            for entry in body["data"].as_array_mut().unwrap() {
                entry["embedding"].as_array_mut().unwrap().pop();
            }
        }
        Act::Body(body)
    })
    .await;
    let mut command = by_endpoint(&mined, &server, "run");
    set(&mut command, &[("embed.endpoint.concurrency", "1")]);
    done(command).await;
    let tables = mined.tables("run").await;
    assert_eq!(tables.embeddings.len(), tables.descriptions.len(), "all were asked for again");
    let widths = |row: &magiclens::record::Embedding| (row.image.len(), row.text.len());
    assert!(tables.embeddings.iter().all(|row| widths(row) == (WIDTH, WIDTH)));
}

/// Refuses with the status and words of a server that finds fault with the request.
fn refuse(message: &str) -> Act {
    let body = json!({ "error": { "message": message, "code": 400 } });
    Act::Status(400, Vec::new(), body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_small_batches_is_asked_in_halves() {
    let mined = Mined::serve(&options()).await;
    let single = |call: &Call| match inputs(&call.body).len() {
        1 => Act::Body(vectors(call)),
        _ => refuse("batch size exceeds the maximum of 1"),
    };
    let server = ModelServer::start(single).await;
    done(by_endpoint(&mined, &server, "run")).await;
    let tables = mined.tables("run").await;
    assert!(server.calls() > 60, "{} calls", server.calls());
    assert_eq!(tables.embeddings.len(), tables.descriptions.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_too_long_to_read_is_asked_in_halves() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| {
        let mut body = vectors(call);
        if inputs(&call.body).len() > 16 {
            body["padding"] = "x".repeat(9 << 20).into();
        }
        Act::Body(body)
    })
    .await;
    let mut command = by_endpoint(&mined, &server, "run");
    set(&mut command, &[("embed.batch", "32")]);
    done(command).await;
    let tables = mined.tables("run").await;
    let is_long = |body: &String| inputs(&serde_json::from_str(body).unwrap()).len() > 16;
    assert!(server.bodies().iter().any(is_long), "no batch was as large");
    assert_eq!(tables.embeddings.len(), tables.descriptions.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_image_ends_the_run_and_names_the_key() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| match call.body["modality"] == "image" {
        true => refuse("this model embeds text only"),
        false => Act::Body(vectors(call)),
    })
    .await;
    let stderr = refused(by_endpoint(&mined, &server, "run")).await;
    assert!(stderr.contains("embed.images") && stderr.contains("text only"), "{stderr}");
    assert!(stderr.contains("\"none\""), "{stderr}");
    let mut command = by_endpoint(&mined, &server, "run");
    set(&mut command, &[("embed.images", "none")]);
    command.args(["--redo", "embed"]);
    done(command).await;
    assert!(!mined.tables("run").await.pairs.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_vectors_are_asked_for_it_asks_for_none_twice() {
    let mined = Mined::serve(&options()).await;
    let steady = ModelServer::start(|call| Act::Body(vectors(call))).await;
    done(by_endpoint(&mined, &steady, "steady")).await;
    let (is_killed, half_way) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let (killed, notify) = (Arc::clone(&is_killed), Arc::clone(&half_way));
    let server = ModelServer::start(move |call| {
        if call.number < 6 || killed.load(Ordering::SeqCst) {
            return Act::Body(vectors(call));
        }
        notify.notify_one();
        Act::Reset
    })
    .await;
    let mut command = by_endpoint(&mined, &server, "run");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    half_way.notified().await;
    child.kill().unwrap();
    wait(child).await;
    is_killed.store(true, Ordering::SeqCst);
    assert!(mined.tables("run").await.pairs.is_empty(), "it was over before its kill");
    let (before, kept) = (server.calls(), known(&mined, "run"));
    done(by_endpoint(&mined, &server, "run")).await;
    let tables = mined.tables("run").await;
    assert_eq!(mined.tables("steady").await.difference(&tables), None);
    assert_eq!(sent(&server.bodies()[before..]), sent(&steady.bodies()) - kept);
}
