//! Steps that went wrong are skipped; a run that goes wrong ends.

use thiserror::Error;

/// Too many steps in a row had a loss or a gradient that is no finite number.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[error(
    "loss {loss} and gradient norm {norm}: the {in_row}th step in a row without finite numbers"
)]
pub struct NotFinite {
    /// Of the last step.
    pub loss: f64,
    /// Of the last step.
    pub norm: f64,
    /// Steps in a row.
    pub in_row: u32,
}

/// Counts steps without finite numbers. Every rank must show it the same ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    patience: u32,
    in_row: u32,
    skipped: u64,
}

impl Guard {
    /// One that bears `patience` bad steps in a row, and not one more.
    pub fn new(patience: u32) -> Self {
        Self { patience, in_row: 0, skipped: 0 }
    }

    /// Whether a step with this loss and gradient norm may change weights.
    pub fn admit(&mut self, loss: f64, norm: f64) -> Result<bool, NotFinite> {
        if loss.is_finite() && norm.is_finite() {
            self.in_row = 0;
            return Ok(true);
        }
        self.in_row += 1;
        self.skipped += 1;
        if self.in_row > self.patience {
            return Err(NotFinite { loss, norm, in_row: self.in_row });
        }
        Ok(false)
    }

    /// Bad steps so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_steps_are_skipped_until_there_are_too_many_in_a_row() {
        let mut guard = Guard::new(2);
        let steps =
            [(1.0, 1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY), (1.0, 1.0), (1.0, f64::NAN)];
        let admitted = steps.map(|(loss, norm)| guard.admit(loss, norm).unwrap());
        assert_eq!(admitted, [true, false, false, true, false]);
        assert_eq!(guard.admit(f64::NAN, 0.0), Ok(false));
        let error = guard.admit(f64::NEG_INFINITY, 0.5).unwrap_err();
        assert_eq!(error, NotFinite { loss: f64::NEG_INFINITY, norm: 0.5, in_row: 3 });
        assert_eq!(guard.skipped(), 5);
    }
}
