//! What a question, and a step, will take: for limits and budgets, and before a start.

use super::ask::{Ask, Piece, Usage};

/// Tokens of an image, about: what a 512-pixel image takes with most models.
pub const IMAGE_TOKENS: u64 = 800;

/// What is still to be asked, about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Forecast {
    /// Calls.
    pub calls: u64,
    /// Tokens read.
    pub input: u64,
    /// Tokens written, at most.
    pub output: u64,
    /// In the unit of `budget.prices`, at most.
    pub cost: f64,
}

/// About what a question takes: four bytes a token, and the longest answer.
pub fn estimate(ask: &Ask) -> Usage {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.len() as u64 / 4 + 1,
        Piece::Image { .. } | Piece::Link(_) => IMAGE_TOKENS,
    };
    let input = ask.system.len() as u64 / 4 + 8 + ask.user.iter().map(piece).sum::<u64>();
    Usage { input, output: u64::from(ask.max_tokens) }
}
