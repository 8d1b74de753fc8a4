//! `evaluate --scores`: what others ranked is measured by the same rules.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::layouts::{captions, circo, circo_image, cirr, dtin, fashioniq, genecis, sketches};
use super::{assert_ranked, evaluate, json_of, measured, percents, rankings};
use crate::search::{IMAGES, Place, said};

type Make = fn(&Place);

/// Every benchmark with a miniature.
const ALL: [(&str, Make); 10] = [
    ("circo", circo),
    ("cirr", cirr),
    ("fashioniq", fashioniq),
    ("genecis", genecis),
    ("dtin", dtin),
    ("coco", |place| captions(place, "dataset_coco.json", "val2014")),
    ("flickr30k", |place| captions(place, "dataset_flickr30k.json", "flickr30k-images")),
    ("tuberlin", |place| sketches(place, "tuberlin")),
    ("sketchy", |place| sketches(place, "sketchy")),
    ("quickdraw", |place| sketches(place, "quickdraw")),
];

#[test]
fn our_own_rankings_measure_as_the_model_did() {
    for (benchmark, make) in ALL {
        let place = Place::new();
        make(&place);
        measured(&place, benchmark, &["--model", "model"]);
        let of_model = json_of(&place.at("out/metrics.json"));
        std::fs::rename(place.at("out/rankings.jsonl"), place.at("rankings.jsonl")).unwrap();
        measured(&place, benchmark, &["--scores", "rankings.jsonl"]);
        let of_lists = json_of(&place.at("out/metrics.json"));
        let tasks = |metrics: &Value| metrics["tasks"].as_array().unwrap().clone();
        same(&of_lists["measures"], &of_model["measures"], benchmark);
        assert_eq!(tasks(&of_lists).len(), tasks(&of_model).len());
        for (ours, expected) in tasks(&of_lists).iter().zip(tasks(&of_model)) {
            assert_eq!(ours["name"], expected["name"]);
            same(&ours["measures"], &expected["measures"], benchmark);
        }
    }
}

/// Images and scores of a ranking.
fn scored(ranking: &Value) -> Vec<(String, f32)> {
    let pairs = ranking.as_array().unwrap().iter();
    let scored = pairs.map(|pair| (pair[0].as_str(), pair[1].as_f64()));
    scored.map(|(name, score)| (name.unwrap().to_owned(), score.unwrap() as f32)).collect()
}

/// The same measures with the same figures.
fn same(ours: &Value, expected: &Value, benchmark: &str) {
    let (ours, expected) = (ours.as_array().unwrap(), expected.as_array().unwrap());
    assert_eq!(ours.len(), expected.len(), "{benchmark}");
    for (ours, expected) in ours.iter().zip(expected) {
        assert_eq!(ours["name"], expected["name"], "{benchmark}");
        let percent = |figure: &Value| figure["percent"].as_f64().unwrap();
        assert!((percent(ours) - percent(expected)).abs() < 1e-9, "{benchmark} {ours} {expected}");
    }
}

#[test]
fn queries_of_the_same_name_are_told_apart_by_their_part() {
    let place = Place::new();
    fashioniq(&place);
    // The target is third of four in every part, and every query is called 0.
    let file = r#"{"dress": {"0": ["B2"]}, "shirt": {"0": ["B4", "B6"]}, "toptee": {"0": ["B8"]}}"#;
    std::fs::write(place.at("s.json"), file).unwrap();
    measured(&place, "fashioniq", &["--scores", "s.json"]);
    let metrics = json_of(&place.at("out/metrics.json"));
    let of = |task: usize| metrics["tasks"][task]["measures"][0]["percent"].as_f64().unwrap();
    assert_eq!([of(0), of(1), of(2)], [100.0, 100.0, 0.0]);
    std::fs::write(place.at("s.json"), r#"{"0": ["B2"]}"#).unwrap();
    let output =
        evaluate(&place, &["--benchmark", "fashioniq", "--data", "data", "--scores", "s.json"]);
    let said = said(&output);
    assert!(!output.status.success() && said.contains("several parts of FashionIQ"), "{said}");
}

#[test]
fn equal_scores_of_others_count_against_them() {
    let place = Place::new();
    cirr(&place);
    let line = |id: u32, target: usize, other: usize| {
        format!(
            r#"{{"id": {id}, "ranking": [["dev-{target}-0-img0", 0.5], ["dev-{other}-0-img0", 0.5]]}}"#
        )
    };
    let lines = [line(1001, 4, 5), line(1002, 10, 11)].join("\n");
    std::fs::write(place.at("s.jsonl"), &lines).unwrap();
    measured(&place, "cirr", &["--scores", "s.jsonl"]);
    let ours = percents(&place);
    assert_eq!((ours["R@1"], ours["R@5"]), (0.0, 100.0), "{ours:?}");
    assert!(!ours.contains_key("Rs@1"), "nothing is known of the subsets: {ours:?}");
    // A little more is more.
    std::fs::write(place.at("s.jsonl"), lines.replacen("0.5", "0.75", 1)).unwrap();
    measured(&place, "cirr", &["--scores", "s.jsonl"]);
    assert_eq!(percents(&place)["R@1"], 50.0);
}

#[test]
fn a_ranking_of_the_gallery_ranks_its_subsets_where_it_has_all_of_them() {
    let place = Place::new();
    genecis(&place);
    let objects = r#"{"0": ["10", "13", "12", "14", "15"]}"#;
    let boxes =
        r#"{"0": ["22@32,20,40,30", "23@33,20,40,30", "24@34,20,40,30", "25@35,20,40,30"]}"#;
    let file = format!(
        r#"{{"focus_object": {objects}, "change_object": {objects},
             "focus_attribute": {boxes}, "change_attribute": {boxes}}}"#
    );
    std::fs::write(place.at("s.json"), &file).unwrap();
    measured(&place, "genecis", &["--scores", "s.json"]);
    let ours = percents(&place);
    assert_eq!((ours["Rs@1"], ours["Rs@2"]), (50.0, 100.0), "10 is none of the subset");
    std::fs::write(place.at("s.json"), file.replace(", \"15\"", "")).unwrap();
    let output =
        evaluate(&place, &["--benchmark", "genecis", "--data", "data", "--scores", "s.json"]);
    let said = said(&output);
    assert!(!output.status.success() && said.contains("measured by Rs@1"), "{said}");
}

