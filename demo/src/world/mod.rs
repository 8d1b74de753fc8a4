//! The world: hosts, what each URL answers, and what should become of it.
//!
//! Which port it is served on is not known before it is served, so absolute URLs carry port 0
//! until then: [`at_port`] fills it in, in pages and in the truth alike.

pub mod doc;
mod languages;
mod node;
mod odd;
mod odd_pages;
mod odd_pictures;
mod story;
mod training;

use std::collections::{BTreeMap, BTreeSet};

use crate::picture::{Edit, Picture};
use crate::relation::Relation;
use crate::scene::Scene;
use crate::truth::Truth;
use doc::Doc;
pub use node::{Body, Node, Reply};
pub use training::{TRAINING_SIZE, Training};

/// The host that most sites keep their images on.
pub const CDN: &str = "img.cdn.example";
/// A host that answers, that pages link to and that is never to be asked: no seed is on it.
pub const OUTSIDE: &str = "outside.example";
/// The site of everything awkward.
pub const ODD: &str = "odd.example";
/// A site whose robots.txt answers 500.
pub const CLOSED: &str = "closed.example";
/// A site whose robots.txt forbids GPTBot and nobody else.
pub const NO_GPT: &str = "no-gpt.example";
/// An ad host.
pub const ADS: &str = "ads.tracker.example";

/// What to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// Sites that tell stories.
    pub sites: usize,
    /// Pages on each of them, at least 4.
    pub pages_per_site: usize,
    /// Whether [`ODD`], [`CLOSED`] and [`NO_GPT`] are there.
    pub odd: bool,
    /// Whether the odd site has what costs a client its time limits or its size caps: drips,
    /// stalls, endless and lying bodies, bombs.
    pub hostile: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, sites: 6, pages_per_site: 12, odd: true, hostile: true }
    }
}

