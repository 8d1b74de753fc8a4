//! Which images of a group are a benchmark's, and what becomes of a triplet that shows one.

use std::collections::{BTreeMap, BTreeSet};

use super::{Match, Screen};
use crate::record::{Embedding, GroupImage, Reason, Reject};
use crate::stages::export::compose::Planned;

/// Images of benchmarks that a group shows, by the position that shows them.
pub type Matches = BTreeMap<u32, Vec<Match>>;

/// Looks all images of a group up.
pub fn matches(screen: &Screen, group: &[GroupImage], vectors: &[Embedding]) -> Matches {
    if screen.is_empty() {
        return Matches::new();
    }
    let of = |image: &GroupImage| {
        let vector = vectors.iter().find(|row| row.position == image.position);
        (image.position, screen.matches(&image.look, vector.map(|row| row.image.as_slice())))
    };
    group.iter().map(of).filter(|(_, found)| !found.is_empty()).collect()
}

/// A triplet that shows an image of a benchmark; counts it for each benchmark.
pub fn reject(planned: Planned, found: &[&Match], shown: &mut BTreeMap<String, u64>) -> Reject {
    let benchmarks: BTreeSet<&str> = found.iter().map(|found| found.benchmark.as_str()).collect();
    for benchmark in benchmarks {
        *shown.entry(shows(benchmark)).or_default() += 1;
    }
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    let detail = format!("triplet {} shows {}", planned.triplet_id, found.join("; "));
    let Planned { text, .. } = planned;
    Reject { page_url: text.page_url, ..Reject::new(text.target.url, Reason::Benchmark, detail) }
}

/// What manifests count triplets under that show an image of a benchmark.
pub fn shows(benchmark: &str) -> String {
    format!("triplets that show {benchmark}")
}
