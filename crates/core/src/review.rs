//! What a person said of a triplet: a line of `reviews.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The verdict on a triplet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// As it should be.
    Good,
    /// Not worth training on: left out of exports.
    Bad,
    /// Not for everybody's eyes: left out of exports.
    Unsafe,
}

impl Mark {
    /// Every mark there is.
    pub const ALL: [Self; 3] = [Self::Good, Self::Bad, Self::Unsafe];

    /// The name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unsafe => "unsafe",
        }
    }

    /// Whether a triplet with it is exported.
    pub fn is_exported(self) -> bool {
        self == Self::Good
    }
}

/// One verdict; a later one on the same triplet takes its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The triplet.
    pub triplet_id: String,
    /// What is said; none takes back what was said before.
    pub mark: Option<Mark>,
    /// When, UTC, RFC 3339 with microseconds.
    pub time: String,
    /// Who, where anybody gave a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<String>,
}

/// What holds of each triplet that was reviewed, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reviews(BTreeMap<String, Review>);

impl Reviews {
    /// The last word on each triplet, whatever order they come in.
    pub fn of(mut reviews: Vec<Review>) -> Self {
        // Of two in one microsecond, the one further down its file.
        reviews.sort_by(|a, b| a.time.cmp(&b.time));
        let mut last = Self::default();
        reviews.into_iter().for_each(|review| last.add(review));
        last
    }

    /// Adds a later one.
    pub fn add(&mut self, review: Review) {
        match review.mark {
            Some(_) => drop(self.0.insert(review.triplet_id.clone(), review)),
            None => drop(self.0.remove(&review.triplet_id)),
        }
    }

    /// What is said of a triplet.
    pub fn mark(&self, triplet_id: &str) -> Option<Mark> {
        self.0.get(triplet_id)?.mark
    }

    /// How many triplets bear a mark.
    pub fn count(&self, mark: Mark) -> usize {
        self.0.values().filter(|review| review.mark == Some(mark)).count()
    }

    /// The triplets that are not to be exported, by id.
    pub fn left_out(&self) -> BTreeMap<&str, Mark> {
        let of = |review: &Review| review.mark.filter(|mark| !mark.is_exported());
        self.0.values().filter_map(|r| Some((r.triplet_id.as_str(), of(r)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(triplet_id: &str, mark: Option<Mark>, time: &str) -> Review {
        Review { triplet_id: triplet_id.into(), mark, time: time.into(), reviewer: None }
    }

    #[test]
    fn the_last_word_counts_and_may_be_taken_back() {
        let reviews = Reviews::of(vec![
            review("a", Some(Mark::Good), "2026-01-02"),
            review("a", Some(Mark::Bad), "2026-01-01"),
            review("b", Some(Mark::Unsafe), "2026-01-01"),
            review("c", Some(Mark::Bad), "2026-01-01"),
            review("c", None, "2026-01-03"),
            review("d", Some(Mark::Good), "2026-01-01"),
            review("d", Some(Mark::Bad), "2026-01-01"),
        ]);
        assert_eq!(reviews.mark("a"), Some(Mark::Good));
        assert_eq!(reviews.mark("c"), None);
        let left_out: Vec<_> = reviews.left_out().into_iter().collect();
        assert_eq!(left_out, [("b", Mark::Unsafe), ("d", Mark::Bad)]);
        assert_eq!(Mark::ALL.map(|mark| reviews.count(mark)), [1, 1, 1]);
    }

    #[test]
    fn a_line_is_plain_json() {
        let line = r#"{"triplet_id":"a","mark":"unsafe","time":"2026-01-01T00:00:00.000000Z"}"#;
        let read: Review = serde_json::from_str(line).unwrap();
        assert_eq!(read, review("a", Some(Mark::Unsafe), "2026-01-01T00:00:00.000000Z"));
        assert_eq!(serde_json::to_string(&read).unwrap(), line);
        for mark in Mark::ALL {
            assert_eq!(serde_json::to_value(mark).unwrap(), mark.as_str());
        }
    }
}
