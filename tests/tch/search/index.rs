//! Indexes of folders, shards, runs and lists of URLs, and queries on the command line.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use magiclens::model::ModelConfig;
use magiclens_demo::Options;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{IMAGES, Place, files, said, scenes};
use crate::bounds::{F16, F32, assert_within, likely, roundings};
use crate::embed::{apart, assert_same_vector, embeddings, largest};
use crate::support::{Mined, run};
use crate::train::triplets;

#[test]
fn every_image_of_a_folder_finds_itself() {
    let place = Place::with_images();
    std::fs::write(place.at("images/notes.txt"), "no image").unwrap();
    let output = place.index("images");
    assert!(said(&output).contains("12 images indexed, 0 failed"), "{}", said(&output));
    assert_eq!(
        files(&place.at("index")),
        ["index.json", "items.jsonl", "items.offsets", "vectors.f16"]
    );
    for number in 0..IMAGES {
        let image = Place::image(number);
        let found = place.query(&["--image", &image, "-k", "3"]);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0]["id"].as_str().unwrap(), image.trim_start_matches("images/"));
        assert_own_score(&found[0]["score"]);
        let scores: Vec<f64> = found.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        let file = found[0]["file"].as_str().unwrap();
        assert_eq!(std::fs::read(file).unwrap(), std::fs::read(place.at(&image)).unwrap());
    }
    let all = place.query(&["--text", "in the snow", "-k", "99"]);
    assert_eq!(all.len(), IMAGES, "a text alone ranks all of them");
    let table = place.run(&["query", "--index", "index", "--image", &Place::image(1), "-k", "1"]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("rank") && table.contains("scene 01.jpg"), "{table}");
}

#[test]
fn an_instruction_changes_what_is_found() {
    let place = Place::with_images();
    place.index("images");
    let image = Place::image(4);
    let ids = |found: Vec<serde_json::Value>| found.into_iter().map(|hit| hit["score"].to_string());
    let bare: Vec<_> = ids(place.query(&["--image", &image])).collect();
    let asked: Vec<_> = ids(place.query(&["--image", &image, "--text", "at night"])).collect();
    assert_ne!(bare, asked);
}

#[test]
fn vectors_do_not_depend_on_the_batch() {
    let place = Place::with_images();
    let mut all = Vec::new();
    for batch in ["1", "5", "64"] {
        let arguments = ["index", "--model", "model", "--out", "index", "images", "--batch", batch];
        assert!(place.run(&arguments).status.success());
        all.push(place.vectors());
        std::fs::remove_dir_all(place.at("index")).unwrap();
    }
    let of_float32 = likely(F32, roundings(&ModelConfig::tiny())) * largest(&all[0]);
    for other in &all[1..] {
        for (one, other) in all[0].iter().zip(other) {
            // Where a float32 tips over to the next float16, that is two unit roundoffs away.
            let within = of_float32 + 2.0 * F16 * f64::from(one.abs().max(other.abs()));
            assert_within(f64::from((one - other).abs()), within, "a vector of another batch");
        }
    }
}

/// Fails unless a score is that of an image's own vector: 1 but for float16, which changes it by a unit
/// roundoff at most, as the squares add up to 1.
pub fn assert_own_score(score: &serde_json::Value) {
    let config = ModelConfig::tiny();
    let of_float32 = likely(F32, roundings(&config) + config.clip.embed_dim as usize);
    assert_within((score.as_f64().unwrap() - 1.0).abs(), F16 + of_float32, "its own score");
}

