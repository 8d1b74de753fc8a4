//! `mine plan`: what a run writes down of what it takes, and what follows from it.

use std::process::Command;

use magiclens_demo::Options;
use serde_json::Value;

use crate::support::{Mined, mine, run, wait};

fn options() -> Options {
    Options { sites: 2, odd: false, hostile: false, ..Options::default() }
}

fn plan(mined: &Mined, arguments: &[&str]) -> Command {
    let mut command = mine(mined.folder.path());
    command.args(["plan", "--from", "run"]).args(arguments);
    command
}

async fn json(command: Command) -> Value {
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn measured<'a>(plan: &'a Value, stage: &str) -> &'a Value {
    let stages = plan["measured"]["stages"].as_array().unwrap();
    stages.iter().find(|one| one["stage"] == stage).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_what_the_run_took_times_how_much_more_is_wanted() {
    let mined = Mined::serve(&options()).await;
    // Stopped once in between: what both processes took counts.
    let mut first = mined.command("run");
    first.args(["--stages", "collect..fetch"]);
    assert!(run(first).await.status.success());
    let half = mined.world.log().len();
    mined.run("run").await;
    assert_eq!(mined.world.log().len(), half);
    let tables = mined.tables("run").await;
    let triplets = tables.triplets.len();

    let same = json(plan(&mined, &["--json", "--target-triplets", &triplets.to_string()])).await;
    let requests =
        ["collect", "fetch"].map(|stage| measured(&same, stage)["requests"].as_u64().unwrap());
    assert_eq!(requests.iter().sum::<u64>() as usize, half);
    assert_eq!(measured(&same, "collect")["units"], tables.pages.len());
    assert_eq!(measured(&same, "export")["units"], triplets);
    assert!(measured(&same, "fetch")["received_bytes"].as_u64().unwrap() > 10_000);
    assert!(measured(&same, "fetch")["cpu_s"].as_f64().unwrap() > 0.0);
    assert_eq!(same["estimate"]["pages"].as_f64().unwrap(), tables.pages.len() as f64);

    let more = (triplets * 1000).to_string();
    let prices = ["--set", "plan.core_hour=7", "--set", "plan.storage_gb_month=0"];
    let large =
        json(plan(&mined, &[&["--json", "--target-triplets", &more], &prices[..]].concat())).await;
    let of = |plan: &Value, key: &str| plan["estimate"][key].as_f64().unwrap();
    for key in ["pages", "core_hours", "stored_bytes", "requests"] {
        let (one, thousand) = (of(&same, key), of(&large, key));
        assert!((thousand / one / 1000.0 - 1.0).abs() < 1e-9, "{key}: {one} {thousand}");
    }
    let money = &large["estimate"]["money"];
    assert_eq!(money["storage"], 0.0);
    let compute = of(&large, "core_hours") / 0.7 * 7.0;
    assert!((money["compute"].as_f64().unwrap() / compute - 1.0).abs() < 1e-9, "{money}");

    let said = run(plan(&mined, &["--target-triplets", "36.7M"])).await;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    for part in ["36.7M triplets", ", of 32 cores each, for ", "cost:", "assumed:"] {
        assert!(said.contains(part), "{part}: {said}");
    }

    // A stage that is made anew is measured anew.
    let files = || std::fs::read_dir(mined.folder.path().join("run/usage/fetch")).unwrap().count();
    let before = files();
    let mut redo = mined.command("run");
    redo.args(["--redo", "pair"]);
    assert!(run(redo).await.status.success());
    assert_eq!(files(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_took_is_written_down() {
    let mined = Mined::serve(&options()).await;
    let mut command = mined.command("run");
    command.args(["--set", "store.segment_seconds=1", "--set", "http.host_rate=5"]);
    let mut child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let usage = mined.folder.path().join("run/usage/collect");
    while std::fs::read_dir(&usage).map_or(0, Iterator::count) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "over before anything was written down");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    child.kill().unwrap();
    wait(child).await;
    mined.run("run").await;
    assert_eq!(std::fs::read_dir(&usage).unwrap().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_planned_from_is_said() {
    let mined = Mined::serve(&options()).await;
    let refused = async |arguments: &[&str], word: &str| {
        let output = run(plan(&mined, arguments)).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains(word), "{word}: {stderr}");
    };
    refused(&["--target-triplets", "1M"], "no run directory").await;
    let mut command = mined.command("run");
    command.args(["--stages", "collect"]);
    assert!(run(command).await.status.success());
    refused(&["--target-triplets", "1M"], "no triplets yet").await;
    refused(&["--target-triplets", "many"], "give a number").await;
}
