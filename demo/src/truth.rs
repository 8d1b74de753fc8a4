//! What should become of every URL under the miner's default configuration.
//!
//! Made from the world's own data, never by running a miner. Where the miner's rules leave room,
//! this is what is assumed:
//!
//! - Seeds are depth 0; a link or a sitemap entry is one deeper. A level is sorted by URL.
//! - Links to other hosts are dropped without a reject. A link that was queued and not collected is
//!   a reject under the URL that was asked for, also for `url_too_long`, `path_repetition` and
//!   `too_deep`.
//! - A link around an image that leads to an image file is a candidate, not a page.
//! - A page that opts out is rejected, and its links are followed unless it says nofollow. Links of
//!   a duplicate need not be followed: they are those of the page it duplicates, or of less.
//! - `duplicate_url`: the final URL, or a canonical one on the same host, was collected at a
//!   shallower depth.
//! - A redirect to a private address is `forbidden_address`, before the scope is looked at.
//! - `data:` URIs are no candidates. A URL that a page shows twice counts once, at its first place.
//! - Images are judged in the order ad, small_hint, boilerplate (over the collected pages of the
//!   page's host), too_few_candidates, and then by what their URL answers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::picture::{Edit, Subject};
use crate::relation::Relation;
use crate::world::doc::Doc;
use crate::world::{Node, Robots, World, at_port, host_of, path_of};

const MAX_DEPTH: u32 = 20;
const MAX_URL_LENGTH: usize = 2083;
const MAX_PATH_REPEATS: usize = 3;
const MAX_REDIRECTS: usize = 5;
const MIN_SIDE_HINT: u32 = 64;
const BOILERPLATE_SHARE: f64 = 0.3;
const BOILERPLATE_MIN_PAGES: usize = 10;
const MIN_CANDIDATES: usize = 2;

/// What should become of the world.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Where to start.
    pub seeds: Vec<String>,
    /// Pages, by the URL that is asked for.
    pub pages: BTreeMap<String, PageFate>,
    /// Images that collected pages show, by URL.
    pub images: BTreeMap<String, ImageTruth>,
    /// URLs that no request is ever made for.
    pub never_requested: BTreeSet<String>,
    /// Fetched images that show the same, two or more each: near-duplicates.
    pub clusters: Vec<Vec<String>>,
    /// Relations between two fetched images of one collected page.
    pub pairs: Vec<Pair>,
}

/// What becomes of a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageFate {
    /// A row of `pages`.
    Collected(PageTruth),
    /// A reject with this reason.
    Rejected(String),
}

/// A page that is collected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageTruth {
    /// The URL that answers, after redirects.
    pub url: String,
    /// Links from a seed.
    pub depth: u32,
    /// The title.
    pub title: String,
    /// The WHATWG name of the encoding.
    pub charset: String,
    /// The candidates in document order, each URL once.
    pub images: Vec<Shown>,
}

/// An image on a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The candidate.
    pub url: String,
    /// Its alt text there.
    pub alt: String,
    /// Its caption there, or nothing.
    pub caption: String,
}

/// An image URL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageTruth {
    /// The collected pages that show it, by their final URL.
    pub pages: BTreeSet<String>,
    /// What becomes of it.
    pub fate: ImageFate,
}

/// What becomes of an image URL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageFate {
    /// Stored.
    Fetched {
        /// What it shows.
        subject: Subject,
        /// What was done to it.
        edit: Edit,
        /// Width in pixels, upright.
        width: u32,
        /// Height in pixels, upright.
        height: u32,
        /// `jpeg`, `png`, `gif` or `webp`.
        format: String,
    },
    /// Turned down by what is known without a request.
    Filtered(String),
    /// Asked for, or stopped at the door by robots.txt or the address rules.
    NotFetched(String),
}

/// Two images that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The page that shows both.
    pub page: String,
    /// The first image.
    pub query: String,
    /// The second.
    pub target: String,
    /// What differs.
    pub relation: Relation,
    /// In words.
    pub phrase: String,
}

