//! A scene: a handful of attributes that say all there is to see, as words and as pixels.
//!
//! The same attributes give the same picture, and every attribute can be seen, so an alt text is
//! true by construction and the difference of two scenes is a true instruction.

mod canvas;
mod exhibit;
mod finish;
mod interior;
mod object;
mod place;
mod sign;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::rng::{Rng, hash};
use canvas::Canvas;
pub use exhibit::{Exhibit, Identity};
pub use sign::Sign;

macro_rules! attribute {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $words:literal,)* }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $(#[doc = $words] $variant,)*
        }

        impl $name {
            /// All values.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word or phrase of alt texts.
            pub fn words(self) -> &'static str {
                match self { $(Self::$variant => $words,)* }
            }
        }
    };
}

attribute! {
    /// What stands in the scene. The plural is the word and an s.
    Object {
        Boat = "boat",
        House = "house",
        Tree = "tree",
        Car = "car",
        Cup = "cup",
        Cat = "cat",
        Lamp = "lamp",
        Bicycle = "bicycle",
        Bird = "bird",
        Chair = "chair",
        Umbrella = "umbrella",
        Kite = "kite",
        Clock = "clock",
        Tent = "tent",
    }
}

attribute! {
    /// The colour of the object, the same for all of them.
    Colour {
        Red = "red",
        Orange = "orange",
        Yellow = "yellow",
        Green = "green",
        Blue = "blue",
        Purple = "purple",
        White = "white",
        Black = "black",
    }
}

attribute! {
    /// Where it is.
    Place {
        Harbour = "harbour",
        Forest = "forest",
        Street = "street",
        Kitchen = "kitchen",
        Beach = "beach",
        Mountains = "mountains",
        Garden = "garden",
        Desert = "desert",
    }
}

attribute! {
    /// Which of the places of a kind: each has a layout of its own.
    Spot {
        Ashby = "Ashby",
        Brill = "Brill",
        Carrow = "Carrow",
        Dunmore = "Dunmore",
        Eskdale = "Eskdale",
        Fenwick = "Fenwick",
        Garth = "Garth",
        Hartley = "Hartley",
        Inver = "Inver",
        Kelso = "Kelso",
        Lorne = "Lorne",
        Marrow = "Marrow",
        Norby = "Norby",
        Oakley = "Oakley",
        Quill = "Quill",
        Saltby = "Saltby",
        Tansy = "Tansy",
        Weft = "Weft",
    }
}

attribute! {
    /// The season.
    Season {
        Spring = "spring",
        Summer = "summer",
        Autumn = "autumn",
        Winter = "winter",
    }
}

attribute! {
    /// The time of day.
    Time {
        Morning = "morning",
        Day = "day",
        Evening = "evening",
        Night = "night",
    }
}

attribute! {
    /// Where the camera stands.
    View {
        Near = "close up",
        Far = "from afar",
        Inside = "from inside",
    }
}

attribute! {
    /// What is on the sign.
    Emblem {
        Star = "star",
        Cross = "cross",
        Ring = "ring",
        Triangle = "triangle",
        Ladder = "ladder",
        Moon = "moon",
        Arrow = "arrow",
        Chequers = "chequers",
    }
}

/// Most objects (or windows) in a scene.
pub const MAX_COUNT: u8 = 5;

/// Everything there is to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scene {
    /// What stands there.
    pub object: Object,
    /// In which colour.
    pub colour: Colour,
    /// In what kind of place.
    pub place: Place,
    /// In which of them.
    pub spot: Spot,
    /// In which season.
    pub season: Season,
    /// At what time of day.
    pub time: Time,
    /// How many, 1 to [`MAX_COUNT`]; seen from inside a boat or a house: how many windows.
    pub count: u8,
    /// Seen from where.
    pub view: View,
}

impl Scene {
    /// Draws one at random.
    pub fn random(rng: &mut Rng) -> Self {
        Self {
            object: rng.pick(Object::ALL),
            colour: rng.pick(Colour::ALL),
            place: rng.pick(Place::ALL),
            spot: rng.pick(Spot::ALL),
            season: rng.pick(Season::ALL),
            time: rng.pick(Time::ALL),
            count: 1 + rng.below(usize::from(MAX_COUNT)) as u8,
            view: rng.pick(View::ALL),
        }
    }

    /// The true text; no two scenes share it.
    pub fn alt(&self) -> String {
        let (when, ground) = (self.when(), self.whereabouts());
        match self.view {
            View::Near => format!("{} {ground} {when}, close up", self.things()),
            View::Far => format!("{} {ground} {when}, from afar", self.things()),
            View::Inside if self.object.is_entered() => {
                let windows = if self.count == 1 { "window" } else { "windows" };
                let number = NUMBERS[usize::from(self.count) - 1].to_lowercase();
                let thing = format!("{} {}", self.colour.words(), self.object.words());
                let thing = with_article(&thing);
                format!("The inside of {thing} {ground} {when}, with {number} {windows}")
            }
            View::Inside => format!("{} on a table indoors {ground} {when}", self.things()),
        }
    }

    /// `Two red boats`.
    pub fn things(&self) -> String {
        let thing = format!("{} {}", self.colour.words(), self.object.words());
        if self.count == 1 {
            let mut thing = with_article(&thing);
            thing.replace_range(..1, "A");
            thing
        } else {
            format!("{} {thing}s", NUMBERS[usize::from(self.count) - 1])
        }
    }

    /// `in the harbour at Lorne`.
    pub fn whereabouts(&self) -> String {
        let on = if self.place == Place::Beach { "on" } else { "in" };
        format!("{on} the {} at {}", self.place.words(), self.spot.words())
    }

