//! The training world: many small sites whose pages show one identity each, in several colours and
//! places. Nothing in it is odd: what a miner makes of awkward pages is the other world's matter.
//!
//! Every exhibit is drawn once, and identities that are held out are nowhere in it.

use std::collections::BTreeSet;

use super::doc::{Doc, Figure};
use super::story::robots;
use super::{Node, Planted, World, url};
use crate::picture::{Picture, Subject};
use crate::relation::Relation;
use crate::rng::Rng;
use crate::scene::{Colour, Exhibit, Identity, Place, Spot};

/// Width and height of a picture, in pixels: above the miner's `group.min_side`, and quick to draw.
pub const TRAINING_SIZE: (u32, u32) = (144, 144);

/// How often a picture is drawn by lot before a page does without: exhibits run out at some size.
const TRIES: usize = 40;

/// What to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// Sites: the split of a triplet hangs on its site, so there should be many.
    pub sites: usize,
    /// Pages with pictures on each of them.
    pub pages_per_site: usize,
    /// Pictures on a page: the first, and others that are one change away from it.
    pub pictures: usize,
}

impl Default for Training {
    fn default() -> Self {
        Self { seed: 1, sites: 98, pages_per_site: 12, pictures: 4 }
    }
}

impl Training {
    /// Adds all sites.
    pub(super) fn plant(&self, world: &mut World) {
        let mut maker = Maker::new(self);
        for site in 0..self.sites {
            let host = format!("fair-{:03}.example", site + 1);
            world.put(url(&host, "/robots.txt"), robots("User-agent: *\nDisallow:\n"));
            let mut index = Doc::new(url(&host, "/"), format!("The fair of ground {}", site + 1));
            for page in 0..self.pages_per_site {
                let doc = maker.page(world, &host, page + 1);
                index.link(doc.url.clone(), doc.title.clone());
                world.put_page(doc);
            }
            world.seeds.push(index.url.clone());
            world.put_page(index);
        }
    }
}

/// Draws pages by lot, so that identities come equally often and no exhibit comes twice.
struct Maker {
    rng: Rng,
    pictures: usize,
    /// The identities of the pages to come.
    next: Vec<Identity>,
    drawn: BTreeSet<(Identity, Colour, Place)>,
}

impl Maker {
    fn new(training: &Training) -> Self {
        let rng = Rng::named(training.seed, "training");
        Self { rng, pictures: training.pictures, next: Vec::new(), drawn: BTreeSet::new() }
    }

    fn page(&mut self, world: &mut World, host: &str, number: usize) -> Doc {
        let identity = self.identity();
        let Identity { object, emblem } = identity;
        let title = format!("The {} at the sign of the {}", object.words(), emblem.words());
        let mut doc = Doc::new(url(host, &format!("/stand-{number}.html")), title);
        let shown = self.exhibits(identity);
        for (index, (exhibit, relation)) in shown.iter().enumerate() {
            let at = url(host, &format!("/pictures/{number}-{}.jpg", index + 1));
            world.put(
                at.clone(),
                Node::picture(Picture::new(Subject::Exhibit(*exhibit), TRAINING_SIZE)),
            );
            if let (Some(relation), Some(first)) = (relation, doc.figures().next()) {
                world.planted.push(Planted {
                    page: doc.url.clone(),
                    query: first.url.clone(),
                    target: at.clone(),
                    relation: *relation,
                    phrase: relation.phrase(&exhibit.scene()),
                });
            }
            doc.figure(Figure::bare(at, exhibit.alt()).sized(TRAINING_SIZE.0, TRAINING_SIZE.1));
        }
        doc.link(url(host, "/"), "All stands");
        doc
    }

    /// The identity of the next page: each of those not held out once, then each again.
    fn identity(&mut self) -> Identity {
        if self.next.is_empty() {
            self.next = Identity::all().filter(|identity| !identity.is_held_out()).collect();
            for last in (1..self.next.len()).rev() {
                self.next.swap(last, self.rng.below(last + 1));
            }
        }
        self.next.pop().expect("there are identities that are not held out")
    }

