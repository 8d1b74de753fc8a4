//! The command line: exit codes, messages, status, dry runs, Ctrl-C, changed configuration.

use magiclens_demo::Options;

use crate::support::{Mined, mine, run, signal, wait};

fn small() -> Options {
    Options { sites: 2, pages_per_site: 5, odd: false, hostile: false, ..Options::default() }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn a_bad_configuration_exits_with_3_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 7] = [
        (&["--seed-urls", "http://127.0.0.1:9/", "--set", "crawl.max_dept=3"], "max_depth"),
        (&["--seed-urls", "http://127.0.0.1:9/", "--set", "http.host_rate=0"], "http.host_rate"),
        (&["--seed-urls", "https://example.org/"], "crawl.contact"),
        (&["--seed-urls", "ftp://example.org/"], "only http and https"),
        (&["--seed-urls", "no-such-file.txt"], "No such file"),
        (&["--config", "no-such.toml", "--seed-urls", "http://127.0.0.1:9/"], "no-such.toml"),
        (&[], "--seed-urls"),
    ];
    for (arguments, expected) in cases {
        let mut command = mine(folder.path());
        let output = run({
            command.args(arguments).args(["--out", "run"]);
            command
        })
        .await;
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    assert!(!folder.path().join("run/run.json").exists(), "a refused run left something");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_asks_nothing_and_writes_nothing() {
    let mined = Mined::serve(&small()).await;
    let mut command = mined.command("run");
    let output = run({
        command.arg("--dry-run");
        command
    })
    .await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains(&mined.world.seeds()[0]), "{}", text(&output.stdout));
    assert_eq!(mined.world.log(), []);
    assert!(!mined.folder.path().join("run").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_a_finished_run_from_none() {
    let mined = Mined::serve(&small()).await;
    let status = |out: &'static str| {
        let mut command = mine(mined.folder.path());
        command.args(["status", out]);
        run(command)
    };
    let none = status("nothing").await;
    assert_eq!(none.status.code(), Some(3));
    assert!(text(&none.stderr).contains("no run directory"), "{}", text(&none.stderr));
    assert!(!mined.folder.path().join("nothing").exists());
    let ran = mined.run("run").await;
    let finished = status("run").await;
    assert_eq!(text(&finished.stdout), text(&ran.stdout), "the same funnel, then and later");
    assert!(!text(&finished.stdout).contains("parts"), "{}", text(&finished.stdout));

    // As before `| head`, once it has seen enough.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = mine(mined.folder.path());
    command.args(["status", "run"]).stdout(writer);
    let unread = run(command).await;
    assert!(unread.status.success(), "{}", text(&unread.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_anew_is_not_removed() {
    let mined = Mined::serve(&small()).await;
    let before = mined.tables_after_run("run").await;
    let mut command = mined.command("run");
    command.args(["--redo", "instruct", "--set", "instruct.provider=openai"]);
    let refused = run(command).await;
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused.stderr));
    let mut command = mine(mined.folder.path());
    command.args(["--out", "run"]);
    let again = run(command).await;
    assert!(again.status.success(), "the value was not kept: {}", text(&again.stderr));
    assert_eq!(mined.tables("run").await.difference(&before), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_configuration_needs_redo() {
    let mined = Mined::serve(&small()).await;
    mined.run("run").await;
    let again = |arguments: &'static [&'static str]| {
        let mut command = mined.command("run");
        command.args(arguments);
        run(command)
    };
    let refused = again(&["--max-depth", "0"]).await;
    assert_eq!(refused.status.code(), Some(3));
    let stderr = text(&refused.stderr);
    assert!(stderr.contains("crawl.max_depth") && stderr.contains("--redo collect"), "{stderr}");
    let throughput_only = again(&["--set", "http.host_concurrency=7"]).await;
    assert!(throughput_only.status.success(), "{}", text(&throughput_only.stderr));
    let pages_before = mined.tables("run").await.pages;
    let images_only = again(&["--set", "fetch.max_side=64", "--redo", "fetch"]).await;
    assert!(images_only.status.success(), "{}", text(&images_only.stderr));
    let tables = mined.tables("run").await;
    assert_eq!(tables.pages, pages_before);
    assert!(tables.images.iter().all(|image| image.stored_width.max(image.stored_height) <= 64));
    let redone = again(&["--max-depth", "0", "--redo", "collect"]).await;
    // The configuration the images were made with is kept: only the depth differs.
    assert!(redone.status.success(), "{}", text(&redone.stderr));
    assert_eq!(mined.tables("run").await.pages.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_table_can_be_rebuilt() {
    let mined = Mined::serve(&small()).await;
    let before = mined.tables_after_run("run").await;
    let folder = mined.folder.path().join("run/instructions");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let manifest = files.filter(|path| path.extension().is_some_and(|name| name == "json")).min();
    std::fs::write(manifest.unwrap(), "{").unwrap();
    let mut command = mined.command("run");
    command.args(["--redo", "instruct"]);
    let rebuilt = run(command).await;
    assert!(rebuilt.status.success(), "{}", text(&rebuilt.stderr));
    assert!(text(&rebuilt.stderr).contains("cannot estimate"), "{}", text(&rebuilt.stderr));
    assert_eq!(mined.tables("run").await.difference(&before), None);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_drains_and_the_next_run_goes_on() {
    let mined = Mined::serve(&Options { hostile: false, ..Options::default() }).await;
    let mut child = mined.start("run");
    while mined.world.log().len() < 40 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert!(child.try_wait().unwrap().is_none(), "the run ended too early");
    }
    signal(&child, "INT");
    assert_eq!(wait(child).await.code(), Some(1));
    let asked = mined.world.log().len();
    mined.run("run").await;
    let log = mined.world.log();
    let pages = |log: &[magiclens_demo::Access]| -> Vec<String> {
        let pages = log.iter().filter(|a| !a.path.ends_with(".txt") && !a.path.contains("sitemap"));
        pages.map(|access| format!("{}{}", access.host, access.path)).collect()
    };
    let (before, after) = (pages(&log[..asked]), pages(&log[asked..]));
    let twice: Vec<_> = after
        .iter()
        .filter(|url| before.contains(url) && !url.contains("well-known"))
        // These are asked for more than once in one run: by retries and at the end of redirects.
        .filter(|url| !["flaky", "busy", "/redirects/"].iter().any(|word| url.contains(word)))
        .collect();
    assert!(twice.is_empty(), "what was drained is not asked for again: {twice:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_logs_are_json_and_stdout_is_only_the_funnel() {
    let mined = Mined::serve(&small()).await;
    let mut command = mined.command("run");
    let output = run({
        command.args(["--log", "json"]);
        command
    })
    .await;
    let stderr = text(&output.stderr);
    assert!(stderr.lines().count() > 0);
    for line in stderr.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("{line}"));
    }
    assert!(text(&output.stdout).contains("fetch_list"));
}
