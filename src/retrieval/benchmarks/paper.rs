//! What others report: MagicLens (arXiv 2403.19651, tables 2 and 3) and BGE-VL (MegaPairs, arXiv 2412.14475).
//! Each row says of which split it is, because a figure of val stands beside none of test.

use super::Name;

/// A model's published figures.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The model.
    pub model: &'static str,
    /// The split.
    pub split: &'static str,
    /// Percent by measure.
    pub figures: &'static [(&'static str, f64)],
}

const MODELS: [&str; 4] =
    ["MagicLens-B (paper)", "MagicLens-L (paper)", "BGE-VL-base (paper)", "BGE-VL-large (paper)"];

/// Published figures of a benchmark.
pub fn rows(name: Name) -> Vec<Row> {
    let row = |(model, (split, figures))| Row { model, split, figures };
    match name {
        Name::Circo => {
            MODELS.into_iter().zip(CIRCO.map(|figures| ("test", figures))).map(row).collect()
        }
        Name::Cirr => {
            MODELS.into_iter().zip(CIRR.map(|figures| ("test1", figures))).map(row).collect()
        }
        Name::Fashioniq => {
            MODELS.into_iter().zip(FASHIONIQ.map(|figures| ("val", figures))).map(row).collect()
        }
        Name::Genecis => {
            MODELS.into_iter().zip(GENECIS.map(|figures| ("val", figures))).map(row).collect()
        }
        Name::Coco => {
            MODELS.into_iter().zip(COCO.map(|figures| ("test", figures))).map(row).collect()
        }
        Name::Flickr30k => {
            MODELS.into_iter().zip(FLICKR.map(|figures| ("test", figures))).map(row).collect()
        }
        Name::Tuberlin => {
            MODELS.into_iter().zip(TUBERLIN.map(|figures| ("test", figures))).map(row).collect()
        }
        // What the paper calls R@10 of DTIN is not said to be which of two measures.
        Name::Dtin | Name::Sketchy | Name::Quickdraw | Name::Holdout => Vec::new(),
    }
}

const CIRCO: [&[(&str, f64)]; 4] = [
    &[("mAP@5", 23.1), ("mAP@10", 23.8), ("mAP@25", 25.8), ("mAP@50", 26.7)],
    &[("mAP@5", 29.6), ("mAP@10", 30.8), ("mAP@25", 33.4), ("mAP@50", 34.4)],
    &[("mAP@5", 34.3)],
    &[("mAP@5", 39.2)],
];
const CIRR: [&[(&str, f64)]; 4] = [
    &[
        ("R@1", 27.0),
        ("R@5", 58.0),
        ("R@10", 70.9),
        ("R@50", 91.1),
        ("Rs@1", 66.7),
        ("Rs@2", 83.9),
        ("Rs@3", 92.4),
    ],
    &[
        ("R@1", 30.1),
        ("R@5", 61.7),
        ("R@10", 74.4),
        ("R@50", 92.6),
        ("Rs@1", 68.1),
        ("Rs@2", 84.8),
        ("Rs@3", 93.2),
    ],
    &[("R@1", 36.1), ("Rs@1", 71.6)],
    &[("R@1", 38.0), ("Rs@1", 73.2)],
];
const FASHIONIQ: [&[(&str, f64)]; 4] = [
    &[("R@10", 26.3), ("R@50", 47.4)],
    &[("R@10", 30.7), ("R@50", 52.5)],
    &[("R@10", 31.9)],
    &[("R@10", 34.6)],
];
const GENECIS: [&[(&str, f64)]; 4] =
    [&[("Rs@1", 15.0)], &[("Rs@1", 16.3)], &[("Rs@1", 18.0)], &[("Rs@1", 18.1)]];
const COCO: [&[(&str, f64)]; 2] = [&[("R@1", 40.1)], &[("R@1", 44.3)]];
const FLICKR: [&[(&str, f64)]; 2] = [&[("R@1", 67.8)], &[("R@1", 72.5)]];
const TUBERLIN: [&[(&str, f64)]; 2] =
    [&[("mAP", 45.9), ("P@100", 57.9)], &[("mAP", 62.9), ("P@100", 73.1)]];