#[test]
fn broken_images_are_named_and_left_out() {
    let place = Place::with_images();
    std::fs::write(place.at("images/a broken one.png"), "no image").unwrap();
    let output = place.run(&["index", "--model", "model", "--out", "index", "images"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("search: a broken one.png: "), "{}", said(&output));
    assert!(said(&output).contains("12 images indexed, 1 failed"), "{}", said(&output));
    assert_eq!(place.query(&["--text", "x", "-k", "99"]).len(), IMAGES);
}

#[test]
fn what_cannot_be_indexed_is_refused_in_a_line_and_leaves_nothing() {
    let place = Place::with_images();
    let before = files(place.folder.path());
    let fails = |arguments: &[&str], words: &[&str]| {
        let output = place.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert_eq!(said(&output).lines().last().unwrap().matches("search: ").count(), 1);
        assert!(
            words.iter().all(|word| said(&output).contains(word)),
            "{words:?}: {}",
            said(&output)
        );
    };
    std::fs::create_dir(place.at("empty")).unwrap();
    std::fs::write(place.at("x.parquet"), "PAR1").unwrap();
    std::fs::write(place.at("urls.txt"), "# mine\n\nftp://a.test/x.jpg\n").unwrap();
    std::fs::write(place.at("one.txt"), "http://a.test/x.jpg\n").unwrap();
    let index = |source: &'static str| ["index", "--model", "model", "--out", "index", source];
    fails(&index("empty"), &["empty", "has no images"]);
    fails(&index("nowhere"), &["nowhere", "No such file"]);
    fails(&index("x.parquet"), &["x.parquet", "is no Parquet file"]);
    fails(&index("urls.txt"), &["urls.txt", "line 3", "no URL of http"]);
    fails(&index("one.txt"), &["one.txt", "crawl.contact"]);
    fails(&["index", "--model", "none", "--out", "index", "images"], &["none"]);
    let left: BTreeSet<String> = files(place.folder.path()).into_iter().collect();
    let made = ["empty", "x.parquet", "urls.txt", "one.txt"].map(String::from);
    assert_eq!(left, before.into_iter().chain(made).collect());
    place.index("images");
    fails(&index("images"), &["index", "is there already"]);
    assert_eq!(place.query(&["--text", "x", "-k", "99"]).len(), IMAGES);
}

#[test]
fn an_index_that_is_damaged_or_of_another_model_is_refused() {
    let place = Place::with_images();
    place.index("images");
    let other = Place::new();
    let model = magiclens::model::ModelConfig::tiny();
    let model = magiclens::model::MagicLens::new(&model, tch::Device::Cpu, 8);
    model.save(&other.at("model")).unwrap();
    let other = other.at("model").display().to_string();
    let fails = |arguments: &[&str], words: &[&str]| {
        let mut all = vec!["query", "--index", "index", "--text", "x"];
        all.extend(arguments);
        let output = place.run(&all);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(
            words.iter().all(|word| said(&output).contains(word)),
            "{words:?}: {}",
            said(&output)
        );
    };
    fails(&["--model", &other], &["was built with", "whose weights are not those of"]);
    let vectors = place.at("index/vectors.f16");
    let whole = std::fs::read(&vectors).unwrap();
    std::fs::write(&vectors, &whole[..whole.len() - 128]).unwrap();
    fails(&[], &["index", "vectors"]);
    std::fs::write(&vectors, &whole).unwrap();
    let header = std::fs::read_to_string(place.at("index/index.json")).unwrap();
    std::fs::write(place.at("index/index.json"), header.replace("\"format\": 1", "\"format\": 9"))
        .unwrap();
    fails(&[], &["index.json", "format 9"]);
    std::fs::remove_file(place.at("index/index.json")).unwrap();
    fails(&[], &["is no index"]);
}

#[test]
fn shards_are_indexed_by_their_distinct_images() {
    let place = Place::new();
    std::fs::create_dir(place.at("shards")).unwrap();
    let mut rows = triplets();
    for row in &mut rows {
        row.query_image_id = row.query_cluster_id.clone();
        row.target_image_id = row.target_cluster_id.clone();
        row.target_caption = format!("caption of {}", row.target_image_id);
    }
    let distinct: BTreeSet<_> = rows
        .iter()
        .flat_map(|row| [row.query_image_id.clone(), row.target_image_id.clone()])
        .collect();
    crate::train::write_shards(&place.at("shards"), rows.clone());
    let output = place.run(&["index", "--model", "model", "--out", "index", "shards"]);
    assert_eq!(output.status.code(), Some(2), "one image of these shards is broken");
    let expected = format!("{} images indexed, 1 failed", distinct.len() - 1);
    assert!(said(&output).contains(&expected), "{expected}: {}", said(&output));
    let image = rows[30].target_image.clone().unwrap().bytes;
    std::fs::write(place.at("query.jpg"), image).unwrap();
    let found = place.query(&["--image", "query.jpg", "-k", "1"]).remove(0);
    assert_eq!(found["id"], rows[30].target_image_id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_mine_is_indexed_by_its_manifests() {
    let mined = Mined::serve(&Options { hostile: false, ..Options::default() }).await;
    mined.run("run").await;
    let tables = mined.tables("run").await;
    let mut ids: BTreeSet<String> =
        tables.test_pool.iter().map(|row| row.image_id.to_string()).collect();
    for triplet in &tables.triplets {
        ids.extend([triplet.query_image_id.to_string(), triplet.target_image_id.to_string()]);
    }
    let place = Place::new();
    // What a kill leaves: no manifest names it.
    std::fs::write(mined.folder.path().join("run/triplets/part-99999-stray.parquet"), "torn")
        .unwrap();
    let source = mined.folder.path().join("run").display().to_string();
    let output =
        run(place.command(&["index", "--model", "model", "--out", "index", &source])).await;
    assert!(output.status.success(), "{}", said(&output));
    let lines = std::fs::read_to_string(place.at("index/items.jsonl")).unwrap();
    let items = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let indexed: Vec<String> = items.map(|item| item["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(indexed.len(), ids.len(), "each once");
    assert_eq!(indexed.into_iter().collect::<BTreeSet<_>>(), ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_urls_is_fetched_politely_and_kept() {
    let server = MockServer::start().await;
    let images = scenes();
    for (number, bytes) in images.iter().take(4).enumerate() {
        let answer = ResponseTemplate::new(200).set_body_bytes(bytes.clone());
        Mock::given(path(format!("/{number}.jpg"))).respond_with(answer).mount(&server).await;
    }
    let robots = "User-agent: *\nDisallow: /3.jpg\n";
    Mock::given(path("/robots.txt"))
        .respond_with(ResponseTemplate::new(200).set_body_string(robots))
        .mount(&server)
        .await;
    let text = ResponseTemplate::new(200).set_body_string("<html>no image</html>");
    Mock::given(path("/page")).respond_with(text).mount(&server).await;
    let place = Place::new();
    let url = |name: &str| format!("{}/{name}", server.uri());
    let list = ["2.jpg", "0.jpg", "gone.jpg", "page", "3.jpg", "1.jpg"].map(url).join("\n");
    std::fs::write(place.at("urls.txt"), list).unwrap();
    let mut command = place.command(&["index", "--model", "model", "--out", "index", "urls.txt"]);
    command.args([
        "--set",
        "crawl.allow_addresses=[\"127.0.0.0/8\"]",
        "--set",
        "http.host_rate=1000",
    ]);
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("3 images indexed, 3 failed"), "{}", said(&output));
    for (name, word) in [("gone.jpg", "404"), ("page", "html"), ("3.jpg", "robots")] {
        let line = said(&output).lines().find(|line| line.contains(&url(name))).unwrap().to_owned();
        assert!(line.to_lowercase().contains(word), "{line}");
    }
    let asked = server.received_requests().await.unwrap();
    assert!(!asked.iter().any(|request| request.url.path() == "/3.jpg"), "robots.txt says no");
    drop(server);
    std::fs::write(place.at("query.jpg"), &images[0]).unwrap();
    let place = std::sync::Arc::new(place);
    let found =
        tokio::task::spawn_blocking(move || place.query(&["--image", "query.jpg", "-k", "1"]));
    let found = found.await.unwrap().remove(0);
    assert!(found["id"].as_str().unwrap().ends_with("/0.jpg"), "{found}");
    assert!(found["file"].as_str().unwrap().contains("index/images/"), "{found}");
}

#[test]
fn a_vector_does_not_depend_on_its_batch() {
    let place = Place::with_images();
    // Texts of many lengths, so that a batch pads some of them.
    let line = |n: usize| {
        let text = ["", "at night", "the same place from above, in the snow, long ago"][n % 3];
        format!(
            "{}\n",
            serde_json::json!({ "id": n.to_string(), "image": Place::image(n), "text": text })
        )
    };
    std::fs::write(place.at("list.jsonl"), (0..IMAGES).map(line).collect::<String>()).unwrap();
    let config = ModelConfig::tiny();
    let embedded = ["1", "5", "64"].map(|batch| {
        let fixed = ["embed", "--model", "model", "--queries", "list.jsonl", "--out", "v.parquet"];
        let output = place.run(&[&fixed[..], &["--batch", batch]].concat());
        assert!(output.status.success(), "{}", said(&output));
        embeddings(&place.at("v.parquet"))
    });
    for other in &embedded[1..] {
        assert_eq!(other.len(), IMAGES);
        for ((id, one), (same, vector)) in embedded[0].iter().zip(other) {
            assert_eq!(id, same);
            assert_same_vector(vector, one, &config, id);
        }
    }
    let (first, second) = (&embedded[0][0].1, &embedded[0][1].1);
    let bound = likely(F32, roundings(&config)) * largest(first);
    assert!(f64::from(apart(first, second)) > 10.0 * bound, "all vectors are alike");
}

#[test]
fn memory_of_building_does_not_grow_with_what_is_indexed() {
    /// Bytes behind the end of an image that no decoder looks at.
    const PADDING: usize = 256 << 10;
    let peak = |count: usize| {
        let place = Place::new();
        std::fs::create_dir(place.at("images")).unwrap();
        let mut image = scenes().remove(0);
        image.resize(image.len() + PADDING, 0);
        for n in 0..count {
            std::fs::write(place.at(&format!("images/{n}.jpg")), &image).unwrap();
        }
        let arguments = ["index", "--model", "model", "--out", "index", "--batch", "8", "images"];
        let mut child = place.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        // The kernel's figure only grows, so the last one that was read is the largest.
        while child.try_wait().unwrap().is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            peak = kib.unwrap_or(peak);
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(child.wait().unwrap().success());
        assert_eq!(place.at("index/vectors.f16").metadata().unwrap().len() % count as u64, 0);
        peak
    };
    let (few, many): (u64, u64) = (peak(40), peak(440));
    let all = (400 * PADDING / 1024) as u64;
    assert!(few > 0 && many < few + all / 3, "{few} and {many} KiB, for {all} KiB more of images");
}
