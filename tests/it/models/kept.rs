//! Models over either wire, whose answers are kept: nothing is asked twice, whatever part asks, and whenever a run is
//! killed.

use std::process::Stdio;

use magiclens_demo::Rng;

use super::{KEY, command, command_by, options, set, status};
use crate::model_server::{Act, ModelServer, answer_for};
use crate::support::{Mined, mine, run, soak, wait};

#[tokio::test(flavor = "multi_thread")]
async fn models_describe_and_instruct_and_nothing_is_asked_twice() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| Act::Say(answer_for(call))).await;
    let output = run(command(&mined, &server, "run")).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = mined.tables("run").await;
    assert!(!tables.triplets.is_empty());
    assert_eq!(server.calls(), tables.groups.len() + tables.pairs.len());
    for description in &tables.descriptions {
        assert_eq!(description.generator, "openai/test-model");
        assert_eq!(description.prompt_hash.len(), 32);
        assert!(description.caption.starts_with("A "), "{description:?}");
        assert!(description.safety.is_some() && description.alt_text.is_some());
    }
    for instruction in &tables.instructions {
        assert!(instruction.instruction.contains("one"), "{instruction:?}");
        assert!(instruction.baseline.is_some(), "{instruction:?}");
    }
    assert!(server.bodies().iter().all(|body| body.contains("\"strict\":true")));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.contains(&format!("describe: {} calls", tables.groups.len())), "{stdout}");
    let card = std::fs::read_to_string(mined.folder.path().join("run/triplets/README.md")).unwrap();
    assert!(card.contains("template"), "{card}");

    // What it took is in the replies.
    let status = status(&mined).await;
    for (step, calls) in [("describe", tables.groups.len()), ("instruct", tables.pairs.len())] {
        let (input, output) = (calls * 100, calls * 20);
        let line = format!("{step}: {calls} calls, {input} tokens in, {output} out, cost 0.00");
        assert!(status.contains(&line) && stdout.contains(&line), "{line} is not in\n{status}");
    }

    // A rerun asks nothing, and neither does a stage made anew.
    let asked = server.calls();
    for redo in [None, Some("describe"), Some("instruct")] {
        let mut again = command(&mined, &server, "run");
        if let Some(stage) = redo {
            again.args(["--redo", stage]);
        }
        let output = run(again).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(server.calls(), asked, "after --redo {redo:?}");
        assert_eq!(tables.difference(&mined.tables("run").await), None);
    }
    // What is finished needs no key; what is not says so before anything is fetched.
    for (out, code) in [("run", 0), ("other", 3)] {
        let requests = mined.world.log().len();
        let mut keyless = command(&mined, &server, out);
        keyless.env_remove("TEST_KEY");
        let output = run(keyless).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert_eq!(mined.world.log().len(), requests);
        assert_eq!(stderr.contains("TEST_KEY is not set"), code == 3, "{stderr}");
    }
    // What was forgotten costs nothing anew either.
    let mut forget = mine(mined.folder.path());
    forget.args(["forget", "run", "--url", &tables.pages[0].url]);
    assert!(run(forget).await.status.success());
    assert!(run(command(&mined, &server, "run")).await.status.success());
    assert_eq!(server.calls(), asked);

    // Another model is another question.
    let mut other = command(&mined, &server, "run");
    set(&mut other, [("instruct.endpoint.model", "other-model".to_owned())]);
    let output = run(other).await;
    assert_eq!(output.status.code(), Some(3), "the table was begun with another model");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_part_was_answered_is_not_asked_again() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| Act::Say(answer_for(call))).await;
    assert!(run(command(&mined, &server, "run")).await.status.success());
    let (tables, asked, told) = (mined.tables("run").await, server.calls(), status(&mined).await);
    // As if all of it had been asked by another part.
    for step in ["describe", "instruct"] {
        let folder = mined.folder.path().join("run/replies").join(step);
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "jsonl") {
                all.extend(std::fs::read(&path).unwrap());
            }
            std::fs::remove_file(path).unwrap();
        }
        std::fs::write(folder.join("part-00099.jsonl"), all).unwrap();
    }
    let mut again = command(&mined, &server, "run");
    again.args(["--redo", "describe"]);
    let output = run(again).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.calls(), asked);
    assert_eq!(tables.difference(&mined.tables("run").await), None);
    assert_eq!(status(&mined).await, told, "copies are free");
}

#[tokio::test(flavor = "multi_thread")]
async fn gemini_describes_and_instructs() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| {
        assert_eq!(call.path, "/v1/models/test-model:generateContent");
        assert!(call.head.to_lowercase().contains(&format!("x-goog-api-key: {KEY}")));
        let config = &call.body["generationConfig"];
        assert_eq!(config["responseMimeType"], "application/json");
        Act::Say(answer_for(call))
    })
    .await;
    for _ in 0..2 {
        let output = run(command_by("gemini", &mined, &server, "run")).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tables = mined.tables("run").await;
        assert_eq!(server.calls(), tables.groups.len() + tables.pairs.len());
        assert!(!tables.triplets.is_empty());
        assert!(tables.descriptions.iter().all(|row| row.generator == "gemini/test-model"));
        assert!(tables.instructions.iter().all(|row| row.generator == "gemini/test-model"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_runs_repeat_at_most_what_was_in_flight() {
    let mined = Mined::serve(&options()).await;
    mined.run("base").await;
    let server = ModelServer::start(|call| match call.number % 7 {
        3 => Act::Stall(std::time::Duration::from_millis(150)),
        _ => Act::Say(answer_for(call)),
    })
    .await;
    let model_run = |out: &str| {
        let mut command = command(&mined, &server, out);
        for step in ["describe", "instruct"] {
            set(&mut command, [(format!("{step}.endpoint.concurrency").as_str(), "4".to_owned())]);
        }
        command
    };
    assert!(run(model_run("undisturbed")).await.status.success());
    let undisturbed = mined.tables("undisturbed").await;
    let calls = server.calls();
    let mut rng = Rng::new(11);
    let (mut landed, mut before) = (0, calls);
    for round in 0..soak(3, 20) {
        let out = format!("killed-{round}");
        let mut kills = 0;
        for _ in 0..3 {
            let began = server.calls();
            let mut killed = model_run(&out);
            killed.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = killed.spawn().unwrap();
            // After so many calls: within `describe` or `instruct`.
            let after = began + rng.below(calls / 3);
            while server.calls() < after && child.try_wait().unwrap().is_none() {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            kills += usize::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            wait(child).await;
        }
        assert!(run(model_run(&out)).await.status.success());
        let tables = mined.tables(&out).await;
        assert_eq!(undisturbed.difference(&tables), None, "after kills in {out}");
        let made = server.calls() - before;
        // Parts are worked on two at a time, each with its own window of four; the model's own limit
        // is four.
        assert!(made <= calls + kills * 4, "{made} calls instead of {calls}, {kills} kills");
        before = server.calls();
        landed += kills;
    }
    assert!(landed > 0, "every run was over before its kill");
}
