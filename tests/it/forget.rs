//! What is forgotten is gone from the next export, and after `mine compact` from the whole directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use magiclens_demo::Options;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::model_server::{Act, ModelServer, answer_for};
use crate::support::{Mined, Tables, mine, run};

const DOMAIN: &str = "harbour.example";

fn options(sites: usize) -> Options {
    Options { sites, odd: false, hostile: false, ..Options::default() }
}

async fn done(command: Command, code: i32) -> String {
    let output = run(command).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    stderr
}

async fn verb(mined: &Mined, arguments: &[&str]) -> String {
    let mut command = mine(mined.folder.path());
    command.args(arguments);
    done(command, 0).await
}

/// Rows of the tables from `groups` on that have to do with the domain.
fn traces(tables: &Tables) -> usize {
    let of = |url: &str| url.contains(DOMAIN);
    let groups = tables.groups.iter().filter(|row| of(&row.page_url) || of(&row.image_url));
    let triplets = tables.triplets.iter();
    let triplets =
        triplets.filter(|row| of(&row.page_url) || of(&row.query_url) || of(&row.target_url));
    groups.count() + triplets.count()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

/// What a file says: of Parquet every value, bytes in hex.
fn text(path: &Path) -> String {
    if path.extension().is_none_or(|end| end != "parquet") {
        return String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let mut text = String::new();
    for batch in reader.build().unwrap() {
        for column in batch.unwrap().columns() {
            let options = FormatOptions::default();
            let values = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
            (0..column.len()).for_each(|row| text += &format!("{}\n", values.value(row)));
        }
    }
    text
}

/// What of the domain no file may hold: its name, what only its pages say, what only they show.
fn secrets(tables: &Tables) -> BTreeSet<String> {
    let mut texts: BTreeMap<bool, BTreeSet<String>> = BTreeMap::new();
    for page in &tables.pages {
        let texts = texts.entry(page.domain == DOMAIN).or_default();
        texts.extend([page.title.clone(), page.text.clone()]);
        for image in &page.images {
            let said = [&image.alt, &image.caption, &image.title, &image.heading];
            texts.extend(said.map(String::clone));
            texts.insert(image.nearby_text.clone());
        }
    }
    let of_domain: BTreeSet<&str> = tables
        .groups
        .iter()
        .filter(|image| image.domain == DOMAIN)
        .map(|image| image.group_id.as_str())
        .collect();
    for row in &tables.descriptions {
        let texts = texts.entry(of_domain.contains(row.group_id.as_str())).or_default();
        texts.insert(row.caption.clone());
    }
    for row in &tables.instructions {
        let texts = texts.entry(of_domain.contains(row.group_id.as_str())).or_default();
        texts.insert(row.instruction.clone());
    }
    for image in &tables.images {
        let is_of_domain =
            image.url.contains(DOMAIN) || image.page_url.contains(DOMAIN) && image.page_count == 1;
        let middle = image.bytes.len() / 2;
        let bytes = hex::encode(&image.bytes[middle..image.bytes.len().min(middle + 48)]);
        texts.entry(is_of_domain).or_default().insert(bytes);
    }
    let mut secrets: BTreeSet<String> = texts[&true].difference(&texts[&false]).cloned().collect();
    // What is part of what others say as well tells nothing.
    secrets
        .retain(|text| text.len() > 12 && !texts[&false].iter().any(|other| other.contains(text)));
    // Its address: another site may well say in words where a picture was seen.
    secrets.insert(format!("//{DOMAIN}"));
    secrets
}

/// Files that hold a secret, with the first one.
fn leaks(run: &Path, secrets: &BTreeSet<String>) -> Vec<String> {
    // What a person gave: what to forget, and where to begin.
    let given = ["tombstones.json", "run.json", "pages/stage.json"].map(|name| run.join(name));
    let mut leaks = Vec::new();
    for path in files(run).into_iter().filter(|path| !given.contains(path)) {
        let text = text(&path);
        if let Some(secret) = secrets.iter().find(|secret| text.contains(secret.as_str())) {
            let at = text.find(secret.as_str()).unwrap();
            let around: String =
                text[..at].chars().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect();
            leaks.push(format!("{}: {around}[{secret}]", path.display()));
        }
    }
    leaks
}

/// `describe` and `instruct` by a model.
fn with_models(mined: &Mined, server: &ModelServer, instruct: &str) -> Command {
    let mut command = mined.command("run");
    for (step, provider) in [("describe", "openai"), ("instruct", instruct)] {
        let keys = [
            ("provider", provider.to_owned()),
            ("endpoint.base_url", server.url()),
            ("endpoint.model", "test-model".to_owned()),
        ];
        for (key, value) in keys {
            command.arg("--set").arg(format!("{step}.{key}={value}"));
        }
    }
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_domain_is_gone() {
    let mined = Mined::serve(&options(3)).await;
    let server = ModelServer::start(|call| Act::Say(answer_for(call))).await;
    done(with_models(&mined, &server, "openai"), 0).await;
    let dir = mined.folder.path().join("run");
    let before = mined.tables("run").await;
    assert!(traces(&before) > 20);
    let secrets = secrets(&before);
    assert!(secrets.len() > 60, "{}", secrets.len());
    let config = format!(
        "[instruct]\nprovider = \"openai\"\n[instruct.endpoint]\nbase_url = {:?}\nmodel = \"other\"\n",
        server.url()
    );
    std::fs::write(mined.folder.path().join("other.toml"), config).unwrap();
    let compare = ["eval-prompts", "run", "--a", "other.toml", "--b", "other.toml"];
    verb(&mined, &[&compare[..], &["--table", "run/compared.parquet"]].concat()).await;
    verb(&mined, &["tune-pairs", "--out", "run"]).await;
    let asked = mined.world.log().len();
    let has = |name: &str| leaks(&dir, &secrets).iter().any(|leak| leak.contains(name));
    for name in ["compared.parquet", "tune-pairs.html", "replies/compare", "replies/describe"] {
        assert!(has(name), "{name} holds nothing to forget");
    }

    verb(&mined, &["forget", "run", "--domain", DOMAIN]).await;
    assert!(!has("compared.parquet") && !has("tune-pairs.html") && !has("/triplets/"));
    verb(&mined, &["--out", "run"]).await;
    let after = mined.tables("run").await;
    let called = server.calls();
    assert_eq!(traces(&after), 0);
    assert!(after.triplets.len() > 20, "the other sites are still there");
    let page = after.pages.iter().find(|page| page.domain == DOMAIN).unwrap();
    assert!(!page.title.is_empty(), "pages are untouched so far");
    // What a killed process left is content too.
    let orphan = std::fs::read_dir(dir.join("images")).unwrap().map(|entry| entry.unwrap().path());
    let orphan = orphan.max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap();
    std::fs::copy(&orphan, dir.join("images/part-00000-0000.parquet")).unwrap();

    verb(&mined, &["compact", "run"]).await;
    assert_eq!(leaks(&dir, &secrets), Vec::<String>::new());
    verb(&mined, &["--out", "run"]).await;
    let compacted = mined.tables("run").await;
    assert_eq!(after.triplets, compacted.triplets);
    assert_eq!(after.pages.len(), compacted.pages.len(), "rows keep their numbers");
    assert_eq!(leaks(&dir, &secrets), Vec::<String>::new());
    // What others said and showed is all there: made anew from what is left, nothing is asked again.
    verb(&mined, &["--out", "run", "--redo", "group"]).await;
    let again = mined.tables("run").await;
    // A cluster may be named after another image, now that the forgotten one has no features.
    let ids = |tables: &Tables| -> Vec<String> {
        tables.triplets.iter().map(|row| row.triplet_id.clone()).collect()
    };
    assert_eq!(ids(&after), ids(&again));
    assert_eq!(leaks(&dir, &secrets), Vec::<String>::new());
    assert_eq!(mined.world.log().len(), asked, "a page or image was asked for again");
    assert_eq!(server.calls(), called, "a model was asked again");
    verb(&mined, &["compact", "run"]).await;
    assert_eq!(again.difference(&mined.tables("run").await), None, "a second time changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_batch_files_are_forgotten() {
    let mined = Mined::serve(&options(2)).await;
    let server = ModelServer::start(|call| Act::Say(answer_for(call))).await;
    done(with_models(&mined, &server, "batch"), 4).await;
    let dir = mined.folder.path().join("run");
    let before = mined.tables("run").await;
    let secrets = secrets(&before);
    let requests = dir.join("batch/instruct/requests-00000.jsonl");
    let lines = || std::fs::read_to_string(&requests).unwrap().lines().count();
    let all = lines();
    assert_eq!(all, before.pairs.len());
    assert!(leaks(&dir, &secrets).iter().any(|leak| leak.contains("requests-00000")));
    verb(&mined, &["forget", "run", "--domain", DOMAIN]).await;
    verb(&mined, &["compact", "run"]).await;
    assert_eq!(leaks(&dir, &secrets), Vec::<String>::new());
    let of_domain = before.groups.iter().filter(|image| image.domain == DOMAIN);
    let of_domain: BTreeSet<&str> = of_domain.map(|image| image.group_id.as_str()).collect();
    let gone =
        before.pairs.iter().filter(|pair| of_domain.contains(pair.group_id.as_str())).count();
    assert!(gone > 10 && gone < all);
    assert_eq!(lines(), all - gone);
    let mut again = mine(mined.folder.path());
    again.args(["--out", "run"]);
    // What the others are asked is waited for as before.
    let stderr = done(again, 4).await;
    assert!(stderr.contains(&format!(" and {} written before", all - gone)), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_cluster_takes_its_copies_along_for_good() {
    let mined = Mined::serve(&options(6)).await;
    mined.run("run").await;
    let before = mined.tables("run").await;
    let mut members: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for image in &before.groups {
        let cluster = members.entry(image.look.cluster_id.as_str()).or_default();
        cluster.insert(image.look.image_id.as_str());
    }
    let several = members.iter().filter(|(_, members)| members.len() > 1);
    let (cluster, copies) = several.max_by_key(|(_, members)| members.len()).unwrap();
    assert!(before.groups.iter().any(|image| copies.contains(image.look.image_id.as_str())));

    // The image that the cluster is named after goes first, and its cluster keeps its name.
    verb(&mined, &["forget", "run", "--sha256", cluster]).await;
    verb(&mined, &["--out", "run"]).await;
    let without = mined.tables("run").await;
    let is_copy = |id: &str| copies.contains(id) && id != *cluster;
    let mut left = without.groups.iter().filter(|image| is_copy(image.look.image_id.as_str()));
    assert!(left.all(|image| image.look.cluster_id.as_str() == *cluster));

    // So does one that nobody has clustered since.
    verb(&mined, &["forget", "run", "--sha256", before.triplets[0].query_image_id.as_str()]).await;
    verb(&mined, &["forget", "run", "--cluster", cluster]).await;
    for verbs in [&["--out", "run"][..], &["compact", "run"], &["--out", "run", "--redo", "group"]]
    {
        verb(&mined, verbs).await;
        let after = mined.tables("run").await;
        assert!(!after.triplets.is_empty());
        let back = after.groups.iter().find(|image| copies.contains(image.look.image_id.as_str()));
        assert_eq!(back.map(|image| &image.image_url), None, "after {verbs:?}");
        let bytes = |tables: &Tables| -> usize {
            let images = tables.images.iter();
            let images = images.filter(|image| copies.contains(image.image_id.as_str()));
            images.map(|image| image.bytes.len()).sum()
        };
        assert!(bytes(&before) > 0);
        assert_eq!(bytes(&after) > 0, verbs == ["--out", "run"], "after {verbs:?}");
    }
    let unknown = verb(&mined, &["forget", "run", "--cluster", &"0".repeat(64)]).await;
    assert!(unknown.contains("no image of this run is in a cluster"), "{unknown}");
}

#[tokio::test]
async fn forgetting_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = mine(folder.path());
    command.args(["forget", "run"]);
    let stderr = done(command, 3).await;
    assert!(stderr.contains("--domain"));
}
