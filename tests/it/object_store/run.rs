//! Whole runs in an object store, beside the same on local disk.

use magiclens_demo::Options;

use super::{command, server, within};
use crate::support::{Mined, Tables, mine, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_an_object_store_leaves_the_rows_of_a_local_one() {
    let options = Options { sites: 3, hostile: false, ..Options::default() };
    let mined = Mined::serve_few_parts(&options).await;
    let Some(server) = server(&mined) else { return };
    mined.run("disk").await;
    let disk = mined.tables("disk").await;
    let output = run(command(&mined, &server, "mined")).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("train --shards s3://bucket/mined --out mined-train"), "{stderr}");
    let dir = server.run_dir("mined", mined.folder.path());
    let remote = Tables::of(&dir).await;
    assert!(disk.triplets.len() > 20, "{} triplets", disk.triplets.len());
    assert_eq!(disk.difference(&remote), None);

    // Nothing in work is left, and nobody holds the run.
    let paths: Vec<String> =
        dir.store().list("").await.unwrap().into_iter().map(|(path, _)| path).collect();
    assert!(!paths.iter().any(|path| path.contains("/wip/") || path.starts_with("leases/")));
    let there = |path: &str| assert!(paths.iter().any(|found| found == path), "{path}: {paths:?}");
    ["run.json", "triplets/README.md", "triplets/contact_sheet.html"].into_iter().for_each(there);

    // --out is enough, and asks nobody for anything.
    let asked = mined.world.log().len();
    let mut again = mine(mined.folder.path());
    again.args(["--out", "s3://bucket/mined"]);
    within(&mut again, &mined, &server);
    let output = run(again).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(mined.world.log().len(), asked);

    let told = async |out: &str| {
        let mut status = mine(mined.folder.path());
        status.args(["status", out]);
        within(&mut status, &mined, &server);
        let output = run(status).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(told("s3://bucket/mined").await, told("disk").await);
    let mut nowhere = mine(mined.folder.path());
    nowhere.args(["status", "s3://bucket/elsewhere"]);
    within(&mut nowhere, &mined, &server);
    let output = run(nowhere).await;
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("s3://bucket/elsewhere: no run directory"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_is_gone_from_an_object_store_too() {
    let options = Options { sites: 3, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve_few_parts(&options).await;
    let Some(server) = server(&mined) else { return };
    let host = mined.tables_after_run("disk").await.pages[0].host.clone();
    let host = host.split(':').next().unwrap().to_owned();
    let output = run(command(&mined, &server, "mined")).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for out in ["disk", "s3://bucket/mined"] {
        let verbs: [&[&str]; 3] =
            [&["forget", out, "--domain", &host], &["compact", out], &["--out", out]];
        for verb in verbs {
            let mut command = mine(mined.folder.path());
            command.args(verb);
            within(&mut command, &mined, &server);
            let output = run(command).await;
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{verb:?}: {stderr}");
        }
    }
    let (disk, dir) = (mined.tables("disk").await, server.run_dir("mined", mined.folder.path()));
    assert_eq!(disk.difference(&Tables::of(&dir).await), None);
    assert!(disk.pages.iter().any(|page| page.url.is_empty()) && !disk.triplets.is_empty());
    for (path, _) in dir.store().list("pages").await.unwrap() {
        let bytes = dir.store().read(&path).await.unwrap().unwrap();
        let found = bytes.windows(host.len()).any(|window| window == host.as_bytes());
        assert!(!found || path.ends_with("stage.json"), "{path} still names {host}");
    }
}
