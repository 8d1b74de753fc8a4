//! A key shows up nowhere, wherever a server repeats it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use super::compare::{compared, side_file};
use super::{KEY, command, command_by, options, set};
use crate::model_server::{Act, ModelServer, answer_for};
use crate::support::{Mined, mine, run};

/// Everything that a run wrote, and what it said.
fn everything(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            everything(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

/// The nowhere of the key: files, what was said, and tables as they read.
async fn assert_keyless(mined: &Mined, outputs: Vec<Output>, runs: &[&str]) {
    let mut found = Vec::new();
    everything(mined.folder.path(), &mut found);
    for (at, output) in outputs.into_iter().enumerate() {
        found.push((format!("stdout {at}"), output.stdout));
        found.push((format!("stderr {at}"), output.stderr));
    }
    // Files of tables are compressed.
    for out in runs {
        let tables = mined.tables(out).await;
        assert!(!tables.groups.is_empty(), "{out}");
        found.push((format!("tables of {out}"), format!("{tables:?}").into_bytes()));
    }
    for (name, bytes) in found {
        let is_there = bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes());
        assert!(!is_there, "{name} has the key");
    }
}

/// A server that repeats the key wherever it can.
async fn repeating(header: &'static str) -> ModelServer {
    ModelServer::start(move |call| {
        let head = call.head.to_lowercase();
        assert!(head.contains(&format!("{header}{KEY}")), "the key was not sent");
        match call.number % 4 {
            0 => Act::Status(500, Vec::new(), json!({ "error": KEY }).to_string()),
            1 => {
                let answer = answer_for(call).replace("A ", &format!("A {KEY} "));
                Act::Say(answer.replace("another view", &format!("another {KEY} view")))
            }
            2 => {
                let error = json!({ "error": format!("Bearer {KEY}") });
                Act::Status(400, Vec::new(), error.to_string())
            }
            _ => Act::Say(format!("{KEY} is no JSON")),
        }
    })
    .await
}

fn noisy(mut command: Command) -> Command {
    command.env("MAGICLENS_LOG", "trace").env("TEST_KEY", KEY);
    set(&mut command, [("run.failure_budget", "1.0".to_owned())]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_shows_up_nowhere() {
    let mined = Mined::serve(&options()).await;
    let mut outputs = Vec::new();
    for (out, provider, header, bearer) in [
        ("run", "openai", "authorization: bearer ", false),
        ("gemini", "gemini", "x-goog-api-key: ", false),
        ("vertex", "gemini", "authorization: bearer ", true),
    ] {
        let server = repeating(header).await;
        let mut asks = noisy(command_by(provider, &mined, &server, out));
        for step in ["describe", "instruct"] {
            set(&mut asks, [(format!("{step}.endpoint.bearer").as_str(), bearer.to_string())]);
        }
        let output = run(asks).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        outputs.push(output);
        let masked = mined.tables(out).await;
        let masked = masked.descriptions.iter().filter(|row| row.caption.contains("***")).count();
        assert!(masked > 0, "{out}: no answer had the key");
    }
    let refusing = ModelServer::start(|_| {
        let error = json!({ "error": { "message": format!("Incorrect API key: {KEY}") } });
        Act::Status(401, vec![("x-key", KEY.to_owned())], error.to_string())
    })
    .await;
    let refused = run(noisy(command(&mined, &refusing, "refused"))).await;
    assert_eq!(refused.status.code(), Some(1));
    outputs.push(refused);
    for verb in ["config --out run", "status run", "--out run --dry-run"] {
        let mut dump = mine(mined.folder.path());
        dump.args(verb.split(' ')).env("TEST_KEY", KEY);
        outputs.push(run(dump).await);
    }
    assert_keyless(&mined, outputs, &["run", "gemini", "vertex", "refused"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_shows_up_in_no_comparison_and_no_batch() {
    let mined = Mined::serve(&options()).await;
    mined.run("run").await;
    let server = repeating("authorization: bearer ").await;
    for side in ["a", "b"] {
        side_file(&mined, &server, side, "", "key_env = \"TEST_KEY\"");
    }
    let mut compare = mine(mined.folder.path());
    compare.args(["eval-prompts", "run", "--a", "a.toml", "--b", "b.toml", "--sample", "20"]);
    compare.args(["--table", "compared.parquet"]);
    compare.env("MAGICLENS_LOG", "trace").env("TEST_KEY", KEY);
    let mut outputs = vec![run(compare).await];
    let stderr = String::from_utf8_lossy(&outputs[0].stderr).into_owned();
    assert!(outputs[0].status.success(), "{stderr}");
    let rows = format!("{:?}", compared(&mined).await);
    assert!(!rows.contains(KEY) && rows.contains("test-model"), "{rows}");

    let mut batch = noisy(mined.command("batch"));
    set(
        &mut batch,
        [
            ("instruct.provider", "batch".to_owned()),
            ("instruct.endpoint.model", "test-model".to_owned()),
            ("instruct.endpoint.key_env", "TEST_KEY".to_owned()),
        ],
    );
    outputs.push(run(batch).await);
    assert_eq!(outputs[1].status.code(), Some(4));
    assert_keyless(&mined, outputs, &["run", "batch"]).await;
}
