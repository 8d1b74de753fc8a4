//! What a run needs to go on, beside its tensors: `state` in `state.json`.
//!
//! The order of triplets and everything random are functions of (seed, step), so these two are the
//! position in the data and the state of the generators. <https://www.rfc-editor.org/rfc/rfc8259>

use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainState {
    /// Steps of the optimizer that are done: the next one has this number, counted from 0.
    pub step: u64,
    /// Triplets that were taken so far, over all ranks: the position in the endless stream of data.
    pub triplets: u64,
    /// Seed of the order of triplets and of everything random.
    pub seed: u64,
    /// Fingerprint of the shards: another one means that the order is another one too.
    pub data: String,
    /// The recipe as TOML, with every key.
    pub recipe: String,
    /// sha256 of `recipe`, hex.
    pub recipe_hash: String,
    /// Ranks that trained; another number changes rounding and no more.
    pub world_size: usize,
    /// The best score on validation so far; higher is better.
    pub best_score: Option<f64>,
    /// Seconds of training so far, over all sessions.
    pub seconds: f64,
    /// What was left out or cut so far.
    pub counters: Counters,
    /// Version of the software that wrote it.
    pub software: String,
}

/// What was left out or cut so far, over all ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Triplets with an image that does not decode.
    pub undecodable: u64,
    /// Instructions that were longer than the text tower reads.
    pub cut_texts: u64,
    /// Triplets that stood in a batch with an earlier one of their page, which was to be avoided.
    #[serde(default)]
    pub shared_pages: u64,
    /// Logits that were left out as false negatives.
    pub masked: u64,
    /// Steps without an update because loss or gradients were not finite.
    pub skipped_steps: u64,
}

impl Counters {
    /// Adds those of a step.
    pub fn add(&mut self, step: &Self) {
        self.undecodable += step.undecodable;
        self.cut_texts += step.cut_texts;
        self.shared_pages += step.shared_pages;
        self.masked += step.masked;
        self.skipped_steps += step.skipped_steps;
    }

    /// All of them, as logs name them.
    pub fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("total/undecodable", self.undecodable),
            ("total/cut_texts", self.cut_texts),
            ("total/shared_pages", self.shared_pages),
            ("total/masked", self.masked),
            ("total/skipped_steps", self.skipped_steps),
        ]
    }
}

impl TrainState {
    /// This software, as [`Self::software`] has it.
    pub fn software() -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up() {
        let step =
            Counters { undecodable: 1, cut_texts: 2, shared_pages: 3, masked: 4, skipped_steps: 5 };
        let mut all = Counters::default();
        all.add(&step);
        all.add(&step);
        assert_eq!(all.named().map(|(_, count)| count), [2, 4, 6, 8, 10]);
    }
}
