//! Which images are fetched: the filters, and then what each URL answers.

use std::collections::{BTreeMap, BTreeSet};

use super::crawl::resolve;
use super::{ImageFate, ImageTruth, PageTruth, count};
use crate::world::doc::Doc;
use crate::world::{World, host_of, path_of};

const MIN_SIDE_HINT: u32 = 64;
const BOILERPLATE_SHARE: f64 = 0.3;
const BOILERPLATE_MIN_PAGES: usize = 10;
const MIN_CANDIDATES: usize = 2;

/// The fate of every image that a collected page shows.
pub fn judge(world: &World, pages: &[&PageTruth]) -> BTreeMap<String, ImageTruth> {
    let mut shown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for page in pages {
        for image in &page.images {
            shown.entry(image.url.clone()).or_default().insert(page.url.clone());
        }
    }
    let sizes = count(pages.iter().map(|page| host_of(&page.url)));
    let filtered: BTreeMap<&str, &'static str> = shown
        .iter()
        .filter_map(|(url, pages)| Some((url.as_str(), filter(world, url, pages, &sizes)?)))
        .collect();
    let survivors = |page: &&&PageTruth| {
        let left = page.images.iter().filter(|image| !filtered.contains_key(image.url.as_str()));
        left.count() >= MIN_CANDIDATES
    };
    let kept: BTreeSet<&str> = pages.iter().filter(survivors).map(|page| &*page.url).collect();
    let fate_of = |url: &str, pages: &BTreeSet<String>| match filtered.get(url) {
        Some(reason) => ImageFate::Filtered((*reason).into()),
        None if !pages.iter().any(|page| kept.contains(page.as_str())) => {
            ImageFate::Filtered("too_few_candidates".into())
        }
        None => fetch(world, url),
    };
    let fates: Vec<ImageFate> = shown.iter().map(|(url, pages)| fate_of(url, pages)).collect();
    let truths = shown.into_iter().zip(fates);
    truths.map(|((url, pages), fate)| (url, ImageTruth { pages, fate })).collect()
}

fn filter(
    world: &World,
    url: &str,
    pages: &BTreeSet<String>,
    sizes: &BTreeMap<&str, usize>,
) -> Option<&'static str> {
    let ad_paths = ["/ads/", "/adserver/", "/banner-ads/", "?ad_id=", "&ad_id="];
    if host_of(url).starts_with("ads.") || ad_paths.iter().any(|part| path_of(url).contains(part)) {
        return Some("ad");
    }
    let docs = pages.iter().filter_map(|page| world.nodes.get(page)?.doc());
    let mut places = docs.flat_map(Doc::figures).filter(|figure| figure.url == url);
    if places.all(|figure| figure.hint.is_some_and(|(w, h)| w.min(h) < MIN_SIDE_HINT)) {
        return Some("small_hint");
    }
    let shares = count(pages.iter().map(|page| host_of(page)));
    let everywhere = shares.into_iter().any(|(host, number)| {
        let size = sizes.get(host).copied().unwrap_or_default();
        size >= BOILERPLATE_MIN_PAGES && number as f64 / size as f64 > BOILERPLATE_SHARE
    });
    everywhere.then_some("boilerplate")
}

fn fetch(world: &World, url: &str) -> ImageFate {
    if !world.nodes.contains_key(url) && host_of(url).parse::<std::net::IpAddr>().is_ok() {
        return ImageFate::NotFetched("forbidden_address".into());
    }
    let node = match resolve(world, url) {
        Ok((_, node)) => node,
        Err(reason) => return ImageFate::NotFetched(reason.into()),
    };
    match (node.reason, node.shows()) {
        (None, Some(picture)) => ImageFate::Fetched {
            subject: picture.subject.clone(),
            edit: picture.edit,
            width: picture.size().0,
            height: picture.size().1,
            format: picture.format.name().into(),
        },
        (reason, _) => ImageFate::NotFetched(reason.unwrap_or("not_image").into()),
    }
}