impl Truth {
    /// The truth about `world`, served on `port`.
    pub fn of(world: &World, port: u16) -> Self {
        let pages = Crawl::new(world).run();
        let collected: Vec<&PageTruth> = pages.values().filter_map(PageFate::collected).collect();
        let images = judge_images(world, &collected);
        let pairs = pairs(world, &collected, &images);
        let clusters = clusters(&images);
        let never_requested = never_requested(world, &pages, &images);
        let seeds = world.seeds.clone();
        Self { seeds, pages, images, never_requested, clusters, pairs }.on_port(port)
    }

    /// The pages that are collected.
    pub fn collected(&self) -> impl Iterator<Item = &PageTruth> {
        self.pages.values().filter_map(PageFate::collected)
    }

    /// The URLs of the images that are fetched.
    pub fn fetched(&self) -> impl Iterator<Item = &str> {
        let fetched = |image: &ImageTruth| matches!(image.fate, ImageFate::Fetched { .. });
        self.images.iter().filter(move |(_, image)| fetched(image)).map(|(url, _)| url.as_str())
    }

    /// How many pages are rejected, by reason.
    pub fn page_rejects(&self) -> BTreeMap<&str, usize> {
        count(self.pages.values().filter_map(|fate| match fate {
            PageFate::Rejected(reason) => Some(reason.as_str()),
            PageFate::Collected(_) => None,
        }))
    }

    /// How many image URLs are rejected, by reason.
    pub fn image_rejects(&self) -> BTreeMap<&str, usize> {
        count(self.images.values().filter_map(|image| match &image.fate {
            ImageFate::Filtered(reason) | ImageFate::NotFetched(reason) => Some(reason.as_str()),
            ImageFate::Fetched { .. } => None,
        }))
    }

    fn on_port(self, port: u16) -> Self {
        let json = serde_json::to_string(&self).expect("strings and numbers only");
        serde_json::from_str(&at_port(&json, port)).expect("a port changes no syntax")
    }
}

fn count<'a>(reasons: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    reasons.fold(BTreeMap::new(), |mut counts, reason| {
        *counts.entry(reason).or_default() += 1;
        counts
    })
}

impl PageFate {
    fn collected(&self) -> Option<&PageTruth> {
        match self {
            Self::Collected(page) => Some(page),
            Self::Rejected(_) => None,
        }
    }
}

/// A crawl on paper.
struct Crawl<'a> {
    world: &'a World,
    collected: BTreeSet<String>,
    pages: BTreeMap<String, PageFate>,
}

impl<'a> Crawl<'a> {
    fn new(world: &'a World) -> Self {
        Self { world, collected: BTreeSet::new(), pages: BTreeMap::new() }
    }

    fn run(mut self) -> BTreeMap<String, PageFate> {
        let mut level: BTreeSet<String> = self.world.seeds.iter().cloned().collect();
        let mut depth = 0;
        while !level.is_empty() {
            let mut next = BTreeSet::new();
            for url in &level {
                let (fate, links) = self.visit(url, depth);
                self.pages.insert(url.clone(), fate);
                next.extend(links);
            }
            if depth == 0 {
                next.extend(self.world.sitemaps.values().flatten().cloned());
            }
            level = next.into_iter().filter(|url| !self.pages.contains_key(url)).collect();
            depth += 1;
        }
        self.pages
    }

    fn visit(&mut self, url: &str, depth: u32) -> (PageFate, Vec<String>) {
        let rejected = |reason: &str| (PageFate::Rejected(reason.into()), Vec::new());
        if let Some(reason) = refused(self.world, url, depth) {
            return rejected(reason);
        }
        let node = match resolve(self.world, url) {
            Ok((_, node)) => node,
            Err(reason) => return rejected(reason),
        };
        let Some(doc) = node.doc() else { return rejected(node.reason.unwrap_or("not_html")) };
        let host = host_of(&doc.url);
        let links = doc.links().filter(|link| node.follow && host_of(link) == host);
        let links = links.map(String::from).collect();
        if let Some(reason) = node.reason {
            return (PageFate::Rejected(reason.into()), links);
        }
        let canonical = doc.canonical.as_ref().filter(|canonical| **canonical != doc.url);
        if canonical.is_some_and(|canonical| self.collected.contains(canonical))
            || !self.collected.insert(doc.url.clone())
        {
            return rejected("duplicate_url");
        }
        (PageFate::Collected(describe(doc, depth)), links)
    }
}

