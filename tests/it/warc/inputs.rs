//! Names of input files: lists, URLs, Common Crawl's slices, and the names that are refused.

use magiclens_demo::Options;
use magiclens_testing::shared;

use super::archive::{FileServer, gzip, records, write};
use super::is_refused;
use super::site::command;
use crate::support::{Mined, mine, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_urls_is_downloaded_as_far_as_it_must_be() {
    let options = Options { sites: 2, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    mined.run("live").await;
    let folder = mined.folder.path();
    let records = records(&mined.world).await;
    let (first, second) = records.split_at(records.len() / 2);
    std::fs::create_dir(folder.join("crawl")).unwrap();
    write(&folder.join("crawl/0.warc.gz"), first);
    write(&folder.join("crawl/1.warc.gz"), second);
    std::fs::write(folder.join("warc.paths.gz"), gzip(b"crawl/0.warc.gz\ncrawl/1.warc.gz\n"))
        .unwrap();
    assert!(run(command(&mined, "disk", &["--warc", "warc.paths.gz"])).await.status.success());
    let server = FileServer::start(folder);
    let base = format!("http://{}/", server.address);
    let output =
        run(command(&mined, "web", &["--warc", "warc.paths.gz", "--warc-base", &base])).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(mined.world.log(), [], "an image was asked for that lies in an archive");
    assert_eq!(mined.tables("web").await.difference(&mined.tables("disk").await), None);

    let asked = server.log();
    for path in ["/crawl/0.warc.gz", "/crawl/1.warc.gz"] {
        let of: Vec<_> = asked.iter().filter(|(asked, _)| asked == path).collect();
        assert_eq!(of.iter().filter(|(_, range)| range.is_none()).count(), 1, "{of:?}");
        let size = std::fs::metadata(folder.join(path.trim_start_matches('/'))).unwrap().len();
        let half = Some(format!("bytes={}-", size / 2));
        assert_eq!(of.iter().filter(|(_, range)| *range == half).count(), 1, "{of:?}");
    }
    // A rerun of a finished run asks for nothing.
    let before = asked.len();
    assert!(run(command(&mined, "web", &[])).await.status.success());
    assert_eq!(server.log().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_had_ends_the_run_and_is_no_damage() {
    let options = Options { sites: 1, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    let server = FileServer::start(mined.folder.path());
    let url = format!("http://{}/no.warc.gz", server.address);
    let output = run(command(&mined, "run", &["--warc", &url])).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("status 404") && stderr.contains("no.warc.gz"), "{stderr}");
}

#[tokio::test]
async fn what_is_no_warc_file_is_refused_with_what_it_looks_like() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("a.arc.gz", &gzip(b"filedesc://a.arc 127.0.0.1 20140301000000 text/plain 1\n"));
    write("a.lz4", b"\x04\x22\x4d\x18rest");
    write("a.html", b"<!DOCTYPE html><p>");
    write("empty.warc", b"");
    write("empty.txt", b"# nothing\n");
    write("missing.txt", b"not-there.warc.gz\n");
    let list = |name: &'static str| shared(name).map(|path| path.display().to_string());
    let named_wrongly = list("corpora/warc/whirlwind/CC-MAIN-2024-22.warc.paths.gz");
    if let Some(path) = named_wrongly {
        std::fs::copy(path, folder.path().join("list.gz")).unwrap();
    } else {
        write("list.gz", b"crawl-data/part-00000.warc.gz\n");
    }
    for (name, expected) in [
        ("a.arc.gz", "looks like an ARC file"),
        ("a.lz4", "looks like lz4"),
        ("a.html", "looks like HTML"),
        ("empty.warc", "it is empty"),
        ("empty.txt", "names no file"),
        ("missing.txt", "not-there.warc.gz: No such file"),
        ("list.gz", "part-00000"),
        ("none.warc", "No such file"),
        (".", "is no file"),
        ("ftp://host/a.warc.gz", "ftp:// is not read"),
        ("http://", "empty host"),
    ] {
        is_refused(folder.path(), "--warc", name, expected).await;
    }
    assert!(!folder.path().join("run/run.json").exists(), "a refused run left something");
}

#[tokio::test]
async fn slices_of_a_crawls_list_are_printed_as_urls() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..7).map(|n| format!("crawl-data/X/{n}.warc.gz\n")).collect();
    std::fs::create_dir_all(folder.path().join("crawl-data/X")).unwrap();
    std::fs::write(folder.path().join("crawl-data/X/warc.paths.gz"), gzip(lines.as_bytes()))
        .unwrap();
    let slice = async |arguments: &[&str]| {
        let mut command = mine(folder.path());
        command.args(["warc-paths", "--crawl", "X"]).args(arguments);
        let output = run(command).await;
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let list = ["--list", "crawl-data/X/warc.paths.gz"];
    let (code, printed) = slice(&[&["--slice", "2/3"], &list[..]].concat()).await;
    let expected = "https://data.commoncrawl.org/crawl-data/X/2.warc.gz\n\
                    https://data.commoncrawl.org/crawl-data/X/5.warc.gz\n";
    assert_eq!((code, printed.as_str()), (Some(0), expected));
    let (_, all) = slice(&list).await;
    assert_eq!(all.lines().count(), 7);
    let here = folder.path().display().to_string();
    let (_, local) = slice(&["--base", &here, "--slice", "0/7"]).await;
    assert_eq!(local, format!("{here}/crawl-data/X/0.warc.gz\n"));
    let server = FileServer::start(folder.path());
    let base = format!("http://{}", server.address);
    let (code, web) =
        slice(&["--base", &base, "--slice", "6/7", "--set", "crawl.allow_addresses=127.0.0.0/8"])
            .await;
    assert_eq!((code, web), (Some(0), format!("{base}/crawl-data/X/6.warc.gz\n")));
}
