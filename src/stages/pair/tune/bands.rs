//! Candidates by bands of both similarities, with a few examples of each band.

use std::collections::BTreeMap;

use super::Example;
use super::histogram::Count;
use crate::stages::pair::select::Similarity;

/// Bands from 0 to 1; what is below 0 is in the first.
pub const BANDS: usize = 10;

/// Examples of one band.
const EXAMPLES: usize = 3;

/// All bands that have candidates.
#[derive(Debug, Default)]
pub struct Bands(BTreeMap<(usize, usize), Band>);

/// Candidates that are about as alike.
#[derive(Debug, Default)]
pub struct Band {
    /// How many there are.
    pub count: Count,
    /// Those of the least id, by id.
    pub examples: BTreeMap<String, Example>,
}

impl Bands {
    /// Counts a candidate, and takes it as an example where its id is among the least.
    pub fn add(
        &mut self,
        id: String,
        similarity: Similarity,
        is_kept: bool,
        example: impl FnOnce() -> Example,
    ) {
        let key = (band(similarity.visual), band(similarity.text));
        let Band { count, examples } = self.0.entry(key).or_default();
        count.all += 1;
        count.kept += u64::from(is_kept);
        let is_full = examples.len() == EXAMPLES;
        if is_full && examples.last_key_value().is_some_and(|(last, _)| *last <= id) {
            return;
        }
        examples.insert(id, example());
        if examples.len() > EXAMPLES {
            examples.pop_last();
        }
    }

    /// One of them, by its places.
    pub fn get(&self, visual: usize, text: usize) -> Option<&Band> {
        self.0.get(&(visual, text))
    }

    /// All with candidates, by visual and then by text similarity.
    pub fn iter(&self) -> impl Iterator<Item = ((usize, usize), &Band)> {
        self.0.iter().map(|(key, band)| (*key, band))
    }
}

/// Which band a similarity is in.
fn band(similarity: f32) -> usize {
    let band = (f64::from(similarity) * BANDS as f64 + 1e-6).max(0.0) as usize;
    band.min(BANDS - 1)
}

/// A band's bounds in words.
pub fn range(band: usize) -> String {
    format!("{:.1}–{:.1}", band as f64 / BANDS as f64, (band + 1) as f64 / BANDS as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::pair::tune::Shown;

    fn example(n: u32) -> Example {
        let shown = Shown { place: (0, n), url: String::new(), caption: String::new() };
        let similarity = Similarity::default();
        let (query, target) = (shown.clone(), shown);
        Example { similarity, objection: None, page_url: String::new(), query, target }
    }

    #[test]
    fn examples_are_those_of_the_least_ids_in_any_order() {
        let similarity = Similarity { visual: 0.85, text: -0.2 };
        let mut all =
            [vec![7, 3, 9, 1, 5], vec![1, 3, 5, 7, 9], vec![9, 7, 5, 3, 1]].map(|order| {
                let mut bands = Bands::default();
                for n in order {
                    bands.add(n.to_string(), similarity, n % 3 == 0, || example(n));
                }
                bands
            });
        for bands in &mut all {
            let band = bands.get(8, 0).unwrap();
            assert_eq!(band.count, Count { all: 5, kept: 2 });
            assert_eq!(band.examples.keys().collect::<Vec<_>>(), ["1", "3", "5"]);
            assert_eq!(bands.iter().count(), 1);
        }
    }

    #[test]
    fn bands_hold_their_lower_bound() {
        for (value, expected) in [(-1.0, 0), (0.1, 1), (0.799, 7), (0.8, 8), (1.0, 9), (2.0, 9)] {
            assert_eq!(band(value), expected, "{value}");
        }
        assert_eq!(range(8), "0.8–0.9");
    }
}
