//! `evaluate --scores`: what others ranked is measured by the same rules.

use std::path::PathBuf;

use super::layouts::{circo, cirr};
use super::{evaluate, measured, percents};
use crate::search::{Place, said};

#[test]
fn our_own_rankings_measure_as_the_model_did() {
    for (benchmark, make) in [("circo", circo as fn(&Place)), ("cirr", cirr)] {
        let place = Place::new();
        make(&place);
        measured(&place, benchmark, &["--model", "model"]);
        let of_model = percents(&place);
        std::fs::copy(place.at("out/rankings.jsonl"), place.at("rankings.jsonl")).unwrap();
        measured(&place, benchmark, &["--scores", "rankings.jsonl"]);
        let of_lists = percents(&place);
        assert!(!of_lists.is_empty());
        for (name, percent) in of_lists {
            assert!((percent - of_model[&name]).abs() < 1e-9, "{benchmark} {name}");
        }
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
