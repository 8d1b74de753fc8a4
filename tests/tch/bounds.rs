//! The bounds of the unit tests, for numbers that whole programs compute.

use magiclens::model::ModelConfig;

// Unit tests use the rest.
#[allow(dead_code)]
#[path = "../../src/model/tests/bounds.rs"]
mod rules;

pub use rules::{F32, assert_within, guaranteed, likely, roundings, tower_roundings};

/// The unit roundoff of float16, which keeps eleven bits.
pub const F16: f64 = 1.0 / 2048.0;
