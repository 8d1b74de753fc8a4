//! Kill -9 in the middle of files, damage, and files that are gone once they were read.

use std::time::Instant;

use magiclens::record::Reason;
use magiclens_demo::{Options, Rng};

use super::archive::{gzip, record, records, response, write};
use super::site::command;
use crate::support::{Mined, run, soak, wait};

async fn served() -> Mined {
    let options = Options { sites: 3, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    mined.run("live").await;
    let records = records(&mined.world).await;
    for (number, records) in records.chunks(records.len().div_ceil(3)).enumerate() {
        write(&mined.folder.path().join(format!("{number}.warc.gz")), records);
    }
    mined
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_resumed_runs_over_archives_leave_the_same_rows() {
    let mined = served().await;
    let files = ["--warc", "0.warc.gz", "1.warc.gz", "2.warc.gz"];
    let began = Instant::now();
    assert!(run(command(&mined, "undisturbed", &files)).await.status.success());
    let took = began.elapsed();
    let undisturbed = mined.tables("undisturbed").await;
    assert!(undisturbed.pages.len() > 20, "{} pages", undisturbed.pages.len());
    let mut rng = Rng::new(13);
    let mut landed = 0;
    for round in 0..soak(3, 20) {
        let out = format!("killed-{round}");
        for _ in 0..1 + round % 3 {
            let mut child = command(&mined, &out, &files).spawn().unwrap();
            let share = f64::from(u32::try_from(rng.below(1000)).unwrap()) / 1000.0;
            tokio::time::sleep(took.mul_f64(share)).await;
            landed += usize::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            wait(child).await;
        }
        let output = run(command(&mined, &out, &files)).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(undisturbed.difference(&mined.tables(&out).await), None, "after kills in {out}");
    }
    assert!(landed > 0, "every run was over before its kill");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_read_are_not_read_again() {
    let mined = served().await;
    let files = ["--warc", "0.warc.gz", "1.warc.gz", "2.warc.gz", "--stages", "collect"];
    assert!(run(command(&mined, "run", &files)).await.status.success());
    let before = mined.tables("run").await;
    // As if killed before the last part was committed.
    for table in ["pages", "archived_images"] {
        std::fs::remove_file(mined.folder.path().join(format!("run/{table}/part-00002.json")))
            .unwrap();
    }
    for file in ["0.warc.gz", "1.warc.gz"] {
        std::fs::remove_file(mined.folder.path().join(file)).unwrap();
    }
    let output = run(command(&mined, "run", &["--stages", "collect"])).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr.matches("archive read").count(), 1, "{stderr}");
    assert_eq!(mined.tables("run").await.difference(&before), None);
    // The images in files that are gone are asked for.
    let output = run(command(&mined, "run", &[])).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("not in its archive"), "{stderr}");
    assert!(!mined.world.log().is_empty());
}

#[tokio::test]
async fn damage_is_counted_and_what_lies_before_it_is_kept() {
    let options =
        Options { sites: 1, pages_per_site: 1, odd: false, hostile: false, ..Options::default() };
    let mined = Mined::serve(&options).await;
    let page = |n: usize| {
        let html =
            format!("<title>{n}</title><img src=a{n}.jpg alt=one><img src=b{n}.jpg alt=two>");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n";
        response(&format!("http://a.example/{n}"), format!("{head}{html}").as_bytes())
    };
    let pages: Vec<Vec<u8>> = (0..4).map(page).collect();
    let folder = mined.folder.path();
    let whole: Vec<u8> = pages.iter().flat_map(|record| gzip(record)).collect();
    std::fs::write(folder.join("cut.warc.gz"), &whole[..whole.len() - 30]).unwrap();
    std::fs::write(folder.join("garbage.warc"), [&pages[..2].concat()[..], &[7; 90_000]].concat())
        .unwrap();
    let image = record(
        "response",
        "http://a.example/i.jpg",
        "application/http",
        b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\nx",
    );
    let one_stream = gzip(&[&pages.concat()[..], &image].concat());
    std::fs::write(folder.join("stream.warc.gz"), one_stream).unwrap();
    let files = ["cut.warc.gz", "garbage.warc", "stream.warc.gz"];
    let output =
        run(command(&mined, "run", &[&["--warc"][..], &files, &["--stages", "collect"]].concat()))
            .await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = mined.tables("run").await;
    assert_eq!(tables.pages.len(), 3 + 2 + 4);
    let broken = tables.rejects_of("pages").iter().filter(|r| r.reason == Reason::InputBroken);
    let broken: Vec<_> = broken.collect();
    assert_eq!(broken.len(), 2, "{broken:?}");
    assert!(broken[0].detail.starts_with("cut off at byte "), "{broken:?}");
    assert!(broken[1].detail.starts_with("damaged near byte "), "{broken:?}");
    assert!(broken[0].url.ends_with("cut.warc.gz"), "{broken:?}");
}
