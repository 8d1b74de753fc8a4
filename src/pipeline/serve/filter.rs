//! Finding triplets: one pass over what is held in memory.

use serde::Deserialize;

use crate::pipeline::view::catalogue::{Card, Catalogue};
use crate::record::{Mark, Reviews};

/// Filter of a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// All of these are in the instruction.
    pub words: String,
    /// In the domain.
    pub domain: String,
    /// `train`, `val` or `test`.
    pub split: Option<String>,
    /// Provider and model.
    pub generator: Option<String>,
    /// The page's.
    pub language: Option<String>,
    /// `good`, `bad`, `unsafe`, or `none`.
    pub mark: Option<String>,
    /// `exported` or `left_out`.
    pub fate: Option<String>,
    /// Visual similarity, at least.
    pub visual_min: Option<f32>,
    /// Visual similarity, at most.
    pub visual_max: Option<f32>,
    /// Text similarity, at least.
    pub text_min: Option<f32>,
    /// Text similarity, at most.
    pub text_max: Option<f32>,
    /// Triplets to pass over.
    pub offset: usize,
    /// Triplets to show.
    pub limit: usize,
}

/// Triplets that a filter finds: how many, and those of the page that is asked for.
pub(super) fn find<'a>(
    catalogue: &'a Catalogue,
    reviews: &Reviews,
    filter: &Filter,
) -> (usize, Vec<&'a Card>) {
    let words = filter.words.to_lowercase();
    let words: Vec<&str> = words.split_whitespace().collect();
    let domain = filter.domain.to_lowercase();
    let wanted = Wanted { filter, words, domain, reviews };
    let (mut total, mut page) = (0, Vec::new());
    for card in catalogue.cards().filter(|card| wanted.has(card)) {
        if total >= filter.offset && page.len() < filter.limit {
            page.push(card);
        }
        total += 1;
    }
    (total, page)
}

struct Wanted<'a> {
    filter: &'a Filter,
    words: Vec<&'a str>,
    domain: String,
    reviews: &'a Reviews,
}

impl Wanted<'_> {
    fn has(&self, card: &Card) -> bool {
        let filter = self.filter;
        // What costs least is looked at first.
        is(&filter.split, card.split)
            && between(card.visual, filter.visual_min, filter.visual_max)
            && between(card.text, filter.text_min, filter.text_max)
            && match filter.fate.as_deref() {
                Some("exported") => card.left_out.is_none(),
                Some("left_out") => card.left_out.is_some(),
                _ => true,
            }
            && is(&filter.generator, &card.generator)
            && is(&filter.language, &card.language)
            && (self.domain.is_empty() || card.domain.contains(&self.domain))
            && match filter.mark.as_deref() {
                None | Some("") => true,
                Some(wanted) => self.reviews.mark(&card.id).map_or("none", Mark::as_str) == wanted,
            }
            && self.words.iter().all(|word| card.folded.contains(word))
    }
}

fn is(wanted: &Option<String>, value: &str) -> bool {
    wanted.as_deref().is_none_or(|wanted| wanted.is_empty() || wanted == value)
}

fn between(value: f32, least: Option<f32>, most: Option<f32>) -> bool {
    least.is_none_or(|least| value >= least) && most.is_none_or(|most| value <= most)
}