#[test]
fn vectors_of_others_are_ranked_and_measured_as_a_model_is() {
    let place = Place::new();
    circo(&place);
    measured(&place, "circo", &["--model", "model"]);
    let (of_model, ranked) = (percents(&place), rankings(&place));
    let image = |n: usize| format!("data/{}", circo_image(n));
    let embed = |lines: Vec<Value>, out: &str| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(place.at("list.jsonl"), text).unwrap();
        let fixed = ["embed", "--model", "model", "--queries", "list.jsonl", "--out", out];
        let output = place.run(&fixed);
        assert!(output.status.success(), "{}", said(&output));
    };
    let gallery = |n: usize| json!({ "id": (100 + n).to_string(), "image": image(n), "text": "" });
    embed((0..IMAGES).map(gallery).collect(), "gallery.parquet");
    let query = |(id, reference): (usize, usize)| {
        let text = format!("find a scene but is number {id}");
        json!({ "id": id.to_string(), "image": image(reference), "text": text })
    };
    embed([(0, 0), (1, 1), (2, 7)].map(query).to_vec(), "queries.parquet");
    // Its images are not looked at, only their names.
    std::fs::remove_dir_all(place.at("data/COCO2017_unlabeled/unlabeled2017")).unwrap();
    let given = ["--embeddings", "queries.parquet", "gallery.parquet"];
    let table = measured(&place, "circo", &given);
    assert!(table.contains("queries.parquet"), "{table}");
    assert_eq!(percents(&place), of_model);
    for (ours, expected) in rankings(&place).iter().zip(&ranked) {
        assert_ranked(&ours["ranking"], &scored(&expected["ranking"]));
    }
    for (files, word) in [
        (["gallery.parquet", "gallery.parquet"], "no embedding of CIRCO/0"),
        (["queries.parquet", "queries.parquet"], "no embedding of CIRCO/100"),
        (["queries.parquet", "list.jsonl"], "list.jsonl"),
    ] {
        let arguments =
            ["--benchmark", "circo", "--data", "data", "--embeddings", files[0], files[1]];
        let output = evaluate(&place, &arguments);
        assert!(!output.status.success() && said(&output).contains(word), "{}", said(&output));
    }
}

#[test]
fn a_submission_is_measured_without_the_images() {
    let place = Place::new();
    circo(&place);
    std::fs::remove_dir_all(place.at("data/COCO2017_unlabeled")).unwrap();
    // The target third, then two of three; never; first and fourth of two.
    let file = r#"{"0": [107, 101, 103, 104], "1": [100, 103], "2": [111, 100, 101, 106]}"#;
    std::fs::write(place.at("submission.json"), file).unwrap();
    measured(&place, "circo", &["--scores", "submission.json"]);
    let ours = percents(&place);
    let third = (1.0 / 3.0 + 2.0 / 4.0) / 3.0;
    let expected = 100.0 * (third + 0.0 + (1.0 + 2.0 / 4.0) / 2.0) / 3.0;
    assert!((ours["mAP@5"] - expected).abs() < 1e-9, "{ours:?}");
    assert!((ours["R@5"] - 200.0 / 3.0).abs() < 1e-9, "{ours:?}");
}

#[test]
fn a_ranking_that_lacks_a_query_or_repeats_an_image_is_refused() {
    let place = Place::new();
    circo(&place);
    for (file, word) in [
        (r#"{"0": [101], "1": [101]}"#, "no ranking for query 2"),
        (r#"{"0": [101, 101], "1": [101], "2": [101]}"#, "query 0 lists 101 twice"),
    ] {
        std::fs::write(place.at("s.json"), file).unwrap();
        let output =
            evaluate(&place, &["--benchmark", "circo", "--data", "data", "--scores", "s.json"]);
        assert!(!output.status.success() && said(&output).contains(word), "{}", said(&output));
    }
}

/// `MAGICLENS_CIRCO` names a checkout of <https://github.com/miccunifi/CIRCO>, whose README has these figures.
#[test]
fn the_official_example_scores_what_its_authors_say() {
    let Some(circo) = std::env::var_os("MAGICLENS_CIRCO").map(PathBuf::from) else {
        eprintln!("skipped: MAGICLENS_CIRCO is not set");
        return;
    };
    let place = Place::new();
    let scores = circo.join("submission_examples/submission_val.json");
    let output = evaluate(
        &place,
        &[
            "--benchmark",
            "circo",
            "--out",
            "out",
            "--data",
            circo.to_str().unwrap(),
            "--scores",
            scores.to_str().unwrap(),
        ],
    );
    assert!(output.status.success(), "{}", said(&output));
    let ours = percents(&place);
    for (name, expected) in [
        ("mAP@5", "0.49"),
        ("mAP@10", "0.52"),
        ("mAP@25", "0.54"),
        ("mAP@50", "0.60"),
        ("R@5", "0.91"),
        ("R@10", "0.91"),
        ("R@25", "1.36"),
        ("R@50", "3.64"),
    ] {
        assert_eq!(format!("{:.2}", ours[name]), expected, "{name}");
    }
}
