//! Domain transfer on ImageNet, as Pic2Word made it, <https://arxiv.org/abs/2302.03084>: photographs of ImageNet
//! as queries, all of ImageNet-R's four domains as the gallery, and the images of the query's class in the
//! asked domain as what is right.
//!
//! Two measures that are not comparable go by the name of recall: whether any is found (the released
//! MagicLens), and how many of them are (Pic2Word). Both are given.

use std::path::Path;
use std::sync::Arc;

use super::files::{LayoutError, by_label, check, labelled};
use super::{Benchmark, Entry, Measure, Need, Query, Task};
use crate::retrieval::pump::Way;

const LISTS: &str = "a list of Pic2Word, from https://github.com/google-research/composed_image_retrieval (data/imgnet)";
const IMAGES: &str = "an image of ImageNet (val) or ImageNet-R, as the lists of Pic2Word name them";

/// In the order of their numbers.
const DOMAINS: [&str; 4] = ["cartoon", "origami", "toy", "sculpture"];
/// What a domain's number is multiplied by.
const CLASSES: usize = 1000;

pub fn read(folder: &Path, need: Need) -> Result<Benchmark, LayoutError> {
    let queries = labelled(folder, "imgnet_real_query.txt", "imgnet/", LISTS)?;
    let targets = labelled(folder, "imgnet_targets.txt", "imgnet/", LISTS)?;
    let gallery: Arc<Vec<Entry>> =
        Arc::new(targets.iter().map(|(entry, _)| entry.clone()).collect());
    if need == Need::Images {
        check(&gallery, IMAGES)?;
        check(&queries.iter().map(|(entry, _)| entry.clone()).collect::<Vec<_>>(), IMAGES)?;
    }
    let by_label = by_label(&targets);
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
