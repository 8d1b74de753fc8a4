//! What the rest of the stage would ask of an endpoint.

use std::collections::HashSet;

use super::Keys;
use crate::config::Config;
use crate::endpoint::{Forecast, IMAGE_TOKENS, StepReplies, Tally, Totals, Usage, cost};
use crate::stages::context::StageError;
use crate::stages::embed::occurrences::Source;
use crate::stages::embed::{Inputs, STAGE};
use crate::store::RunDir;

/// Descriptions that are read at a time.
const BATCH: usize = 200;

/// Calls and tokens, about.
pub async fn forecast(
    config: &Config,
    run: &RunDir,
    inputs: &Inputs,
) -> Result<Forecast, StageError> {
    let embed = &config.embed;
    let (keys, replies) = (Keys::of(embed), StepReplies::new(run.store().scratch(), STAGE));
    let (mut calls, mut input) = (0, 0);
    for at in 0..inputs.descriptions.len().min(inputs.groups.len()) {
        let Some(source) = Source::new(inputs, at) else { continue };
        let (known, mut seen) = (replies.known(source.part)?, HashSet::new());
        let mut is_new = |key: String| !known.has(&key) && seen.insert(key);
        let (mut texts, mut images) = (0_u64, 0_u64);
        let mut rows = source.occurrences(run.store()).await?;
        while let Some(batch) = rows.next(BATCH).await? {
            for row in batch {
                if is_new(keys.text(&row)) {
                    texts += 1;
                    input += row.text.len() as u64 / 4 + 1;
                }
                images += u64::from(keys.has_images && is_new(keys.image(&row)));
            }
        }
        input += images * IMAGE_TOKENS;
        let requests = |inputs: u64, at_once: usize| inputs.div_ceil(at_once.max(1) as u64);
        calls += requests(texts, embed.batch) + requests(images, embed.images.at_once(embed.batch));
    }
    let price = Tally::new(&config.budget, Totals::default()).price(&embed.endpoint.model);
    let cost = cost(price, Usage { input, output: 0 });
    Ok(Forecast { calls, input, output: 0, cost })
}
