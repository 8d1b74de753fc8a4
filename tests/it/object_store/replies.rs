//! Replies of models that are kept in an object store.

use magiclens::endpoint::Spending;
use magiclens_demo::Options;

use super::{command, server, within};
use crate::model_server::{Act, ModelServer, answer_for};
use crate::s3::Server;
use crate::support::{Mined, Tables, run, wait};

fn options() -> Options {
    Options { sites: 2, odd: false, hostile: false, ..Options::default() }
}

fn asking(
    mined: &Mined,
    server: &Server,
    models: &ModelServer,
    more: &[&str],
) -> std::process::Command {
    let mut command = command(mined, server, "mined");
    models.asked_by(&mut command, &["describe", "instruct"]);
    command.args(["--set", "store.segment_seconds=1"]).args(more);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_not_asked_again_on_another_machine() {
    let mined = Mined::serve_few_parts(&options()).await;
    let Some(server) = server(&mined) else { return };
    let models = ModelServer::start(|call| Act::Say(answer_for(call))).await;
    let output = run(asking(&mined, &server, &models, &[])).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let dir = server.run_dir("mined", mined.folder.path());
    let (tables, asked) = (Tables::of(&dir).await, models.calls());
    assert_eq!(asked, tables.groups.len() + tables.pairs.len());
    let spent = Spending::read(dir.store()).await.unwrap();
    assert_eq!(spent.all().calls as usize, asked);

    let elsewhere = tempfile::tempdir().unwrap();
    let mut again = asking(&mined, &server, &models, &["--redo", "describe"]);
    again.env("TMPDIR", elsewhere.path());
    let output = run(again).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(models.calls(), asked, "everything has its reply in the store");
    assert_eq!(tables.difference(&Tables::of(&dir).await), None);

    // What they say of what is taken back goes.
    let page = tables.groups[0].clone();
    for verb in [
        &["forget", "s3://bucket/mined", "--url", &page.page_url][..],
        &["compact", "s3://bucket/mined"],
    ] {
        let mut command = crate::support::mine(mined.folder.path());
        command.args(verb);
        within(&mut command, &mined, &server);
        let output = run(command).await;
        assert!(output.status.success(), "{verb:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut notes = 0;
    for (path, _) in dir.store().list("replies").await.unwrap() {
        let bytes = dir.store().read(&path).await.unwrap().unwrap();
        notes += usize::from(path.ends_with(".notes"));
        assert!(!String::from_utf8_lossy(&bytes).contains(&page.group_id), "{path}");
    }
    assert!(notes > 0);
    assert_eq!(Spending::read(dir.store()).await.unwrap(), spent, "it stays paid for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_asks_again_only_what_was_in_flight() {
    let mined = Mined::serve_few_parts(&options()).await;
    let Some(server) = server(&mined) else { return };
    let models = ModelServer::start(|call| Act::Say(answer_for(call))).await;
    let quietly = |mut command: std::process::Command| {
        use std::process::Stdio;
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut first = quietly(asking(&mined, &server, &models, &[]));
    while models.calls() < 20 && first.try_wait().unwrap().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    first.kill().unwrap();
    wait(first).await;
    let output = run(asking(&mined, &server, &models, &[])).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let dir = server.run_dir("mined", mined.folder.path());
    let tables = Tables::of(&dir).await;
    let needed = tables.groups.len() + tables.pairs.len();
    let most = needed + 2 * 64;
    assert!((needed..=most).contains(&models.calls()), "{} of {needed}", models.calls());
    let kept = Spending::read(dir.store()).await.unwrap().all().calls as usize;
    assert!(kept >= needed && kept <= models.calls(), "{kept} of {needed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_files_have_no_place_there_and_that_is_said_first() {
    let mined = Mined::serve_few_parts(&options()).await;
    let Some(server) = server(&mined) else { return };
    for step in ["describe", "instruct"] {
        // What a run began with is kept, so each has a directory of its own.
        let mut batch = command(&mined, &server, &format!("batch-{step}"));
        batch.arg("--set").arg(format!("{step}.provider=\"batch\""));
        let output = run(batch).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        let said = format!("{step}.provider = \"batch\" exchanges files");
        assert!(stderr.contains(&said) && stderr.contains("is no local folder"), "{stderr}");
    }
    assert_eq!(mined.world.log().len(), 0);
}
