//! The official layouts in small.

use serde_json::{Value, json};

use super::{draw, put};
use crate::search::{IMAGES, Place};

/// CIRCO's images by number.
pub fn circo_image(number: usize) -> String {
    format!("COCO2017_unlabeled/unlabeled2017/{:012}.jpg", 100 + number)
}

/// CIRCO: three queries of val, two of test.
pub fn circo(place: &Place) {
    draw(place, (0..IMAGES).map(circo_image));
    let images =
        (0..IMAGES).map(|n| json!({ "id": 100 + n, "file_name": format!("{:012}.jpg", 100 + n) }));
    let info = json!({ "info": {}, "images": images.collect::<Vec<_>>() });
    put(place, "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json", info.to_string());
    let query = |id: usize, reference: usize, truths: &[usize]| {
        json!({
            "id": id, "reference_img_id": 100 + reference, "relative_caption": format!("is number {id}"),
            "shared_concept": "a scene", "semantic_aspects": ["addition"],
            "target_img_id": 100 + truths[0], "gt_img_ids": truths.iter().map(|n| 100 + n).collect::<Vec<_>>(),
        })
    };
    let val = [query(0, 0, &[3, 4, 5]), query(1, 1, &[2]), query(2, 7, &[11, 6])];
    put(place, "annotations/val.json", Value::from(val.to_vec()).to_string());
    let mut test = vec![query(0, 2, &[1]), query(1, 3, &[1])];
    for query in &mut test {
        let query = query.as_object_mut().unwrap();
        query.retain(|key, _| !["target_img_id", "gt_img_ids"].contains(&key.as_str()));
    }
    put(place, "annotations/test.json", Value::from(test).to_string());
}

/// CIRR: two queries of val and of test1.
pub fn cirr(place: &Place) {
    for (split, folder) in [("val", "dev"), ("test1", "test1")] {
        let name = |n: usize| format!("{folder}-{n}-0-img0");
        draw(place, (0..IMAGES).map(|n| format!("img_raw/{folder}/{}.png", name(n))));
        let images =
            (0..IMAGES).map(|n| (name(n), Value::from(format!("./{folder}/{}.png", name(n)))));
        let images: serde_json::Map<_, _> = images.collect();
        put(
            place,
            &format!("image_splits/split.rc2.{split}.json"),
            Value::from(images).to_string(),
        );
        let query = |pair: usize, reference: usize, target: usize| {
            let members: Vec<String> =
                (reference..reference + 6).map(|n| name(n % IMAGES)).collect();
            let mut query = json!({
                "pairid": 1000 + pair, "reference": name(reference), "caption": format!("change {pair}"),
                "img_set": { "id": pair, "members": members, "reference_rank": 0 },
            });
            if split == "val" {
                query["target_hard"] = name(target).into();
                query["target_soft"] = json!({ name(target): 1.0 });
            }
            query
        };
        let queries = vec![query(1, 2, 4), query(2, 8, 10)];
        put(place, &format!("captions/cap.rc2.{split}.json"), Value::from(queries).to_string());
    }
}

/// FashionIQ: a query a category, over galleries of four.
pub fn fashioniq(place: &Place) {
    draw(place, (0..IMAGES).map(|n| format!("images/B{n}.png")));
    for (at, category) in ["dress", "shirt", "toptee"].into_iter().enumerate() {
        let ids: Vec<String> = (4 * at..4 * at + 4).map(|n| format!("B{n}")).collect();
        put(place, &format!("image_splits/split.{category}.val.json"), json!(ids).to_string());
        let query =
            json!([{ "candidate": ids[0], "target": ids[2], "captions": ["is red", "is long"] }]);
        put(place, &format!("captions/cap.{category}.val.json"), query.to_string());
    }
}