    /// One exhibit, and others of the same identity, each one change away from it.
    fn exhibits(&mut self, identity: Identity) -> Vec<(Exhibit, Option<Relation>)> {
        let lot = |rng: &mut Rng| Exhibit {
            identity,
            colour: rng.pick(Colour::ALL),
            place: rng.pick(Place::ALL),
            spot: rng.pick(Spot::ALL),
        };
        let Some(first) = self.claim(lot) else { return Vec::new() };
        let mut shown = vec![(first, None)];
        let start = self.rng.below(2);
        for step in 1..self.pictures {
            let relation = [Relation::Colour, Relation::Place][(start + step) % 2];
            let changed = |rng: &mut Rng| {
                let other = lot(rng);
                match relation {
                    Relation::Colour => Exhibit { place: first.place, ..other },
                    _ => Exhibit { colour: first.colour, ..other },
                }
            };
            shown.extend(self.claim(changed).map(|exhibit| (exhibit, Some(relation))));
        }
        shown
    }

    /// Takes an exhibit that is nowhere else in the world, if `draw` comes up with one.
    fn claim(&mut self, draw: impl Fn(&mut Rng) -> Exhibit) -> Option<Exhibit> {
        let Self { rng, drawn, .. } = self;
        (0..TRIES)
            .map(|_| draw(rng))
            .find(|exhibit| drawn.insert((exhibit.identity, exhibit.colour, exhibit.place)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn exhibits(world: &World, doc: &Doc) -> Vec<Exhibit> {
        let of = |figure: &Figure| match world.nodes[&figure.url].shows().unwrap().subject {
            Subject::Exhibit(exhibit) => exhibit,
            ref other => panic!("{other:?}"),
        };
        doc.figures().map(of).collect()
    }

    fn pages(world: &World) -> Vec<Vec<Exhibit>> {
        let docs = world.nodes.values().filter_map(Node::doc);
        docs.map(|doc| exhibits(world, doc)).filter(|shown| !shown.is_empty()).collect()
    }

    #[test]
    fn a_page_shows_one_identity_one_change_at_a_time() {
        let pages = pages(&World::training(&Training::default()));
        let pictures: usize = pages.iter().map(Vec::len).sum();
        assert!(pages.len() >= 1170 && pictures >= 4500, "{} {pictures}", pages.len());
        for shown in &pages {
            for other in &shown[1..] {
                assert_eq!(other.identity, shown[0].identity);
                let changed = [other.colour != shown[0].colour, other.place != shown[0].place];
                assert_eq!(changed.iter().filter(|&&is| is).count(), 1, "{shown:?}");
            }
        }
    }

    #[test]
    fn no_exhibit_comes_twice_and_none_is_held_out() {
        let world = World::training(&Training::default());
        let mut seen = BTreeSet::new();
        let mut identities = BTreeMap::new();
        for exhibit in pages(&world).into_iter().flatten() {
            assert!(!exhibit.identity.is_held_out(), "{exhibit:?}");
            assert!(seen.insert(exhibit.alt()), "{exhibit:?}");
            *identities.entry(exhibit.identity).or_insert(0) += 1;
        }
        assert_eq!(identities.len(), 98);
        assert!(identities.values().all(|&number| number >= 40), "{identities:?}");
    }

    #[test]
    fn the_truth_knows_every_page_picture_and_pair() {
        let training = Training { sites: 5, ..Training::default() };
        let world = World::training(&training);
        let truth = world.truth(81);
        assert_eq!(truth.collected().count(), 5 * 13);
        assert_eq!(truth.fetched().count(), world.nodes.values().filter_map(Node::shows).count());
        assert_eq!(truth.pairs.len(), world.planted.len());
        assert!(truth.clusters.is_empty() && truth.page_rejects().is_empty());
        assert_eq!(truth, World::training(&training).truth(81), "the same seed, the same world");
        assert_ne!(truth, World::training(&Training { seed: 2, ..training }).truth(81));
    }
}
