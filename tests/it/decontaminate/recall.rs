//! Recall and false positives of the thresholds, over drawn scenes, as docs/mining.md states them.

use std::collections::BTreeSet;

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage, imageops};
use magiclens::config::{Decontaminate, Fetch};
use magiclens::imaging::prepare;
use magiclens::record::Look;
use magiclens::stages::export::decontaminate::{Benchmark, Folder, Screen};
use magiclens_demo::scene::{Colour, View};
use magiclens_demo::{Rng, Scene};
use rayon::prelude::*;

/// Scenes of the benchmark.
const SCENES: usize = 100;
/// Scenes that are not in it.
const OTHERS: usize = 1000;

type Edit = fn(&RgbImage) -> Vec<u8>;

fn jpeg(pixels: &RgbImage, quality: u8) -> Vec<u8> {
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, quality).encode_image(pixels).unwrap();
    out
}

fn resized(pixels: &RgbImage, share: f32) -> Vec<u8> {
    let side = |length: u32| (length as f32 * share) as u32;
    let (width, height) = (side(pixels.width()), side(pixels.height()));
    jpeg(&imageops::resize(pixels, width, height, imageops::FilterType::Triangle), 80)
}

/// Takes shares of width and height off: left, top, right, foot.
fn cropped(pixels: &RgbImage, [left, top, right, foot]: [f32; 4]) -> Vec<u8> {
    let (width, height) = (pixels.width() as f32, pixels.height() as f32);
    let (x, y) = ((width * left) as u32, (height * top) as u32);
    let (wide, high) = (width * (1.0 - left - right), height * (1.0 - top - foot));
    jpeg(&imageops::crop_imm(pixels, x, y, wide as u32, high as u32).to_image(), 80)
}

fn all_round(pixels: &RgbImage, share: f32) -> Vec<u8> {
    cropped(pixels, [share; 4])
}

/// Mixes a colour over a rectangle given in shares of width and height.
fn cover(pixels: &mut RgbImage, [x, y, wide, high]: [f32; 4], colour: [u8; 3], share: f32) {
    let (width, height) = (pixels.width() as f32, pixels.height() as f32);
    let (left, top) = (x * width, y * height);
    for row in top as u32..((top + high * height) as u32).min(pixels.height()) {
        for column in left as u32..((left + wide * width) as u32).min(pixels.width()) {
            let Rgb(under) = pixels.get_pixel_mut(column, row);
            for (value, over) in under.iter_mut().zip(colour) {
                *value = (f32::from(*value) * (1.0 - share) + f32::from(over) * share) as u8;
            }
        }
    }
}

/// A caption: a dark bar along the foot with letters of 5 × 5 dots on it.
fn captioned(pixels: &RgbImage, high: f32) -> Vec<u8> {
    let mut pixels = pixels.clone();
    cover(&mut pixels, [0.0, 1.0 - high, 1.0, high], [20; 3], 1.0);
    let mut rng = Rng::named(3, "letters");
    for letter in 0..18 {
        for dot in (0..25).filter(|_| rng.below(2) == 1) {
            let (column, row) = ((dot % 5) as f32, (dot / 5) as f32);
            let x = 0.05 + letter as f32 * 0.05 + column * 0.008;
            let y = 1.0 - high * (0.85 - 0.14 * row);
            cover(&mut pixels, [x, y, 0.008, high * 0.14], [240; 3], 1.0);
        }
    }
    jpeg(&pixels, 80)
}

/// A red square with a white cross in the upper right corner, its side a share of each side.
fn with_logo(pixels: &RgbImage, side: f32) -> Vec<u8> {
    let (mut pixels, left, top) = (pixels.clone(), 0.97 - side, 0.03);
    cover(&mut pixels, [left, top, side, side], [220, 30, 40], 1.0);
    cover(&mut pixels, [left + side * 0.4, top, side * 0.2, side], [250; 3], 1.0);
    cover(&mut pixels, [left, top + side * 0.4, side, side * 0.2], [250; 3], 1.0);
    jpeg(&pixels, 80)
}

/// A pale band across the middle, a third of it opaque.
fn watermarked(pixels: &RgbImage) -> Vec<u8> {
    let mut pixels = pixels.clone();
    cover(&mut pixels, [0.2, 0.42, 0.6, 0.16], [255; 3], 0.35);
    jpeg(&pixels, 80)
}