/// GeneCIS: a query of each task, whole images or objects.
pub fn genecis(place: &Place) {
    draw(place, (0..6).map(|n| format!("val2017/{:012}.jpg", 10 + n)));
    draw(place, (0..6).map(|n| format!("{}/{}.jpg", ["VG_100K", "VG_100K_2"][n % 2], 20 + n)));
    for name in ["focus_object", "change_object"] {
        let image = |n: usize| json!({ "val_image_id": 10 + n });
        genecis_task(place, name, image);
    }
    for name in ["focus_attribute", "change_attribute"] {
        let image = |n: usize| json!({ "image_id": 20 + n, "instance_bbox": [30 + n, 20, 40, 30] });
        genecis_task(place, name, image);
    }
}

fn genecis_task(place: &Place, name: &str, image: impl Fn(usize) -> Value) {
    let gallery: Vec<Value> = [3, 4, 5].map(&image).to_vec();
    let sample = json!({ "condition": "sky", "reference": image(0), "target": image(2), "gallery": gallery });
    put(place, &format!("genecis/{name}.json"), json!([sample]).to_string());
}

/// DTIN: two photographs, six images in other domains; the class of the second is in two of them only.
pub fn dtin(place: &Place) {
    draw(place, (0..2).map(|n| format!("real_query/n{n}.jpg")));
    draw(place, (0..6).map(|n| format!("imagenet-r/{n}.jpg")));
    put(place, "imgnet_real_query.txt", "imgnet/real_query/n0.jpg 5\nimgnet/real_query/n1.jpg 7\n");
    let labels = [5, 5, 1005, 2005, 3005, 1007];
    let lines =
        labels.iter().enumerate().map(|(n, label)| format!("imgnet/imagenet-r/{n}.jpg {label}\n"));
    put(place, "imgnet_targets.txt", lines.collect::<String>());
}

/// Captions to images: three test images, the first with six captions, and one of train.
pub fn captions(place: &Place, name: &str, folder: &str) {
    draw(place, (0..4).map(|n| format!("{folder}/c{n}.jpg")));
    let image = |n: usize| {
        let count = if n == 0 { 6 } else { 5 };
        let sentences = (0..count).map(|at| json!({ "raw": format!("Caption {at} of {n}.") }));
        json!({
            "filename": format!("c{n}.jpg"), "filepath": folder, "imgid": n,
            "split": if n == 3 { "train" } else { "test" }, "sentences": sentences.collect::<Vec<_>>(),
        })
    };
    let images: Vec<Value> = (0..4).map(image).collect();
    put(place, name, json!({ "dataset": "x", "images": images }).to_string());
}

/// Sketches to photographs: three sketches of two classes, six photographs of these and of a third. The lists of
/// training classes lie beside them and are not read.
pub fn sketches(place: &Place, name: &str) {
    let (drawn, photos) = match name {
        "tuberlin" => (
            "zeroshot/png_ready_filelist_zero.txt",
            "zeroshot/ImageResized_ready_filelist_zero.txt",
        ),
        "sketchy" => (
            "zeroshot1/sketch_tx_000000000000_ready_filelist_zero.txt",
            "zeroshot1/all_photo_filelist_zero.txt",
        ),
        _ => ("zeroshot/sketch_zero.txt", "zeroshot/all_photo_zero.txt"),
    };
    draw(place, (0..6).map(|n| format!("photo/a class/p{n}.jpg")));
    draw(place, (0..3).map(|n| format!("sketch/s{n}.png")));
    let lines = |path: fn(usize) -> String, classes: &[usize]| -> String {
        classes.iter().enumerate().map(|(n, class)| format!("{} {class}\n", path(n))).collect()
    };
    put(place, drawn, lines(|n| format!("sketch/s{n}.png"), &[221, 225, 221]));
    let classes = [221, 225, 230, 221, 225, 221];
    put(place, photos, lines(|n| format!("photo/a class/p{n}.jpg"), &classes));
    put(place, &drawn.replace("zero.txt", "train.txt"), "no list");
}