/// Why a page is never asked for.
fn refused(world: &World, url: &str, depth: u32) -> Option<&'static str> {
    let segments = path_of(url).split('?').next().unwrap_or_default().split('/');
    let repeats = count(segments.filter(|segment| !segment.is_empty()));
    if url.len() > MAX_URL_LENGTH {
        Some("url_too_long")
    } else if repeats.values().any(|&number| number > MAX_PATH_REPEATS) {
        Some("path_repetition")
    } else if depth > MAX_DEPTH {
        Some("too_deep")
    } else if is_forbidden(world, url) {
        Some("robots_txt")
    } else {
        None
    }
}

fn is_forbidden(world: &World, url: &str) -> bool {
    match world.robots.get(host_of(url)) {
        None | Some(Robots::Open) => false,
        Some(Robots::Shut) => true,
        // The one exception that a longer Allow makes in this world.
        Some(Robots::Except(_)) if path_of(url) == "/private/open.html" => false,
        Some(Robots::Except(paths)) => paths.iter().any(|path| path_of(url).starts_with(path)),
    }
}

/// The answer after redirects, or why there is none.
fn resolve<'a>(world: &'a World, url: &str) -> Result<(String, &'a Node), &'static str> {
    let mut at = url.to_string();
    for _ in 0..=MAX_REDIRECTS {
        let node = world.nodes.get(&at).ok_or("http_client_error")?;
        match (&node.redirect, node.reason) {
            (Some(_), Some(reason)) => return Err(reason),
            (Some(to), None) => at = to.clone(),
            (None, _) => return Ok((at, node)),
        }
    }
    Err("bad_redirect")
}

fn describe(doc: &Doc, depth: u32) -> PageTruth {
    let mut seen = BTreeSet::new();
    let images = doc.figures().filter(|figure| seen.insert(figure.url.clone()));
    let images = images.map(|figure| Shown {
        url: figure.url.clone(),
        alt: figure.alt.clone(),
        caption: figure.caption.clone().unwrap_or_default(),
    });
    PageTruth {
        url: doc.url.clone(),
        depth,
        title: doc.title.clone(),
        charset: doc.charset.name().into(),
        images: images.collect(),
    }
}

fn judge_images(world: &World, pages: &[&PageTruth]) -> BTreeMap<String, ImageTruth> {
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
    let judge = |url: &str, pages: &BTreeSet<String>| match filtered.get(url) {
        Some(reason) => ImageFate::Filtered((*reason).into()),
        None if !pages.iter().any(|page| kept.contains(page.as_str())) => {
            ImageFate::Filtered("too_few_candidates".into())
        }
        None => fetch(world, url),
    };
    let fates: Vec<ImageFate> = shown.iter().map(|(url, pages)| judge(url, pages)).collect();
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

fn clusters(images: &BTreeMap<String, ImageTruth>) -> Vec<Vec<String>> {
    let mut by_subject: BTreeMap<&Subject, Vec<String>> = BTreeMap::new();
    for (url, image) in images {
        if let ImageFate::Fetched { subject, .. } = &image.fate {
            by_subject.entry(subject).or_default().push(url.clone());
        }
    }
    by_subject.into_values().filter(|urls| urls.len() > 1).collect()
}

fn pairs(
    world: &World,
    collected: &[&PageTruth],
    images: &BTreeMap<String, ImageTruth>,
) -> Vec<Pair> {
    let pages: BTreeSet<&str> = collected.iter().map(|page| page.url.as_str()).collect();
    let fetched = |url: &String| {
        images.get(url).is_some_and(|image| matches!(image.fate, ImageFate::Fetched { .. }))
    };
    let planted = world.planted.iter().filter(|pair| {
        pages.contains(pair.page.as_str()) && fetched(&pair.query) && fetched(&pair.target)
    });
    planted
        .map(|pair| Pair {
            page: pair.page.clone(),
            query: pair.query.clone(),
            target: pair.target.clone(),
            relation: pair.relation,
            phrase: pair.phrase.clone(),
        })
        .collect()
}

fn never_requested(
    world: &World,
    pages: &BTreeMap<String, PageFate>,
    images: &BTreeMap<String, ImageTruth>,
) -> BTreeSet<String> {
    let mut never = world.unseen.clone();
    never.extend(pages.keys().filter(|url| is_forbidden(world, url)).cloned());
    for (url, fate) in pages {
        let unasked = ["url_too_long", "path_repetition", "too_deep"];
        if matches!(fate, PageFate::Rejected(reason) if unasked.contains(&reason.as_str())) {
            never.insert(url.clone());
        }
    }
    for (url, image) in images {
        let direct = !world.nodes.contains_key(url);
        let stopped = match &image.fate {
            ImageFate::Filtered(_) => true,
            ImageFate::NotFetched(reason) => direct && reason == "forbidden_address",
            ImageFate::Fetched { .. } => false,
        };
        if stopped || is_forbidden(world, url) {
            never.insert(url.clone());
        }
    }
    never
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{ODD, Options};

    fn truth() -> (World, Truth) {
        let world = World::generate(&Options::default());
        let truth = world.truth(81);
        (world, truth)
    }

    #[test]
    fn story_sites_are_collected_in_full() {
        let options = Options { odd: false, sites: 3, ..Options::default() };
        let truth = World::generate(&options).truth(81);
        assert_eq!(truth.collected().count(), 3 * 12);
        // On each site: one draft, and the first article of both sections under a tracking URL.
        let expected = BTreeMap::from([("duplicate_url", 6), ("robots_txt", 3)]);
        assert_eq!(truth.page_rejects(), expected);
        assert!(truth.collected().any(|page| page.depth >= 3));
    }

    #[test]
    fn furniture_and_ads_are_filtered() {
        let options = Options { odd: false, sites: 2, ..Options::default() };
        let truth = World::generate(&options).truth(81);
        let rejects = truth.image_rejects();
        assert_eq!(rejects["boilerplate"], 2, "one logo a site");
        assert_eq!(rejects["small_hint"], 4, "a spacer and an icon a site");
        assert_eq!(
            rejects.keys().copied().collect::<Vec<_>>(),
            ["ad", "boilerplate", "small_hint"]
        );
    }

    #[test]
    fn small_sites_have_no_boilerplate() {
        let options = Options { odd: false, sites: 1, pages_per_site: 9, ..Options::default() };
        let truth = World::generate(&options).truth(81);
        assert!(!truth.image_rejects().contains_key("boilerplate"));
        assert!(truth.fetched().any(|url| url.ends_with("/static/logo.png")));
    }

    #[test]
    fn every_reason_that_is_planted_is_expected() {
        let (_, truth) = truth();
        let pages: Vec<&str> = truth.page_rejects().into_keys().collect();
        let all = [
            "bad_redirect",
            "body_broken",
            "body_too_large",
            "duplicate_url",
            "forbidden_address",
            "http_client_error",
            "http_server_error",
            "noai",
            "noimageai",
            "noimageindex",
            "noindex",
            "not_html",
            "other_host",
            "out_of_scope",
            "path_repetition",
            "robots_txt",
            "tdm_reservation",
            "timeout",
            "too_deep",
            "url_too_long",
        ];
        assert_eq!(pages, all);
        let images: Vec<&str> = truth.image_rejects().into_keys().collect();
        let all = [
            "ad",
            "bad_redirect",
            "body_broken",
            "body_too_large",
            "boilerplate",
            "decode_error",
            "forbidden_address",
            "http_client_error",
            "http_server_error",
            "noai",
            "noimageai",
            "not_image",
            "robots_txt",
            "small_hint",
            "tdm_reservation",
            "timeout",
            "too_few_candidates",
            "too_many_pixels",
            "unsupported_format",
        ];
        assert_eq!(images, all);
    }

    #[test]
    fn the_quick_world_costs_no_time_limits() {
        let truth = World::generate(&Options { hostile: false, ..Options::default() }).truth(81);
        for slow in ["timeout", "body_too_large", "body_broken"] {
            assert!(!truth.page_rejects().contains_key(slow));
            assert!(!truth.image_rejects().contains_key(slow));
        }
        assert!(truth.page_rejects().contains_key("http_server_error"));
    }

    #[test]
    fn what_is_never_requested_is_not_expected_either() {
        let (_, truth) = truth();
        let fetched: BTreeSet<&str> = truth.fetched().collect();
        let collected: BTreeSet<&str> = truth.collected().map(|page| page.url.as_str()).collect();
        for url in &truth.never_requested {
            assert!(!fetched.contains(url.as_str()), "{url}");
            assert!(!collected.contains(url.as_str()), "{url}");
        }
        let hidden = format!("http://{ODD}:81/opt-outs/behind-4.html");
        assert!(truth.never_requested.contains(&hidden), "it lies behind `none`");
        let found = format!("http://{ODD}:81/opt-outs/behind-0.html");
        assert!(collected.contains(found.as_str()), "it lies behind `noindex`");
    }

    #[test]
    fn depths_and_traps() {
        let (_, truth) = truth();
        let fate = |path: &str| &truth.pages[&format!("http://{ODD}:81{path}")];
        let depth = |path: &str| fate(path).collected().unwrap().depth;
        assert_eq!(depth("/"), 0);
        assert_eq!(depth("/unlinked/3.html"), 1);
        assert_eq!(depth("/deep/19"), 20);
        assert_eq!(*fate("/deep/20"), PageFate::Rejected("too_deep".into()));
        assert_eq!(depth("/calendar/a/a/a"), 4);
        assert_eq!(*fate("/calendar/a/a/a/a"), PageFate::Rejected("path_repetition".into()));
        let end = fate("/redirects/1").collected().unwrap();
        assert_eq!(end.url, format!("http://{ODD}:81/redirects/end"));
    }

    #[test]
    fn robots_rules_and_expected_reasons_agree() {
        let (world, _) = truth();
        let truth = world.truth(0);
        for (url, image) in truth.images.iter().filter(|(url, _)| is_forbidden(&world, url)) {
            assert_eq!(image.fate, ImageFate::NotFetched("robots_txt".into()), "{url}");
        }
    }

    #[test]
    fn clusters_and_pairs_are_of_fetched_images() {
        let (_, truth) = truth();
        let fetched: BTreeSet<&str> = truth.fetched().collect();
        assert!((150..=300).contains(&fetched.len()), "{}", fetched.len());
        assert!(truth.clusters.len() > 6);
        assert!(truth.clusters.iter().flatten().all(|url| fetched.contains(url.as_str())));
        assert!(truth.clusters.iter().any(|urls| host_of(&urls[0]) != host_of(&urls[1])));
        assert!(truth.pairs.len() > 100);
        for pair in &truth.pairs {
            let shows = |url: &str| truth.images[url].pages.contains(&pair.page);
            assert!(shows(&pair.query) && shows(&pair.target) && pair.query != pair.target);
            let together =
                |urls: &Vec<String>| urls.contains(&pair.query) && urls.contains(&pair.target);
            assert!(!truth.clusters.iter().any(together), "a change is no duplicate");
        }
    }

    #[test]
    fn one_image_url_is_on_two_sites() {
        let (_, truth) = truth();
        let sites = |image: &ImageTruth| {
            image.pages.iter().map(|page| host_of(page).to_string()).collect::<BTreeSet<_>>().len()
        };
        assert!(truth.images.values().any(|image| sites(image) > 1));
    }
}