    /// `on a winter evening`.
    pub fn when(&self) -> String {
        format!("on {}", with_article(&format!("{} {}", self.season.words(), self.time.words())))
    }

    /// Draws it, `width` × `height` pixels.
    pub fn render(&self, width: u32, height: u32) -> RgbImage {
        let mut canvas = Canvas::new(width, height);
        self.draw(&mut canvas);
        finish::photograph(&canvas, self.seed("grain"))
    }

    fn draw(&self, canvas: &mut Canvas) {
        place::draw(canvas, self);
        match self.view {
            View::Inside => interior::draw(canvas, self),
            View::Near | View::Far => object::draw_all(canvas, self),
        }
    }

    /// Objects differ between scenes, grain too; the layout belongs to the place and its spot.
    fn seed(&self, part: &str) -> u64 {
        let what = match part {
            "grain" => format!("{self:?}"),
            "place" => format!("{:?} {:?}", self.place, self.spot),
            _ => format!("{:?} {:?} {:?}", self.object, self.place, self.spot),
        };
        hash(hash(0, part.as_bytes()), what.as_bytes())
    }
}

impl Object {
    /// Whether one can be inside of it.
    pub fn is_entered(self) -> bool {
        matches!(self, Self::Boat | Self::House | Self::Car | Self::Tent)
    }
}

const NUMBERS: [&str; MAX_COUNT as usize] = ["One", "Two", "Three", "Four", "Five"];

fn with_article(words: &str) -> String {
    let vowel = words.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {words}", if vowel { "an" } else { "a" })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    pub(crate) const BOAT: Scene = Scene {
        object: Object::Boat,
        colour: Colour::Red,
        place: Place::Harbour,
        spot: Spot::Lorne,
        season: Season::Autumn,
        time: Time::Evening,
        count: 1,
        view: View::Near,
    };

    /// Mean absolute difference of two pictures, in levels of 255.
    pub(crate) fn distance(a: &RgbImage, b: &RgbImage) -> f64 {
        let sum: u64 = a.iter().zip(b.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / a.len() as f64
    }

    #[test]
    fn alt_texts_read_well() {
        assert_eq!(BOAT.alt(), "A red boat in the harbour at Lorne on an autumn evening, close up");
        let inside = Scene { view: View::Inside, count: 2, colour: Colour::Orange, ..BOAT };
        assert_eq!(
            inside.alt(),
            "The inside of an orange boat in the harbour at Lorne on an autumn evening, \
             with two windows"
        );
        let cups = Scene { object: Object::Cup, place: Place::Beach, ..inside };
        assert_eq!(
            cups.alt(),
            "Two orange cups on a table indoors on the beach at Lorne on an autumn evening"
        );
    }

    #[test]
    fn no_two_scenes_share_an_alt_text() {
        let mut rng = Rng::new(5);
        let mut seen = BTreeMap::new();
        for _ in 0..20_000 {
            let scene = Scene::random(&mut rng);
            let other = *seen.entry(scene.alt()).or_insert(scene);
            assert_eq!(other, scene, "{}", scene.alt());
        }
        assert!(seen.len() > 15_000);
    }

    #[test]
    fn drawing_is_deterministic() {
        assert_eq!(BOAT.render(300, 200), BOAT.render(300, 200));
    }

    #[test]
    fn each_attribute_is_seen() {
        let first = BOAT.render(300, 200);
        let others = [
            Scene { object: Object::Car, ..BOAT },
            Scene { colour: Colour::Blue, ..BOAT },
            Scene { place: Place::Forest, ..BOAT },
            Scene { spot: Spot::Tansy, ..BOAT },
            Scene { season: Season::Winter, ..BOAT },
            Scene { time: Time::Day, ..BOAT },
            Scene { count: 3, ..BOAT },
            Scene { view: View::Far, ..BOAT },
            Scene { view: View::Inside, ..BOAT },
        ];
        for other in others {
            let distance = distance(&first, &other.render(300, 200));
            assert!(distance > 4.0, "{distance} for {}", other.alt());
        }
    }

    #[test]
    fn every_value_of_every_attribute_draws_its_own_picture() {
        let mut pictures = Vec::new();
        let mut scenes: Vec<Scene> =
            Object::ALL.iter().map(|&object| Scene { object, ..BOAT }).collect();
        scenes.extend(Colour::ALL[1..].iter().map(|&colour| Scene { colour, ..BOAT }));
        scenes.extend(Place::ALL[1..].iter().map(|&place| Scene { place, ..BOAT }));
        scenes.extend((2..=MAX_COUNT).map(|count| Scene { count, ..BOAT }));
        for scene in scenes {
            let picture = scene.render(180, 120);
            for (other, seen) in &pictures {
                let distance = distance(&picture, seen);
                assert!(distance > 4.0, "{distance} for {scene:?} and {other:?}");
            }
            pictures.push((scene, picture));
        }
    }

    #[test]
    fn no_scene_is_flat() {
        let mut rng = Rng::new(11);
        for _ in 0..40 {
            let scene = Scene::random(&mut rng);
            let picture = scene.render(160, 120);
            let luma = image::imageops::grayscale(&picture);
            let mean = luma.iter().map(|&v| f64::from(v)).sum::<f64>() / luma.len() as f64;
            let variance = luma.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>()
                / luma.len() as f64;
            assert!(variance.sqrt() > 12.0, "{} for {}", variance.sqrt(), scene.alt());
        }
    }
}
