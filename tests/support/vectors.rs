//! Runs whose pairs are compared by vectors, and checks of what they leave.

use std::collections::BTreeMap;
use std::process::Command;

use magiclens::record::{Embedding, Pair};
use magiclens_demo::Options;

use crate::support::run;

/// Options of a small world.
pub fn options() -> Options {
    Options { sites: 2, odd: false, hostile: false, ..Options::default() }
}

/// Adds `--set KEY=VALUE` for each pair.
pub fn set(command: &mut Command, pairs: &[(&str, &str)]) {
    for (key, value) in pairs {
        command.arg("--set").arg(format!("{key}={value}"));
    }
}

/// Runs to the end with exit code 0; returns what was printed.
pub async fn done(command: Command) -> String {
    let output = run(command).await;
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}

/// Dot product.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The most that two dot products of the same unit vectors differ by, whatever the order of addition:
/// each rounding is half an epsilon of the products' absolute values, which add up to 1 at most.
pub fn dot_within(width: usize) -> f32 {
    (width + 1) as f32 * f32::EPSILON
}

/// Every pair's similarities are the cosines of its rows of `embeddings`.
pub fn check_cosines(pairs: &[Pair], embeddings: &[Embedding]) {
    let by_place: BTreeMap<_, _> =
        embeddings.iter().map(|row| ((row.group_id.as_str(), row.position), row)).collect();
    for pair in pairs {
        let of = |position| by_place[&(pair.group_id.as_str(), position)];
        let (query, target) = (of(pair.query_position), of(pair.target_position));
        for (query, target, cosine) in [
            (&query.image, &target.image, pair.visual_similarity),
            (&query.text, &target.text, pair.text_similarity),
        ] {
            let apart = (dot(query, target) - cosine).abs();
            assert!(apart <= dot_within(query.len()), "{apart}: {pair:?}");
        }
    }
}

/// Runs to exit code 3; returns what was said.
pub async fn refused(command: Command) -> String {
    let output = run(command).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    stderr
}
