//! Candidates by bands of both similarities, with a few examples of each band.

use std::collections::BTreeMap;

use super::Example;
use super::histogram::{Count, Histogram};
use super::scale::{Scale, thousandths};
use crate::stages::pair::select::Similarity;

/// Bands of a similarity, at most.
const BANDS: usize = 10;

/// Examples of one band.
const EXAMPLES: usize = 3;

/// All bands that have candidates.
#[derive(Debug)]
pub struct Bands {
    /// Steps of visual similarity.
    pub visual: Scale,
    /// Steps of text similarity.
    pub text: Scale,
    bands: BTreeMap<(usize, usize), Band>,
}

/// Candidates that are about as alike.
#[derive(Debug, Default)]
pub struct Band {
    /// How many there are.
    pub count: Count,
    /// Those of the least id, by id.
    pub examples: BTreeMap<String, Example>,
}

impl Bands {
    /// None yet, between the least and the largest values that were counted.
    pub fn over(visual: &Histogram, text: &Histogram) -> Self {
        let scale = |of: &Histogram| of.scale(BANDS).unwrap_or_else(|| Scale::over(0, 1000, BANDS));
        Self { visual: scale(visual), text: scale(text), bands: BTreeMap::new() }
    }

    /// Counts a candidate, and takes it as an example where its id is among the least.
    pub fn add(
        &mut self,
        id: String,
        similarity: Similarity,
        is_kept: bool,
        example: impl FnOnce() -> Example,
    ) {
        let (visual, text) = (thousandths(similarity.visual), thousandths(similarity.text));
        let key = (self.visual.at(visual), self.text.at(text));
        let Band { count, examples } = self.bands.entry(key).or_default();
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
        self.bands.get(&(visual, text))
    }

    /// All with candidates, by visual and then by text similarity.
    pub fn iter(&self) -> impl Iterator<Item = ((usize, usize), &Band)> {
        self.bands.iter().map(|(key, band)| (*key, band))
    }
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
                let mut bands = Bands::over(&Histogram::default(), &Histogram::default());
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
}
