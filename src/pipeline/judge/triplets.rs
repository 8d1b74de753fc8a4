//! Triplets of a run, drawn by chance, one at a time: are they what they should be?

use super::subject::{Item, Pictures, Subject};
use crate::pipeline::RunError;
use crate::pipeline::view::Viewed;
use crate::pipeline::view::catalogue::{Card, Cards, Smallest};
use crate::table::TRIPLET_PLAN;

/// Draws `sample` exported triplets, always the same ones.
pub(super) async fn read(viewed: &Viewed, sample: usize) -> Result<Subject, RunError> {
    let mut cards = Cards::new(&viewed.dir).await?;
    let mut drawn = Smallest::new(sample);
    for part in viewed.dir.manifests(TRIPLET_PLAN).await? {
        let see = |card: Card| {
            if card.left_out.is_none() {
                drawn.offer(card.lot(), || card);
            }
            true
        };
        cards.each(viewed.dir.store(), &part, see).await?;
    }
    let item = |card: Card| Item {
        id: card.id.to_string(),
        query: card.query.place.into(),
        target: Some(card.target.place.into()),
        instruction: Some(card.instruction.into()),
        sides: Vec::new(),
        is_swapped: false,
    };
    Ok(Subject {
        question: "Does the instruction lead from the first image to the second?",
        names: None,
        items: drawn.into_vec().into_iter().map(item).collect(),
        passed_over: Vec::new(),
        pictures: Pictures::of(&viewed.dir).await?,
    })
}
