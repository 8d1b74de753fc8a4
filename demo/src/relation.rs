//! How one scene becomes another: exactly one attribute changes, and words say which.

use serde::{Deserialize, Serialize};

use crate::rng::Rng;
use crate::scene::{Colour, MAX_COUNT, Object, Place, Scene, Season, Time, View};

/// The attribute that differs between the two scenes of a planted pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The same in another season.
    Season,
    /// The same at another time of day.
    Time,
    /// More of them, or fewer.
    Count,
    /// The same in another colour.
    Colour,
    /// From nearer, farther or inside.
    View,
    /// The same thing elsewhere.
    Place,
    /// Another thing in the same place.
    Object,
}

impl Relation {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Season,
        Self::Time,
        Self::Count,
        Self::Colour,
        Self::View,
        Self::Place,
        Self::Object,
    ];

    /// Changes the attribute of `scene` to some other value.
    pub fn change(self, scene: Scene, rng: &mut Rng) -> Scene {
        let mut to = scene;
        while to == scene {
            match self {
                Self::Season => to.season = rng.pick(Season::ALL),
                Self::Time => to.time = rng.pick(Time::ALL),
                Self::Count => to.count = 1 + rng.below(usize::from(MAX_COUNT)) as u8,
                Self::Colour => to.colour = rng.pick(Colour::ALL),
                Self::View => to.view = rng.pick(View::ALL),
                Self::Place => to.place = rng.pick(Place::ALL),
                Self::Object => to.object = rng.pick(Object::ALL),
            }
        }
        to
    }

    /// The change in words, as a caption of the second picture: it names what is new only.
    pub fn phrase(self, to: &Scene) -> String {
        let place = to.place.words();
        let thing = to.object.words();
        let same = if to.count == 1 || self.is_windows(to) { "" } else { "s" };
        match self {
            Self::Season => format!("The same {place} in {}", to.season.words()),
            Self::Time => match to.time {
                Time::Day => format!("The same {place} by day"),
                Time::Night => format!("The same {place} at night"),
                time => format!("The same {place} in the {}", time.words()),
            },
            Self::Count if self.is_windows(to) => {
                format!("The same {thing} with {} windows", to.count)
            }
            Self::Count => format!("Now with {} {thing}{same}", to.count),
            Self::Colour => format!("The same {thing}{same} in {}", to.colour.words()),
            Self::View => format!("The same {thing}{same} {}", to.view.words()),
            Self::Place => format!("The same {thing}{same} {}", to.whereabouts()),
            Self::Object => format!("The same {place} with {thing}{same} instead"),
        }
    }

    fn is_windows(self, scene: &Scene) -> bool {
        scene.view == View::Inside && scene.object.is_entered()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_changes_one_attribute_and_has_words() {
        let mut rng = Rng::new(3);
        for _ in 0..50 {
            let from = Scene::random(&mut rng);
            for &relation in Relation::ALL {
                let to = relation.change(from, &mut rng);
                let changed = [
                    from.season != to.season,
                    from.time != to.time,
                    from.count != to.count,
                    from.colour != to.colour,
                    from.view != to.view,
                    from.place != to.place,
                    from.object != to.object,
                ];
                let index = Relation::ALL.iter().position(|&r| r == relation);
                assert_eq!(changed.iter().filter(|&&c| c).count(), 1);
                assert_eq!(changed.iter().position(|&c| c), index);
                assert!(relation.phrase(&to).len() > 10);
            }
        }
    }
}
