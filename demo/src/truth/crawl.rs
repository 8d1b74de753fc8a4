//! Which pages are collected: a crawl on paper, level by level.

use std::collections::{BTreeMap, BTreeSet};

use super::{PageFate, PageTruth, Shown, count};
use crate::world::doc::Doc;
use crate::world::{Node, Robots, World, host_of, path_of};

const MAX_DEPTH: u32 = 20;
const MAX_URL_LENGTH: usize = 2083;
const MAX_PATH_REPEATS: usize = 3;
const MAX_REDIRECTS: usize = 5;

/// A crawl on paper.
pub struct Crawl<'a> {
    world: &'a World,
    collected: BTreeSet<String>,
    pages: BTreeMap<String, PageFate>,
}

impl<'a> Crawl<'a> {
    /// Nothing is visited yet.
    pub fn new(world: &'a World) -> Self {
        Self { world, collected: BTreeSet::new(), pages: BTreeMap::new() }
    }

    /// Visits level after level; the fate of every page by the URL that was asked for.
    pub fn run(mut self) -> BTreeMap<String, PageFate> {
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

/// Whether robots.txt forbids a URL.
pub fn is_forbidden(world: &World, url: &str) -> bool {
    match world.robots.get(host_of(url)) {
        None | Some(Robots::Open) => false,
        Some(Robots::Shut) => true,
        // The one exception that a longer Allow makes in this world.
        Some(Robots::Except(_)) if path_of(url) == "/private/open.html" => false,
        Some(Robots::Except(paths)) => paths.iter().any(|path| path_of(url).starts_with(path)),
    }
}

/// The answer after redirects, or why there is none.
pub fn resolve<'a>(world: &'a World, url: &str) -> Result<(String, &'a Node), &'static str> {
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
