//! The benchmark: exhibits of held-out identities to retrieve from, and composed queries for them.
//!
//! The gallery has every colour in every place of every held-out identity, so each query meets all
//! the distractors there are: its own image, its identity in other colours and places, and other
//! identities in the colour and place that it asks for. An instruction names the change and nothing
//! else, in the words of the miner's templates.

mod wording;
mod write;

use serde::{Deserialize, Serialize};

use crate::relation::Relation;
use crate::rng::Rng;
use crate::scene::{Colour, Exhibit, Identity, Place, Spot};
use wording::Phrase;

/// A composed query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The query image, by its index in the gallery.
    pub image: usize,
    /// The instruction.
    pub text: String,
    /// The target image, by its index in the gallery.
    pub target: usize,
    /// What changes: colour or place.
    pub change: Relation,
}

/// A gallery and the queries for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Benchmark {
    /// What is retrieved from; every query image is in it.
    pub gallery: Vec<Exhibit>,
    /// One for each image of the gallery.
    pub queries: Vec<Query>,
}

impl Benchmark {
    /// Draws the same benchmark for the same seed; seeds differ in changes, wording and spots.
    pub fn generate(seed: u64) -> Self {
        let mut rng = Rng::named(seed, "benchmark");
        let mut gallery = Vec::new();
        for identity in Identity::all().filter(Identity::is_held_out) {
            for &colour in Colour::ALL {
                for &place in Place::ALL {
                    gallery.push(Exhibit { identity, colour, place, spot: rng.pick(Spot::ALL) });
                }
            }
        }
        let queries = (0..gallery.len()).map(|image| query(&gallery, image, &mut rng)).collect();
        Self { gallery, queries }
    }

    /// Other images of the query's identity, the query image aside: they lack the change.
    pub fn of_identity(&self, query: &Query) -> Vec<usize> {
        let identity = self.gallery[query.image].identity;
        self.others(query, |exhibit| exhibit.identity == identity)
    }

    /// Images of other identities that have what the instruction asks for.
    pub fn of_attribute(&self, query: &Query) -> Vec<usize> {
        let (image, target) = (&self.gallery[query.image], &self.gallery[query.target]);
        self.others(query, |exhibit| {
            exhibit.identity != image.identity
                && match query.change {
                    Relation::Colour => exhibit.colour == target.colour,
                    _ => exhibit.place == target.place,
                }
        })
    }

    fn others(&self, query: &Query, is_wanted: impl Fn(&Exhibit) -> bool) -> Vec<usize> {
        let all = self.gallery.iter().enumerate();
        all.filter(|(at, exhibit)| *at != query.image && *at != query.target && is_wanted(exhibit))
            .map(|(at, _)| at)
            .collect()
    }
}

/// Changes the colour or the place of an image of the gallery.
fn query(gallery: &[Exhibit], image: usize, rng: &mut Rng) -> Query {
    let from = gallery[image];
    let change = rng.pick(&[Relation::Colour, Relation::Place]);
    let candidates: Vec<usize> = (0..gallery.len())
        .filter(|&at| {
            let to = gallery[at];
            let same = [to.colour == from.colour, to.place == from.place];
            to.identity == from.identity
                && same == [change == Relation::Place, change == Relation::Colour]
        })
        .collect();
    let target = rng.pick(&candidates);
    let [gone, new] = [image, target].map(|at| phrase(&gallery[at], change));
    let text = wording::instruction(&gone, &new, rng.below(9));
    Query { image, text, target, change }
}

/// The words of an exhibit's alt text that say its colour or place.
fn phrase(exhibit: &Exhibit, change: Relation) -> Phrase {
    match change {
        Relation::Colour => {
            let colour = exhibit.colour.words().to_owned();
            Phrase { whole: colour.clone(), bare: colour }
        }
        _ => Phrase { whole: exhibit.whereabouts(), bare: exhibit.place.words().to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::picture::Subject;
    use crate::scene::{Emblem, Object};
    use crate::world::{Node, Training, World};

    #[test]
    fn the_gallery_has_the_query_image_the_target_and_distractors_of_both_kinds() {
        let benchmark = Benchmark::generate(1);
        assert!(benchmark.gallery.len() >= 500 && benchmark.queries.len() >= 500);
        for query in &benchmark.queries {
            let [image, target] = [query.image, query.target].map(|at| benchmark.gallery[at]);
            assert_eq!(image.identity, target.identity);
            let changed = [image.colour != target.colour, image.place != target.place];
            assert_eq!(
                changed,
                [query.change == Relation::Colour, query.change == Relation::Place]
            );
            let (identity, attribute) =
                (benchmark.of_identity(query), benchmark.of_attribute(query));
            assert!(identity.len() >= 3 && attribute.len() >= 3);
            let both = identity.iter().chain(&attribute);
            assert!(both.clone().all(|at| ![query.image, query.target].contains(at)));
            assert_eq!(both.collect::<BTreeSet<_>>().len(), identity.len() + attribute.len());
            let has_change = |at: &&usize| match query.change {
                Relation::Colour => benchmark.gallery[**at].colour == target.colour,
                _ => benchmark.gallery[**at].place == target.place,
            };
            assert!(attribute.iter().all(|at| has_change(&at)));
        }
    }

    #[test]
    fn one_image_is_the_right_answer() {
        let benchmark = Benchmark::generate(2);
        let key = |exhibit: &Exhibit| (exhibit.identity, exhibit.colour, exhibit.place);
        let keys: BTreeSet<_> = benchmark.gallery.iter().map(key).collect();
        assert_eq!(keys.len(), benchmark.gallery.len());
    }

    #[test]
    fn instructions_name_the_change_and_never_the_thing_or_its_sign() {
        let benchmark = Benchmark::generate(1);
        let mut templates = BTreeSet::new();
        for query in &benchmark.queries {
            let [image, target] = [query.image, query.target].map(|at| benchmark.gallery[at]);
            let has = |word: &str| query.text.split([' ', ',']).any(|other| other == word);
            let known = Object::ALL.iter().map(|object| object.words());
            let mut parts = known.chain(Emblem::ALL.iter().map(|emblem| emblem.words()));
            assert!(!parts.any(has), "{}", query.text);
            let (new, kept) = match query.change {
                Relation::Colour => (target.colour.words(), image.place.words()),
                _ => (target.place.words(), image.colour.words()),
            };
            assert!(has(new) && !has(kept), "{}", query.text);
            let gone = phrase(&image, query.change).bare;
            templates.insert(query.text.replace(new, "{now}").replace(&gone, "{was}"));
        }
        assert!(templates.len() > 9, "{templates:?}");
    }

    #[test]
    fn no_identity_of_the_benchmark_is_in_the_training_world() {
        let held: BTreeSet<Identity> =
            Benchmark::generate(1).gallery.iter().map(|exhibit| exhibit.identity).collect();
        assert_eq!(held.len(), 14);
        let world = World::training(&Training::default());
        let mut shown = BTreeSet::new();
        for picture in world.nodes.values().filter_map(Node::shows) {
            let Subject::Exhibit(exhibit) = picture.subject else { panic!("{picture:?}") };
            shown.insert(exhibit.identity);
        }
        assert!(shown.is_disjoint(&held) && shown.len() == 98);
    }
}
