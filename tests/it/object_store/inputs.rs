//! Inputs that lie in an object store.

use magiclens_demo::Options;

use super::within;
use crate::s3::Server;
use crate::support::{Mined, mine, run};
use crate::warc::archive::{gzip, records, write};

fn options() -> Options {
    Options { sites: 1, odd: false, hostile: false, ..Options::default() }
}

/// A run with its world's configuration, and inputs as given.
fn command(mined: &Mined, server: &Server, out: &str, inputs: &[&str]) -> std::process::Command {
    let mut command = mine(mined.folder.path());
    command.args(["--config", "mine.toml", "--out", out]).args(inputs);
    within(&mut command, mined, server);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_tables_and_lists_are_read_where_they_lie() {
    let mined = Mined::serve_few_parts(&options()).await;
    mined.run("live").await;
    let live = mined.tables("live").await;
    let inputs = mined.folder.path().join("inputs");
    std::fs::create_dir_all(inputs.join("crawl")).unwrap();
    let records = records(&mined.world).await;
    let (first, second) = records.split_at(records.len() / 2);
    write(&inputs.join("crawl/0.warc.gz"), first);
    write(&inputs.join("crawl/1.warc.gz"), second);
    std::fs::write(inputs.join("warc.paths.gz"), gzip(b"crawl/0.warc.gz\ncrawl/1.warc.gz\n"))
        .unwrap();
    std::fs::copy(mined.folder.path().join("seeds.txt"), inputs.join("seeds.txt")).unwrap();
    let rows = live.pages.iter().flat_map(|page| page.images.iter().map(move |i| (page, i)));
    let rows: String = rows.map(|(page, image)| format!("{},{},\n", page.url, image.url)).collect();
    std::fs::write(inputs.join("images.csv"), format!("page_url,image_url,alt\n{rows}")).unwrap();
    let Some(server) = Server::start(&inputs) else { return };
    for (name, flags) in [
        ("seeds", &["--seed-urls", "{}/seeds.txt"][..]),
        ("list", &["--warc", "{}/warc.paths.gz"]),
        ("table", &["--table", "{}/images.csv"]),
        (
            "all",
            &[
                "--warc",
                "{}/crawl/1.warc.gz",
                "--table",
                "{}/images.csv",
                "--seed-urls",
                "{}/seeds.txt",
            ],
        ),
    ] {
        for (out, place) in [("disk", "inputs"), ("objects", "s3://bucket/run")] {
            let flags: Vec<String> = flags.iter().map(|flag| flag.replace("{}", place)).collect();
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let output = run(command(&mined, &server, &format!("{name}-{out}"), &flags)).await;
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let disk = mined.tables(&format!("{name}-disk")).await;
        let objects = mined.tables(&format!("{name}-objects")).await;
        assert!(!disk.pages.is_empty() && !disk.images.is_empty(), "{name}");
        assert_eq!(disk.difference(&objects), None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named() {
    let mined = Mined::serve_few_parts(&options()).await;
    let inputs = mined.folder.path().join("inputs");
    std::fs::create_dir_all(&inputs).unwrap();
    std::fs::write(inputs.join("images.xml"), "<x/>").unwrap();
    let Some(server) = Server::start(&inputs) else { return };
    for (flag, name, said) in [
        ("--warc", "s3://bucket/run/no.warc.gz", "not found"),
        ("--warc", "s3://bucket/run/no.paths", "not found"),
        ("--table", "s3://bucket/run/no.csv", "not found"),
        ("--table", "s3://bucket/run/images.xml", "says no format"),
        ("--seed-urls", "s3://nobucket/seeds.txt", "not found"),
    ] {
        let output = run(command(&mined, &server, "run", &[flag, name])).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains(name) && stderr.contains(said), "{stderr}");
    }
    assert!(!mined.folder.path().join("run/run.json").exists());
}