/// What is done to an image, and how many of [`SCENES`] are found then.
const EDITS: [(&str, Edit, usize); 17] = [
    ("JPEG quality 20", |pixels| jpeg(pixels, 20), 100),
    ("JPEG quality 50", |pixels| jpeg(pixels, 50), 100),
    ("half the size", |pixels| resized(pixels, 0.5), 100),
    ("a quarter of the size", |pixels| resized(pixels, 0.25), 100),
    ("2 % off each side", |pixels| all_round(pixels, 0.02), 100),
    ("4 % off each side", |pixels| all_round(pixels, 0.04), 100),
    ("6 % off each side", |pixels| all_round(pixels, 0.06), 100),
    ("10 % off each side", |pixels| all_round(pixels, 0.1), 100),
    ("15 % off each side", |pixels| all_round(pixels, 0.15), 0),
    ("5 % off the foot", |pixels| cropped(pixels, [0.0, 0.0, 0.0, 0.05]), 99),
    ("10 % off the foot", |pixels| cropped(pixels, [0.0, 0.0, 0.0, 0.1]), 100),
    ("5 % off two sides", |pixels| cropped(pixels, [0.0, 0.0, 0.05, 0.05]), 100),
    ("a caption, 8 % of the height", |pixels| captioned(pixels, 0.08), 100),
    ("a caption, 15 % of the height", |pixels| captioned(pixels, 0.15), 100),
    ("a logo, 10 % of each side", |pixels| with_logo(pixels, 0.1), 100),
    ("a logo, 20 % of each side", |pixels| with_logo(pixels, 0.2), 100),
    ("a pale band across the middle", watermarked, 100),
];

/// Of [`OTHERS`] other scenes, how many are taken for one of the benchmark.
const UNRELATED: usize = 1;

/// The same of [`SCENES`] that differ from one of the benchmark by the colour of the things in it, by their
/// number, or by where they are seen from.
const VARIANTS: [usize; 3] = [31, 3, 6];

fn look(bytes: Vec<u8>) -> Look {
    let image = prepare(bytes, &Fetch::default()).unwrap();
    Look {
        image_id: image.image_id,
        width: image.width,
        height: image.height,
        phash: image.features.phash,
        phash256: image.features.phash256.to_vec(),
        colour_layout: image.features.colour_layout,
        ..Look::default()
    }
}

/// Different scenes, drawn at random.
fn scenes() -> Vec<Scene> {
    let mut rng = Rng::named(11, "benchmark");
    let (mut seen, mut scenes) = (BTreeSet::new(), Vec::new());
    while scenes.len() < SCENES + OTHERS {
        let scene = Scene::random(&mut rng);
        if seen.insert(scene) {
            scenes.push(scene);
        }
    }
    scenes
}

fn draw(scene: &Scene) -> RgbImage {
    scene.render(480, 320)
}

/// The benchmark as its user has it: files in a folder.
fn screen(pictures: &[RgbImage]) -> Screen {
    let root = tempfile::tempdir().unwrap();
    for (nth, picture) in pictures.iter().enumerate() {
        std::fs::write(root.path().join(format!("{nth:03}.jpg")), jpeg(picture, 90)).unwrap();
    }
    let folder = Folder::open("test", root.path()).unwrap();
    let hashed = folder.hash(folder.files(), &Fetch::default());
    let images = hashed.into_iter().map(|one| one.unwrap().listed).collect();
    let benchmark = Benchmark { name: "drawn".into(), images, ..Benchmark::default() };
    Screen::new(&[benchmark], &Decontaminate::default())
}

/// The same scene with another colour or number of things, or seen from elsewhere.
fn variants(scene: &Scene) -> [Scene; 3] {
    let colour = Colour::ALL.iter().copied().find(|colour| *colour != scene.colour).unwrap();
    let view = View::ALL.iter().copied().find(|view| *view != scene.view).unwrap();
    [
        Scene { colour, ..*scene },
        Scene { count: scene.count % 5 + 1, ..*scene },
        Scene { view, ..*scene },
    ]
}

#[test]
fn copies_are_found_and_others_are_not_as_often_as_the_docs_say() {
    let scenes = scenes();
    let (listed, others) = scenes.split_at(SCENES);
    let pictures: Vec<RgbImage> = listed.par_iter().map(draw).collect();
    let screen = screen(&pictures);
    let is_right = |nth: usize, bytes: Vec<u8>| {
        let found = screen.matches(&look(bytes), None);
        found.iter().any(|found| found.file == format!("{nth:03}.jpg"))
    };
    let found = EDITS.map(|(name, edit, _)| {
        let hits = pictures.par_iter().enumerate().filter(|(nth, one)| is_right(*nth, edit(one)));
        (name, hits.count())
    });
    let is_found = |scene: &Scene| !screen.matches(&look(jpeg(&draw(scene), 90)), None).is_empty();
    let unrelated = others.par_iter().filter(|scene| is_found(scene)).count();
    let variants = |kind: usize| {
        let all = listed.par_iter().map(|scene| variants(scene)[kind]);
        all.filter(|scene| !listed.contains(scene) && is_found(scene)).count()
    };
    let expected = EDITS.map(|(name, _, expected)| (name, expected));
    assert_eq!((found, unrelated, [0, 1, 2].map(variants)), (expected, UNRELATED, VARIANTS));
}
