//! An exhibit: one thing in one colour at the sign of an emblem, somewhere. The same thing at the
//! same sign is an [`Identity`]; colour and place are what changes between pictures of one.

mod emblem;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::canvas::{Canvas, Rgb};
use super::{Colour, Emblem, Object, Place, Scene, Season, Spot, Time, View};
use super::{finish, object, place, with_article};
use crate::rng::{Rng, hash};

/// What the pictures of one page have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The thing.
    pub object: Object,
    /// What is on the sign beside it.
    pub emblem: Emblem,
}

/// Everything there is to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Exhibit {
    /// The thing and its sign.
    pub identity: Identity,
    /// The colour of the thing.
    pub colour: Colour,
    /// In what kind of place.
    pub place: Place,
    /// In which of them: it moves what stands in the background, and no words say it.
    pub spot: Spot,
}

impl Identity {
    /// All of them, by object.
    pub fn all() -> impl Iterator<Item = Self> {
        let of = |&object| Emblem::ALL.iter().map(move |&emblem| Self { object, emblem });
        Object::ALL.iter().flat_map(of)
    }

    /// Whether the benchmark has it and the training world does not: one emblem of each object.
    ///
    /// Each object and each emblem is in identities of both kinds, so that what is new in the
    /// benchmark is how they go together.
    pub fn is_held_out(&self) -> bool {
        (self.object as usize + self.emblem as usize).is_multiple_of(Emblem::ALL.len())
    }
}

impl Exhibit {
    /// The true text; spots aside, no two exhibits share it.
    pub fn alt(&self) -> String {
        let Identity { object, emblem } = self.identity;
        let mut thing = with_article(&format!("{} {}", self.colour.words(), object.words()));
        thing.replace_range(..1, "A");
        format!("{thing} at the sign of the {} {}", emblem.words(), self.whereabouts())
    }

    /// `on the beach`.
    pub fn whereabouts(&self) -> String {
        let on = if self.place == Place::Beach { "on" } else { "in" };
        format!("{on} the {}", self.place.words())
    }

    /// Draws it, `width` × `height` pixels; best as a square.
    pub fn render(&self, width: u32, height: u32) -> RgbImage {
        let mut canvas = Canvas::new(width, height);
        let scene = self.scene();
        place::draw(&mut canvas, &scene);
        canvas.set_light([1.0; 3]);
        let seed = hash(7, format!("{self:?}").as_bytes());
        let mut rng = Rng::new(seed);
        let foot = 88.0 + rng.between(-3.0, 3.0);
        let right = canvas.width() - 22.0 + rng.between(-2.0, 2.0);
        emblem::sign(&mut canvas, self.identity.emblem, right, foot - 4.0);
        let (left, size) = (34.0 + rng.between(-4.0, 4.0), rng.between(56.0, 64.0));
        canvas.place(left, foot, size);
        canvas.veil(0.0, 0.0, 46.0, 5.0, Rgb(20, 22, 30), 0.35);
        object::draw(&mut canvas, self.identity.object, object::paint(&scene));
        canvas.place_back();
        finish::photograph(&canvas, seed)
    }

    /// The place on a summer's day, with the thing in it.
    pub(crate) fn scene(&self) -> Scene {
        Scene {
            object: self.identity.object,
            colour: self.colour,
            place: self.place,
            spot: self.spot,
            season: Season::Summer,
            time: Time::Day,
            count: 1,
            view: View::Near,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::tests::distance;
    use super::*;

    const KITE: Exhibit = Exhibit {
        identity: Identity { object: Object::Kite, emblem: Emblem::Moon },
        colour: Colour::Orange,
        place: Place::Beach,
        spot: Spot::Inver,
    };

    #[test]
    fn alt_texts_read_well_and_are_unique() {
        assert_eq!(KITE.alt(), "An orange kite at the sign of the moon on the beach");
        let mut seen = BTreeSet::new();
        for identity in Identity::all() {
            for &colour in Colour::ALL {
                let of = |&place| Exhibit { identity, colour, place, ..KITE }.alt();
                seen.extend(Place::ALL.iter().map(of));
            }
        }
        assert_eq!(seen.len(), 14 * 8 * 8 * 8);
    }

    #[test]
    fn a_held_out_identity_is_made_of_seen_parts() {
        let (held, seen): (Vec<_>, Vec<_>) = Identity::all().partition(Identity::is_held_out);
        assert_eq!((held.len(), seen.len()), (14, 98));
        for identity in held {
            let of_object = seen.iter().filter(|other| other.object == identity.object);
            let of_emblem = seen.iter().filter(|other| other.emblem == identity.emblem);
            assert!(of_object.count() >= 7 && of_emblem.count() >= 12, "{identity:?}");
        }
    }

    #[test]
    fn each_attribute_is_seen() {
        let of = |object, emblem| Exhibit { identity: Identity { object, emblem }, ..KITE };
        let mut all = vec![Exhibit { spot: Spot::Ashby, ..KITE }];
        all.extend(Object::ALL.iter().map(|&object| of(object, Emblem::Moon)));
        all.extend(Emblem::ALL.iter().map(|&emblem| of(Object::Kite, emblem)));
        all.extend(Colour::ALL.iter().map(|&colour| Exhibit { colour, ..KITE }));
        all.extend(Place::ALL.iter().map(|&place| Exhibit { place, ..KITE }));
        let first = KITE.render(96, 96);
        for other in all.into_iter().filter(|other| *other != KITE) {
            let distance = distance(&first, &other.render(96, 96));
            assert!(distance > 4.0, "{distance} for {other:?}");
        }
    }

    #[test]
    fn drawing_is_deterministic() {
        assert_eq!(KITE.render(144, 144), KITE.render(144, 144));
    }
}
