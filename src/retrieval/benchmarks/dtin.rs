//! Domain transfer on ImageNet, as Pic2Word made it, <https://arxiv.org/abs/2302.03084>: photographs of ImageNet
//! as queries, all of ImageNet-R's four domains as the gallery, and the images of the query's class in the
//! asked domain as what is right.
//!
//! Two measures that are not comparable go by the name of recall: whether any is found (the released
//! MagicLens), and how many of them are (Pic2Word). Both are given.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::files::{LayoutError, check, content, find};
use super::{Benchmark, Entry, Measure, Query, Task};
use crate::retrieval::pump::{Picture, Way};

const LISTS: &str = "a list of Pic2Word, from https://github.com/google-research/composed_image_retrieval (data/imgnet)";
const IMAGES: &str = "an image of ImageNet (val) or ImageNet-R, as the lists of Pic2Word name them";

/// In the order of their numbers.
const DOMAINS: [&str; 4] = ["cartoon", "origami", "toy", "sculpture"];
/// What a domain's number is multiplied by.
const CLASSES: usize = 1000;

pub fn read(folder: &Path, with_images: bool) -> Result<Benchmark, LayoutError> {
    let queries = list(folder, "imgnet_real_query.txt")?;
    let targets = list(folder, "imgnet_targets.txt")?;
    let gallery: Arc<Vec<Entry>> =
        Arc::new(targets.iter().map(|(entry, _)| entry.clone()).collect());
    if with_images {
        check(&gallery, IMAGES)?;
        check(&queries.iter().map(|(entry, _)| entry.clone()).collect::<Vec<_>>(), IMAGES)?;
    }
    let mut by_label: HashMap<usize, Vec<usize>> = HashMap::new();
    for (at, (_, label)) in targets.iter().enumerate() {
        by_label.entry(*label).or_default().push(at);
    }
    let task = |(number, domain): (usize, &str)| {
        let of_query = |(entry, class): &(Entry, usize)| Query {
            id: format!("{} to {domain}", entry.id),
            picture: entry.picture.clone(),
            text: format!("find this object in {domain}"),
            positives: by_label.get(&(number * CLASSES + class)).cloned().unwrap_or_default(),
            ignored: Vec::new(),
            subset: Vec::new(),
        };
        // A class without an image in this domain cannot be asked for.
        let queries = queries.iter().map(of_query).filter(|query| !query.positives.is_empty());
        let queries = queries.collect();
        Task { name: domain.to_owned(), gallery: Arc::clone(&gallery), way: Way::Fused, queries }
    };
    let tasks = DOMAINS.into_iter().enumerate().map(task).collect();
    let ks = [10, 50];
    let measures = ks.map(Measure::Hit).into_iter().chain(ks.map(Measure::Positives)).collect();
    Ok(Benchmark { title: "DTIN", split: "test", tasks, measures, submissions: Vec::new() })
}

/// Lines of a path, whose first folder is `imgnet`, and a label.
fn list(folder: &Path, name: &str) -> Result<Vec<(Entry, usize)>, LayoutError> {
    let path = find(folder, &[name], LISTS)?;
    let text = std::fs::read_to_string(&path)
        .map_err(|error| LayoutError::File { path: path.clone(), error })?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let entry = |(at, line): (usize, &str)| {
        let bad = || content(&path, format!("line {} is no path with a label", at + 1));
        let (image, label) = line.trim().rsplit_once(char::is_whitespace).ok_or_else(bad)?;
        let label = label.parse().map_err(|_| bad())?;
        let id = image.trim().trim_start_matches("./").trim_start_matches("imgnet/").to_owned();
        let picture = Picture::File(folder.join(&id));
        Ok((Entry { id, picture }, label))
    };
    lines.map(entry).collect()
}
