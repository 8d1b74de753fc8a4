//! Each benchmark from its files to its figures.

use std::collections::BTreeMap;

use magiclens_demo::Options;
use serde_json::Value;

use super::layouts::{captions, circo, circo_image, cirr, dtin, fashioniq, genecis, sketches};
use super::{
    assert_ranked, evaluate, json_of, measured, names, percents, put, ranked, rankings, vectors,
};
use crate::search::{IMAGES, Place, said};
use crate::support::{Mined, run};

const MODEL: [&str; 2] = ["--model", "model"];

/// Average precision at `k` as CIRCO's paper writes it.
fn average_precision(ranking: &[String], right: &[String], k: usize) -> f64 {
    let mut sum = 0.0;
    for r in 1..=k.min(ranking.len()) {
        let found = ranking[..r].iter().filter(|name| right.contains(name)).count();
        sum += if right.contains(&ranking[r - 1]) { found as f64 / r as f64 } else { 0.0 };
    }
    sum / right.len().min(k) as f64
}

fn close(ours: f64, expected: f64) {
    assert!((ours - expected).abs() < 1e-9, "{ours} for {expected}");
}

#[test]
fn circo_is_ranked_and_measured_as_its_paper_says() {
    let place = Place::new();
    circo(&place);
    let table = measured(&place, "circo", &MODEL);
    assert!(
        table.contains("MagicLens-B (paper)") && table.contains("test") && table.contains("val"),
        "{table}"
    );
    let images: Vec<String> = (0..IMAGES).map(circo_image).collect();
    let id = |n: usize| (100 + n).to_string();
    let gallery =
        vectors(&place, &images.iter().map(|image| (image.as_str(), "")).collect::<Vec<_>>());
    let gallery: Vec<_> = (0..IMAGES).map(id).zip(gallery).collect();
    let queries = [(0, vec![3, 4, 5]), (1, vec![2]), (7, vec![11, 6])];
    let mut expected = BTreeMap::<String, f64>::new();
    for ((number, (reference, right)), line) in queries.iter().enumerate().zip(rankings(&place)) {
        let text = format!("find a scene but is number {number}");
        let query = vectors(&place, &[(&images[*reference], &text)]).remove(0);
        let ranking = ranked(&query, &gallery);
        assert_ranked(&line["ranking"], &ranking);
        let right: Vec<String> = right.iter().map(|&n| id(n)).collect();
        for k in [5, 10, 25, 50] {
            let share = average_precision(&names(&line["ranking"]), &right, k);
            *expected.entry(format!("mAP@{k}")).or_default() += 100.0 * share / 3.0;
            let found = names(&line["ranking"]).iter().take(k).any(|name| *name == right[0]);
            *expected.entry(format!("R@{k}")).or_default() += if found { 100.0 / 3.0 } else { 0.0 };
        }
    }
    let ours = percents(&place);
    assert_eq!(ours.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    ours.iter().for_each(|(name, percent)| close(*percent, expected[name]));

    // Twice the same, to the byte.
    let first = ["metrics.json", "rankings.jsonl"]
        .map(|name| std::fs::read(place.at("out").join(name)).unwrap());
    measured(&place, "circo", &[&MODEL[..], &["--batch", "64"]].concat());
    let second = ["metrics.json", "rankings.jsonl"]
        .map(|name| std::fs::read(place.at("out").join(name)).unwrap());
    assert!(first == second, "two runs differ");
}

#[test]
fn queries_can_be_the_image_or_the_text_alone() {
    let place = Place::new();
    circo(&place);
    let mut black = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(30, 20).write_to(&mut black, image::ImageFormat::Png).unwrap();
    put(&place, "black.png", black.into_inner());
    let images: Vec<String> = (0..IMAGES).map(circo_image).collect();
    let gallery =
        vectors(&place, &images.iter().map(|image| (image.as_str(), "")).collect::<Vec<_>>());
    let gallery: Vec<_> = (0..IMAGES).map(|n| (100 + n).to_string()).zip(gallery).collect();
    for (how, asked) in [
        ("image", (images[0].as_str(), "")),
        ("text", ("black.png", "find a scene but is number 0")),
    ] {
        let table = measured(&place, "circo", &[&MODEL[..], &["--query", how]].concat());
        assert!(table.contains(&format!("{how} only")), "{table}");
        let query = vectors(&place, &[asked]).remove(0);
        assert_ranked(&rankings(&place)[0]["ranking"], &ranked(&query, &gallery));
    }
}

#[test]
fn a_hidden_truth_gives_files_to_hand_in() {
    let place = Place::new();
    circo(&place);
    let test = [&MODEL[..], &["--split", "test"]].concat();
    assert_eq!(measured(&place, "circo", &test), "", "there is nothing to print");
    assert!(!place.at("out/metrics.json").exists());
    let file = json_of(&place.at("out/circo_test.json"));
    assert_eq!(file.as_object().unwrap().len(), 2);
    for (line, key) in rankings(&place).iter().zip(["0", "1"]) {
        let numbers: Vec<String> =
            file[key].as_array().unwrap().iter().map(Value::to_string).collect();
        assert_eq!(numbers, names(&line["ranking"]), "numbers, not text");
    }
    let output = evaluate(
        &place,
        &["--benchmark", "circo", "--data", "data", "--model", "model", "--split", "test"],
    );
    assert!(!output.status.success() && said(&output).contains("--out"), "{}", said(&output));

    let place = Place::new();
    cirr(&place);
    measured(&place, "cirr", &test);
    for (file, metric, length, key) in [
        ("cirr_recall.json", "recall", IMAGES - 1, "ranking"),
        ("cirr_recall_subset.json", "recall_subset", 3, "subset"),
    ] {
        let file = json_of(&place.at("out").join(file));
        assert_eq!((&file["version"], &file["metric"]), (&"rc2".into(), &metric.into()));
        for (line, pair) in rankings(&place).iter().zip(["1001", "1002"]) {
            let ranking =
                file[pair].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
            let ranking: Vec<String> = ranking.collect();
            assert_eq!(ranking.len(), length);
            assert_eq!(ranking, names(&line[key])[..length]);
        }
    }
}

#[test]
fn cirr_leaves_the_query_image_out() {
    let place = Place::new();
    cirr(&place);
    let table = measured(&place, "cirr", &MODEL);
    assert!(table.contains("Rs@1") && table.contains("test1"), "{table}");
    let name = |n: usize| format!("dev-{n}-0-img0");
    let path = |n: usize| format!("img_raw/dev/{}.png", name(n));
    let images: Vec<String> = (0..IMAGES).map(path).collect();
    let gallery =
        vectors(&place, &images.iter().map(|image| (image.as_str(), "")).collect::<Vec<_>>());
    let mut expected = BTreeMap::<String, f64>::new();
    for ((pair, reference, target), line) in
        [(1, 2, 4), (2, 8, 10)].into_iter().zip(rankings(&place))
    {
        let query = vectors(&place, &[(&images[reference], &format!("change {pair}"))]).remove(0);
        let all: Vec<_> = (0..IMAGES).filter(|n| *n != reference).collect();
        let of = |some: &[usize]| {
            let some: Vec<_> = some.iter().map(|&n| (name(n), gallery[n].clone())).collect();
            ranked(&query, &some)
        };
        let (ranking, subset) =
            (of(&all), of(&[1, 2, 3, 4, 5].map(|step| (reference + step) % IMAGES)));
        assert_ranked(&line["ranking"], &ranking);
        assert_ranked(&line["subset"], &subset);
        let mut note = |name: String, ranking: &Value, k: usize| {
            let found = names(ranking).iter().take(k).any(|image| *image == dev_name(target));
            *expected.entry(name).or_default() += if found { 50.0 } else { 0.0 };
        };
        [1, 5, 10, 50].into_iter().for_each(|k| note(format!("R@{k}"), &line["ranking"], k));
        [1, 2, 3].into_iter().for_each(|k| note(format!("Rs@{k}"), &line["subset"], k));
    }
    percents(&place).iter().for_each(|(name, percent)| close(*percent, expected[name]));
}

fn dev_name(n: usize) -> String {
    format!("dev-{n}-0-img0")
}

#[test]
fn fashioniq_is_the_mean_of_its_categories() {
    let place = Place::new();
    fashioniq(&place);
    let table = measured(&place, "fashioniq", &MODEL);
    assert!(["dress", "shirt", "toptee"].iter().all(|name| table.contains(name)), "{table}");
    let lines = rankings(&place);
    assert_eq!(lines.len(), 3);
    for (at, line) in lines.iter().enumerate() {
        let images: Vec<String> =
            (4 * at..4 * at + 4).map(|n| format!("images/B{n}.png")).collect();
        let gallery =
            vectors(&place, &images.iter().map(|image| (image.as_str(), "")).collect::<Vec<_>>());
        let gallery: Vec<_> = (4 * at..4 * at + 4).map(|n| format!("B{n}")).zip(gallery).collect();
        let query = vectors(&place, &[(&images[0], "is red and is long")]).remove(0);
        assert_ranked(&line["ranking"], &ranked(&query, &gallery));
        assert_eq!(
            names(&line["ranking"])[line["ranks"][0].as_u64().unwrap() as usize - 1],
            format!("B{}", 4 * at + 2)
        );
    }
    assert_eq!(percents(&place), [("R@10".to_owned(), 100.0), ("R@50".to_owned(), 100.0)].into());
    let metrics = json_of(&place.at("out/metrics.json"));
    assert_eq!(metrics["tasks"].as_array().unwrap().len(), 3);
    let output = evaluate(
        &place,
        &["--benchmark", "fashioniq", "--data", "data", "--model", "model", "--split", "test"],
    );
    assert!(said(&output).contains("--split val"), "{}", said(&output));
}

#[test]
fn genecis_ranks_among_a_few_objects() {
    let place = Place::new();
    genecis(&place);
    let table = measured(&place, "genecis", &MODEL);
    assert!(table.contains("focus_attribute") && table.contains("Rs@3"), "{table}");
    let lines = rankings(&place);
    assert_eq!(lines.len(), 4);
    let mut found = [0.0; 3];
    for line in &lines {
        let subset = names(&line["subset"]);
        assert_eq!(subset.len(), 4, "the target and the gallery, without the query image");
        let target = if line["task"].as_str().unwrap().ends_with("object") {
            "12"
        } else {
            "22@32,20,40,30"
        };
        let rank = subset.iter().position(|name| name == target).unwrap();
        (rank..3).for_each(|k| found[k] += 25.0);
    }
    let ours = percents(&place);
    [1, 2, 3].into_iter().for_each(|k| close(ours[&format!("Rs@{k}")], found[k - 1]));
    // Whole images are ranked as `search embed` has them.
    let image = |n: usize| format!("val2017/{:012}.jpg", 10 + n);
    let images: Vec<String> = [2, 3, 4, 5].map(image).to_vec();
    let gallery =
        vectors(&place, &images.iter().map(|image| (image.as_str(), "")).collect::<Vec<_>>());
    let gallery: Vec<_> =
        ["12", "13", "14", "15"].map(String::from).into_iter().zip(gallery).collect();
    let query = vectors(&place, &[(&image(0), "sky")]).remove(0);
    let line = lines.iter().find(|line| line["task"] == "focus_object").unwrap();
    assert_ranked(&line["subset"], &ranked(&query, &gallery));
}

#[test]
fn dtin_has_both_of_its_measures() {
    let place = Place::new();
    dtin(&place);
    let table = measured(&place, "dtin", &MODEL);
    assert!(table.contains("hit@10") && table.contains("positives@10"), "{table}");
    let lines = rankings(&place);
    let of_domain = |domain: &str| lines.iter().filter(|line| line["task"] == domain).count();
    assert_eq!(["cartoon", "origami", "toy", "sculpture"].map(of_domain), [1, 2, 1, 1]);
    let images: Vec<String> = (0..6).map(|n| format!("imagenet-r/{n}.jpg")).collect();
    let gallery =
        vectors(&place, &images.iter().map(|image| (image.as_str(), "")).collect::<Vec<_>>());
    let gallery: Vec<_> = images.iter().cloned().zip(gallery).collect();
    let query = vectors(&place, &[("real_query/n1.jpg", "find this object in origami")]).remove(0);
    let line = lines.iter().find(|line| line["id"] == "real_query/n1.jpg to origami").unwrap();
    assert_ranked(&line["ranking"], &ranked(&query, &gallery));
    assert_eq!(lines[0]["ranks"].as_array().unwrap().len(), 2, "cartoon has two of the class");
    assert_eq!(percents(&place)["positives@10"], 100.0);
}

#[test]
fn captions_find_images_by_the_towers() {
    for (benchmark, file, folder) in [
        ("coco", "dataset_coco.json", "val2014"),
        ("flickr30k", "dataset_flickr30k.json", "flickr30k-images"),
    ] {
        let place = Place::new();
        captions(&place, file, folder);
        measured(&place, benchmark, &MODEL);
        let lines = rankings(&place);
        assert_eq!(lines.len(), 15, "five captions an image, of test images");
        let model =
            magiclens::model::MagicLens::load(&place.at("model"), None, tch::Device::Cpu).unwrap();
        let unit = |vector: tch::Tensor| {
            let vector = Vec::<f32>::try_from(vector.reshape([-1])).unwrap();
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            vector.into_iter().map(|x| x / length).collect::<Vec<_>>()
        };
        let input = magiclens::model::input::ImageInput {
            spec: model.image_spec(),
            how: magiclens::model::preprocess::Preprocess::Released,
            crop: None,
        };
        let size = model.config().image_size;
        let image = |n: usize| {
            let mut pixels = vec![0.0; (3 * size * size) as usize];
            input.read_file(&place.at(&format!("data/{folder}/c{n}.jpg")), &mut pixels).unwrap();
            let pixels = tch::Tensor::from_slice(&pixels).reshape([1, 3, size, size]);
            (format!("c{n}.jpg"), unit(model.image_features(&pixels)))
        };
        let gallery: Vec<_> = (0..3).map(image).collect();
        let tokens = magiclens::model::tokenizer::Tokenizer::clip().encode("Caption 4 of 0.").ids;
        let ids: Vec<i64> = tokens.iter().map(|&id| i64::from(id)).collect();
        let text = unit(model.text_features(&tch::Tensor::from_slice(&ids).unsqueeze(0)));
        let line = lines.iter().find(|line| line["id"] == "c0.jpg#4").unwrap();
        assert_ranked(&line["ranking"], &ranked(&text, &gallery));
        let output = evaluate(
            &place,
            &["--benchmark", benchmark, "--data", "data", "--model", "model", "--query", "image"],
        );
        assert!(said(&output).contains("leave out --query"), "{}", said(&output));
    }
}

#[test]
fn sketches_find_photographs_of_their_class() {
    for (benchmark, ks) in
        [("tuberlin", &[100][..]), ("sketchy", &[100]), ("quickdraw", &[100, 200])]
    {
        let place = Place::new();
        sketches(&place, benchmark);
        let table = measured(&place, benchmark, &MODEL);
        assert_eq!(table.contains("MagicLens-L (paper)"), benchmark == "tuberlin", "{table}");
        let images: Vec<String> = (0..6).map(|n| format!("photo/a class/p{n}.jpg")).collect();
        let gallery =
            vectors(&place, &images.iter().map(|image| (image.as_str(), "")).collect::<Vec<_>>());
        let gallery: Vec<_> = images.iter().cloned().zip(gallery).collect();
        let classes = [vec![0, 3, 5], vec![1, 4], vec![0, 3, 5]];
        let mut expected = 0.0;
        for ((n, right), line) in classes.iter().enumerate().zip(rankings(&place)) {
            let sketch = format!("sketch/s{n}.png");
            let asked = [(sketch.as_str(), "find a natural image of this object")];
            let ranking = ranked(&vectors(&place, &asked).remove(0), &gallery);
            assert_ranked(&line["ranking"], &ranking);
            let right: Vec<String> = right.iter().map(|&n| images[n].clone()).collect();
            expected += 100.0 * average_precision(&names(&line["ranking"]), &right, 6) / 3.0;
        }
        let ours = percents(&place);
        close(ours["mAP"], expected);
        assert_eq!(ours.len(), 1 + ks.len(), "{ours:?}");
        for k in ks {
            let found = (3.0 + 2.0 + 3.0) / 3.0;
            close(ours[&format!("P@{k}")], 100.0 * found / *k as f64);
        }
    }
}

#[test]
fn models_that_cannot_be_put_side_by_side_are_refused_before_any_work() {
    for (benchmark, make) in [
        ("fashioniq", fashioniq as fn(&Place)),
        ("coco", |place| captions(place, "dataset_coco.json", "val2014")),
    ] {
        let place = Place::new();
        make(&place);
        // A model that cannot be loaded would be found out first by any work.
        let arguments = ["--model", "nowhere", "--model-b", "nowhere", "--out", "out"];
        let fixed = ["--benchmark", benchmark, "--data", "data"];
        let output = evaluate(&place, &[&fixed[..], &arguments].concat());
        assert!(!output.status.success() && said(&output).contains("side by side"));
    }
}

#[test]
fn two_models_are_put_side_by_side_without_their_names() {
    let place = Place::new();
    circo(&place);
    let config = magiclens::model::ModelConfig::tiny();
    magiclens::model::MagicLens::new(&config, tch::Device::Cpu, 99)
        .save(&place.at("other"))
        .unwrap();
    measured(&place, "circo", &[&MODEL[..], &["--model-b", "other"]].concat());
    let read = |name: &str| std::fs::read_to_string(place.at("out").join(name)).unwrap();
    let (table, key) = (read("judge.csv"), read("judge_key.csv"));
    assert!(!table.contains("model") && !table.contains("other"), "{table}");
    assert_eq!(table.lines().count(), key.lines().count());
    let first = |model: &str| {
        measured(&place, "circo", &["--model", model]);
        rankings(&place)
            .into_iter()
            .map(|line| (line["id"].to_string(), names(&line["ranking"])[0].clone()))
    };
    let firsts: BTreeMap<&str, BTreeMap<String, String>> =
        ["model", "other"].map(|model| (model, first(model).collect())).into();
    let differ =
        firsts["model"].iter().filter(|(id, image)| firsts["other"][*id] != **image).count();
    assert_eq!(table.lines().count() - 1, differ, "queries with the same answer are left out");
    for (row, key) in table.lines().zip(key.lines()).skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let key: Vec<&str> = key.split(',').collect();
        for (cell, model) in [(cells[3], key[2]), (cells[4], key[3])] {
            let image = &firsts[model.trim_matches('"')][key[1]];
            let original = format!("data/COCO2017_unlabeled/unlabeled2017/{:0>12}.jpg", image);
            assert_eq!(
                std::fs::read(place.at("out").join(cell)).unwrap(),
                std::fs::read(place.at(&original)).unwrap()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_out_while_mining_is_a_benchmark() {
    let mined = Mined::serve(&Options { hostile: false, ..Options::default() }).await;
    let mut command = mined.command("run");
    command.args(["--set", "export.test_share=0.5"]);
    let output = run(command).await;
    assert!(output.status.success(), "{}", said(&output));
    let tables = mined.tables("run").await;
    let test: Vec<_> = tables
        .triplets
        .iter()
        .filter(|triplet| triplet.split == magiclens::record::Split::Test)
        .collect();
    assert!(test.len() > 10, "{} test triplets", test.len());
    let data = mined.folder.path().join("run").display().to_string();
    let (place, figures) = tokio::task::spawn_blocking(move || {
        let place = Place::new();
        let fixed = ["--benchmark", "holdout", "--data", &data, "--model", "model", "--out", "out"];
        let output = evaluate(&place, &fixed);
        assert!(output.status.success(), "{}", said(&output));
        let figures = percents(&place);
        (place, figures)
    })
    .await
    .unwrap();
    let metrics = json_of(&place.at("out/metrics.json"));
    assert_eq!(metrics["tasks"][0]["queries"], test.len());
    assert_eq!(
        metrics["tasks"][0]["gallery"],
        tables.test_pool.len(),
        "every target is in the pool"
    );
    let lines = rankings(&place);
    for k in [1, 5, 10, 50] {
        let found = lines.iter().filter(|line| line["ranks"][0].as_u64().unwrap() <= k).count();
        close(figures[&format!("R@{k}")], 100.0 * found as f64 / test.len() as f64);
    }
    let by_id: BTreeMap<_, _> =
        test.iter().map(|triplet| (triplet.triplet_id.clone(), *triplet)).collect();
    for line in &lines {
        let triplet = by_id[line["id"].as_str().unwrap()];
        let ranking = names(&line["ranking"]);
        let own =
            tables.test_pool.iter().find(|image| image.cluster_id == triplet.query_cluster_id);
        assert!(
            !ranking.iter().any(|id| Some(id.as_str()) == own.map(|own| own.image_id.as_str()))
        );
    }
}

#[test]
fn what_is_missing_is_said_with_where_to_get_it() {
    type Make = fn(&Place);
    let cases: [(&str, Make, &[&str], &str); 16] = [
        ("circo", circo, &["annotations/val.json"], "github.com/miccunifi/CIRCO"),
        (
            "circo",
            circo,
            &["COCO2017_unlabeled/annotations/image_info_unlabeled2017.json"],
            "cocodataset.org",
        ),
        ("circo", circo, &["COCO2017_unlabeled/unlabeled2017/000000000103.jpg"], "cocodataset.org"),
        ("cirr", cirr, &["captions/cap.rc2.val.json"], "github.com/Cuberick/CIRR"),
        ("cirr", cirr, &["img_raw/dev/dev-3-0-img0.png"], "NLVR2"),
        ("fashioniq", fashioniq, &["image_splits/split.shirt.val.json"], "XiaoxiaoGuo/fashion-iq"),
        ("fashioniq", fashioniq, &["images/B7.png"], "fashion-iq-metadata"),
        ("genecis", genecis, &["genecis/focus_object.json"], "github.com/facebookresearch/genecis"),
        ("genecis", genecis, &["val2017/000000000013.jpg"], "cocodataset.org"),
        ("genecis", genecis, &["VG_100K/24.jpg"], "visualgenome"),
        ("dtin", dtin, &["imgnet_targets.txt"], "composed_image_retrieval"),
        ("dtin", dtin, &["imagenet-r/3.jpg"], "ImageNet-R"),
        (
            "coco",
            |place| captions(place, "dataset_coco.json", "val2014"),
            &["val2014/c1.jpg"],
            "cocodataset.org",
        ),
        (
            "tuberlin",
            |place| sketches(place, "tuberlin"),
            &["zeroshot/png_ready_filelist_zero.txt"],
            "ZSE-SBIR",
        ),
        (
            "sketchy",
            |place| sketches(place, "sketchy"),
            &["zeroshot1/all_photo_filelist_zero.txt"],
            "ZSE-SBIR",
        ),
        ("quickdraw", |place| sketches(place, "quickdraw"), &["photo/a class/p4.jpg"], "ZSE-SBIR"),
    ];
    for (benchmark, make, gone, word) in cases {
        let place = Place::new();
        make(&place);
        gone.iter().for_each(|name| std::fs::remove_file(place.at("data").join(name)).unwrap());
        let output =
            evaluate(&place, &["--benchmark", benchmark, "--data", "data", "--model", "model"]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.contains(&format!("data/{} is missing", gone[0])) && said.contains(word),
            "{said}"
        );
    }
    let place = Place::new();
    circo(&place);
    put(&place, "annotations/val.json", "[{\"id\": 1}]");
    let output = evaluate(&place, &["--benchmark", "circo", "--data", "data", "--model", "model"]);
    assert!(
        said(&output).contains("annotations/val.json is not as it should be: missing field"),
        "{}",
        said(&output)
    );
    circo(&place);
    put(&place, &circo_image(4), "no image");
    let output = evaluate(&place, &["--benchmark", "circo", "--data", "data", "--model", "model"]);
    assert!(said(&output).contains("104 of CIRCO: "), "{}", said(&output));
    let output =
        evaluate(&place, &["--benchmark", "holdout", "--data", "data", "--model", "model"]);
    assert!(said(&output).contains("a run of mine with a test split"), "{}", said(&output));
}