/// What a host's robots.txt says, for the truth; the file itself is a [`Node`].
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Robots {
    /// Nothing is forbidden.
    #[default]
    Open,
    /// Everything is.
    Shut,
    /// What starts with one of these paths is.
    Except(Vec<&'static str>),
}

/// A relation between two images of one page.
#[derive(Clone, Debug)]
pub struct Planted {
    /// The page.
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

/// A generated world. URLs in it carry port 0.
#[derive(Clone, Debug)]
pub struct World {
    /// What it was made from.
    pub options: Options,
    /// Index pages to start from.
    pub seeds: Vec<String>,
    /// What each URL answers; anything else is 404.
    pub nodes: BTreeMap<String, Node>,
    /// Rules by host; no entry is [`Robots::Open`].
    pub robots: BTreeMap<String, Robots>,
    /// Same-host pages that sitemaps list, by host.
    pub sitemaps: BTreeMap<String, Vec<String>>,
    /// URLs that markup mentions and that nobody should ask for.
    pub unseen: BTreeSet<String>,
    /// Relations that were planted.
    pub planted: Vec<Planted>,
    scenes: BTreeSet<Scene>,
}

impl World {
    /// Makes a world; pictures are drawn when they are asked for.
    pub fn generate(options: &Options) -> Self {
        let mut world = Self::empty(options.clone());
        story::plant(&mut world);
        if options.odd {
            odd::plant(&mut world);
        }
        world
    }

    /// Makes a world to train on: nothing odd in it, many pages, each with pictures of one identity.
    pub fn training(training: &Training) -> Self {
        let Training { seed, sites, pages_per_site, .. } = *training;
        let options = Options { seed, sites, pages_per_site, odd: false, hostile: false };
        let mut world = Self::empty(options);
        training.plant(&mut world);
        world
    }

    fn empty(options: Options) -> Self {
        Self {
            options,
            seeds: Vec::new(),
            nodes: BTreeMap::new(),
            robots: BTreeMap::new(),
            sitemaps: BTreeMap::new(),
            unseen: BTreeSet::new(),
            planted: Vec::new(),
            scenes: BTreeSet::new(),
        }
    }

    /// What should become of every URL, once served on `port`.
    pub fn truth(&self, port: u16) -> Truth {
        Truth::of(self, port)
    }

    /// Every host name, sorted.
    pub fn hosts(&self) -> Vec<String> {
        let hosts: BTreeSet<&str> = self.nodes.keys().map(|url| host_of(url)).collect();
        hosts.into_iter().map(String::from).collect()
    }

    /// Adds a URL.
    fn put(&mut self, url: impl Into<String>, node: Node) {
        let url = url.into();
        let old = self.nodes.insert(url.clone(), node);
        debug_assert!(old.is_none(), "{url} was planted twice");
    }

    /// Adds a page at its own URL.
    fn put_page(&mut self, doc: Doc) {
        self.put(doc.url.clone(), Node::page(doc));
    }

    /// Adds a picture, and a smaller file of it that no client needs; returns the latter's URL.
    fn put_with_small(&mut self, url: &str, picture: Picture) -> String {
        let small = format!(
            "{}-small.{}",
            url.rsplit_once('.').map_or(url, |(stem, _)| stem),
            picture.format.extension()
        );
        self.put(small.clone(), Node::picture(picture.edited(Edit::Thumbnail)));
        self.unseen.insert(small.clone());
        self.put(url, Node::picture(picture));
        small
    }

    /// Takes a scene that is nowhere else in the world, if `draw` comes up with one.
    fn claim(&mut self, mut draw: impl FnMut() -> Scene) -> Option<Scene> {
        (0..1000).map(|_| draw()).find(|scene| self.scenes.insert(*scene))
    }
}

/// An absolute URL, port still open.
pub fn url(host: &str, path: &str) -> String {
    format!("http://{host}:0{path}")
}

/// The host of a URL of this world.
pub fn host_of(url: &str) -> &str {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    rest.split([':', '/']).next().unwrap_or(rest)
}

/// The path and query of a URL of this world.
pub fn path_of(url: &str) -> &str {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// `text` with every open port filled in.
pub fn at_port(text: &str, port: u16) -> String {
    text.replace(".example:0/", &format!(".example:{port}/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Subject;

    fn pages(world: &World) -> Vec<Vec<u8>> {
        world.nodes.values().filter_map(Node::doc).map(|doc| doc.to_bytes(81)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let (one, two) =
            (World::generate(&Options::default()), World::generate(&Options::default()));
        assert_eq!(pages(&one), pages(&two));
        assert_eq!(one.truth(81), two.truth(81));
        let pictures = |world: &World| -> Vec<Vec<u8>> {
            let shown = world.nodes.values().filter_map(Node::shows).step_by(40);
            shown.map(|picture| picture.bytes().unwrap()).collect()
        };
        assert_eq!(pictures(&one), pictures(&two));
        let other = World::generate(&Options { seed: 2, ..Options::default() });
        assert_ne!(pages(&one), pages(&other));
    }

    #[test]
    fn everything_that_pages_name_is_there_or_known_to_be_broken() {
        let world = World::generate(&Options::default());
        let truth = world.truth(0);
        for page in truth.collected() {
            let doc = world.nodes[&page.url].doc().unwrap();
            for link in doc.links() {
                let known = world.nodes.contains_key(link)
                    || world.unseen.contains(link)
                    || truth.never_requested.contains(link);
                assert!(known, "{} links to {link}", page.url);
            }
            for image in &page.images {
                let known = world.nodes.contains_key(&image.url)
                    || truth.never_requested.contains(&image.url);
                assert!(known, "{} shows {}", page.url, image.url);
            }
        }
    }

    #[test]
    fn alt_texts_of_stories_are_true_and_unique_to_their_subject() {
        let world = World::generate(&Options { odd: false, ..Options::default() });
        let mut seen: BTreeMap<String, Subject> = BTreeMap::new();
        for figure in world.nodes.values().filter_map(Node::doc).flat_map(Doc::figures) {
            let subject = &world.nodes[&figure.url].shows().unwrap().subject;
            match subject {
                Subject::Scene(scene) => assert_eq!(figure.alt, scene.alt()),
                Subject::Sign(sign) => assert_eq!(figure.alt, sign.alt()),
                Subject::Exhibit(_) => unreachable!("stories show scenes and signs"),
                Subject::Mark(_) => continue,
            }
            let first = seen.entry(figure.alt.clone()).or_insert_with(|| subject.clone());
            assert_eq!(first, subject, "{}", figure.alt);
        }
        assert!(seen.len() > 100);
    }

    #[test]
    fn hosts_and_ports() {
        let world = World::generate(&Options::default());
        assert!(world.hosts().contains(&CDN.to_string()));
        assert_eq!(host_of("http://a.example:0/x"), "a.example");
        assert_eq!(path_of("http://a.example:0/x?y=/z"), "/x?y=/z");
        assert_eq!(at_port("http://a.example:0/x:0/", 81), "http://a.example:81/x:0/");
    }
}
