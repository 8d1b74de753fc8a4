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

mod crawl;
mod images;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::picture::{Edit, Subject};
use crate::relation::Relation;
use crate::world::{World, at_port};
use crawl::{Crawl, is_forbidden};

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
        let images = images::judge(world, &collected);
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
    use crate::world::{ODD, Options, host_of};

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
            "bad_url",
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
        assert!((200..=320).contains(&fetched.len()), "{}", fetched.len());
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
