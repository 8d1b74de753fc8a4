//! The conformance corpus: every file meets its expected outcome.

use magiclens_common::config::Fetch;
use magiclens_core::Reason;
use magiclens_testing::{conformance, shared};
use serde::Deserialize;

use super::{Bitmap, ImageError, decode_rgb, prepare};

#[derive(Deserialize)]
struct Manifest {
    images: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    file: String,
    expected: String,
}

/// AVIF and TIFF are skipped with a reason whatever a full decoder would make of them.
fn meets(case: &Case, outcome: &Result<(), ImageError>) -> bool {
    let extension = case.file.rsplit('.').next().unwrap_or_default();
    match (case.expected.as_str(), outcome) {
        (_, Err(ImageError::Panicked(_) | ImageError::TimedOut(_))) => false,
        _ if matches!(extension, "avif" | "tif" | "tiff") => {
            outcome.as_ref().is_err_and(|error| error.reason() == Reason::UnsupportedFormat)
        }
        ("decode", outcome) => outcome.is_ok(),
        ("skip", outcome) => outcome.is_err(),
        ("skip_or_decode_no_crash" | "either", _) => true,
        _ => false,
    }
}

#[test]
fn all_files_meet_their_expected_outcome() {
    let Some(folder) = shared("corpora/images") else { return };
    let manifest = std::fs::read(folder.join("manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_slice(&manifest).unwrap();
    let mut mismatches = Vec::new();
    for case in &manifest.images {
        let bytes = std::fs::read(folder.join(&case.file)).unwrap();
        let outcome = prepare(bytes, &Fetch::default()).map(|prepared| {
            let stored = decode_rgb(&prepared.bytes, &Fetch::default()).unwrap();
            assert_eq!(
                (stored.width, stored.height),
                (prepared.stored_width, prepared.stored_height)
            );
            assert!(stored.width.max(stored.height) <= 512);
        });
        if !meets(case, &outcome) {
            mismatches.push(format!("{:60} {:24} {outcome:?}", case.file, case.expected));
        }
    }
    assert!(mismatches.is_empty(), "{} mismatches\n{}", mismatches.len(), mismatches.join("\n"));
    conformance("images", manifest.images.len());
}

/// Mean absolute difference of two bitmaps of one size.
fn difference(a: &Bitmap, b: &Bitmap) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let sum: u64 = a.rgb.iter().zip(&b.rgb).map(|(x, y)| u64::from(x.abs_diff(*y))).sum();
    sum as f64 / a.rgb.len() as f64
}

#[test]
fn every_orientation_comes_out_upright() {
    let Some(folder) = shared("corpora/images") else { return };
    let mut cases = 0;
    for shape in ["Landscape", "Portrait"] {
        let read =
            |n| std::fs::read(folder.join(format!("exif-orientation/{shape}_{n}.jpg"))).unwrap();
        let upright = decode_rgb(&read(1), &Fetch::default()).unwrap();
        let features = prepare(read(1), &Fetch::default()).unwrap().features;
        for n in 2..=8 {
            let bitmap = decode_rgb(&read(n), &Fetch::default()).unwrap();
            let apart = difference(&upright, &bitmap);
            assert!(apart < 4.0, "{shape}_{n}: {apart}");
            let prepared = prepare(read(n), &Fetch::default()).unwrap();
            assert_eq!((prepared.width, prepared.height), (upright.width, upright.height));
            let bits = (features.phash ^ prepared.features.phash).count_ones();
            assert!(bits <= 3, "{shape}_{n}: {bits} bits");
            cases += 1;
        }
    }
    conformance("exif-orientation", cases);
}
