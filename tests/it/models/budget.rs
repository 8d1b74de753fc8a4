//! What models may cost: caps, prices, and what a run would take.

use super::{command, options, priced, set, status};
use crate::model_server::{Act, ModelServer, answer_for};
use crate::support::{Mined, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_stops_at_its_cap_and_goes_on_with_a_higher_one() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| Act::Say(answer_for(call))).await;
    let capped = |max_cost: &str| {
        let mut command = command(&mined, &server, "run");
        priced(&mut command, max_cost);
        // One after the other, so that no more is set aside than for one.
        for step in ["describe", "instruct"] {
            set(&mut command, [(format!("{step}.endpoint.concurrency").as_str(), "1".to_owned())]);
        }
        command
    };
    for _ in 0..2 {
        let output = run(capped("0.12")).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("budget.max_cost = 0.12 would be passed"), "{stderr}");
    }
    let asked = server.calls();
    let groups = mined.tables("run").await.groups.len();
    assert!((10..=40).contains(&asked) && asked < groups, "{asked} of {groups} for 0.12");
    let mut plan = capped("100");
    plan.arg("--dry-run");
    let output = run(plan).await;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.contains(&format!("about {} calls", groups - asked)), "{asked} asked: {stdout}");

    let output = run(capped("100")).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = mined.tables("run").await;
    let calls = groups + tables.pairs.len();
    assert_eq!(server.calls(), calls, "only the rest was asked");
    let cost = format!("cost {:.2}", groups as f64 * 0.003);
    let told = status(&mined).await;
    assert!(told.contains(&format!("describe: {groups} calls")) && told.contains(&cost), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_on_money_wants_a_price() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| Act::Say(answer_for(call))).await;
    let mut unpriced = command(&mined, &server, "run");
    set(&mut unpriced, [("budget.max_cost", "5.0".to_owned())]);
    let output = run(unpriced).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("budget.prices") && stderr.contains("describe.endpoint.model"));
    assert_eq!((server.calls(), mined.world.log().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_models_would_cost() {
    let mined = Mined::serve(&options()).await;
    let server = ModelServer::start(|call| Act::Say(answer_for(call))).await;
    mined.run("run").await;
    let tables = mined.tables("run").await;
    let mut plan = command(&mined, &server, "run");
    plan.args(["--dry-run", "--redo", "describe"]);
    set(&mut plan, [("budget.prices", "{test-model={input=1.0,output=4.0}}".to_owned())]);
    let output = run(plan).await;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains(&format!("about {} calls", tables.groups.len())), "{stdout}");
    assert!(stdout.contains(&format!("about {} calls", tables.pairs.len())), "{stdout}");
    assert!(!stdout.contains("at most 0.00"), "{stdout}");
    assert_eq!(server.calls(), 0);
}
