//! `[decontaminate]`: benchmarks whose images a dataset must not show.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::load::OutOfRange;

/// `[decontaminate]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Decontaminate {
    /// Benchmarks: folders of images, or lists of hashes that `mine hash-images` wrote.
    pub benchmarks: Vec<PathBuf>,
    /// Bits in which one of the 64-bit hashes of two images may differ for the two to be compared.
    pub hash_radius: u32,
    /// Bits of the 256-bit hash in which near-duplicates may differ.
    pub verify_bits: u32,
    /// Levels by which the mean colours of a cell of the 8×8 grid may differ…
    pub verify_colour: u8,
    /// …in all but so many of its 64 cells.
    pub verify_cells: u32,
    /// Factor between the aspect ratios of near-duplicates.
    pub verify_aspect: f64,
    /// Cosine of two images' vectors from which on they are near-duplicates, where a run has vectors.
    pub min_cosine: f64,
}

impl Default for Decontaminate {
    fn default() -> Self {
        Self {
            benchmarks: Vec::new(),
            hash_radius: 6,
            verify_bits: 40,
            verify_colour: 40,
            verify_cells: 16,
            verify_aspect: 1.1,
            min_cosine: 0.95,
        }
    }
}

impl Decontaminate {
    /// Returns true if benchmarks are configured.
    pub fn is_wanted(&self) -> bool {
        !self.benchmarks.is_empty()
    }

    /// Makes paths absolute, so that a run can be resumed in any working directory. The path of a missing
    /// file is unchanged, for the error message.
    pub fn settle(&mut self) {
        for path in &mut self.benchmarks {
            if let Ok(whole) = path.canonicalize() {
                *path = whole;
            }
        }
    }

    /// Refuses thresholds that nothing can reach.
    pub(super) fn check(&self) -> Result<(), OutOfRange> {
        if self.hash_radius > 6 {
            let problem = "must be 6 or less";
            return Err(OutOfRange { key: "decontaminate.hash_radius", problem });
        }
        if self.verify_aspect.is_nan() || self.verify_aspect < 1.0 {
            let problem = "must be 1 or more";
            return Err(OutOfRange { key: "decontaminate.verify_aspect", problem });
        }
        if !(0.0..=1.0).contains(&self.min_cosine) {
            let problem = "must be between 0 and 1";
            return Err(OutOfRange { key: "decontaminate.min_cosine", problem });
        }
        Ok(())
    }
}
