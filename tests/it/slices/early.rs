//! What is run too early says what is missing, and by whom.

use magiclens_demo::Options;

use super::{said, slice, start};
use crate::model_server::{Act, ModelServer, answer_for};
use crate::support::{Mined, mine, run, wait};

fn options() -> Options {
    Options { sites: 3, odd: false, hostile: false, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_waits_in_vain_names_the_others() {
    let mined = Mined::serve(&options()).await;
    let alone =
        slice(&mined, "run", "1/3", &["--set", "run.slice_wait_s=1", "--stages", "collect..fetch"]);
    let output = run(alone).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(stderr.contains("pages is not whole: slice 0/3, 2/3"), "{stderr}");
    let status = async || {
        let mut status = mine(mined.folder.path());
        status.args(["status", "run"]);
        String::from_utf8_lossy(&run(status).await.stdout).into_owned()
    };
    let told = status().await;
    assert!(told.contains("pages: slice 0/3 has to make part 0, 3,"), "{told}");
    assert!(
        told.contains("slice 2/3 has to make part 2,") && told.contains("at work: none"),
        "{told}"
    );
    assert!(!told.contains("slice 1/3 has"), "{told}");

    // A stage that needs all of a table says the same.
    let mut group = mined.command("run");
    group.args(["--stages", "group"]);
    let output = run(group).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    let expected =
        "group needs what collect makes, and some of that is missing: in pages slice 0/3 has";
    assert!(stderr.contains(expected), "{stderr}");

    let mut redo = slice(&mined, "run", "1/3", &["--redo", "collect"]);
    redo.stdout(std::process::Stdio::null());
    let output = run(redo).await;
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("without --slice"));

    // One process may finish what slices began.
    mined.run("run").await;
    mined.run("alone").await;
    assert_eq!(mined.tables("alone").await.difference(&mined.tables("run").await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_one_at_a_time_come_to_the_end() {
    let mined = Mined::serve(&options()).await;
    mined.run("alone").await;
    // As a job array does that has room for one task: each begins again until it has nothing to wait for.
    let mut ended = [false; 3];
    for turn in 0..100 {
        let index = turn % 3;
        if ended.iter().all(|ended| *ended) {
            break;
        }
        let mut command = slice(&mined, "run", "3", &["--set", "run.slice_wait_s=0"]);
        command.env("JOB_COMPLETION_INDEX", index.to_string());
        let output = run(command).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => ended[index] = true,
            Some(5) => {}
            code => panic!("slice {index}: {code:?} {stderr}"),
        }
    }
    assert_eq!(ended, [true; 3]);
    assert_eq!(mined.tables("alone").await.difference(&mined.tables("run").await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_share_a_budget() {
    let mined = Mined::serve(&Options { sites: 4, ..options() }).await;
    mined.run("whole").await;
    let images = mined.tables("whole").await.groups.len();
    let models = ModelServer::start(|call| Act::Say(answer_for(call))).await;
    let command = |index: usize| {
        let mut command =
            slice(&mined, "run", &format!("{index}/2"), &["--stages", "collect..describe"]);
        models.asked_by(&mut command, &["describe"]);
        // One after the other, so that no more is set aside than for one.
        command.args(["--set", "describe.endpoint.concurrency=1"]);
        command.args(["--set", "budget.max_cost=0.24"]);
        command.args(["--set", "budget.prices={test-model={input=10.0,output=100.0}}"]);
        command
    };
    let mut spent = Vec::new();
    for _ in 0..2 {
        let children: Vec<_> =
            [0, 1].map(|index| start(command(index), &mined, &format!("{index}"))).into();
        for (index, child) in children.into_iter().enumerate() {
            let log = format!("{index}");
            assert_eq!(wait(child).await.code(), Some(1), "{}", said(&mined, &log));
            assert!(
                said(&mined, &log).contains("budget.max_cost = 0.12"),
                "{}",
                said(&mined, &log)
            );
        }
        spent.push(models.calls());
    }
    assert_eq!(spent[0], spent[1], "a second try has no more to spend");
    // A call costs 0.003.
    assert!(spent[0] < images && (10..=80).contains(&spent[0]), "{spent:?} of {images}");
}
