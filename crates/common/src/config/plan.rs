//! `[plan]`: prices and machines for the estimates of `mine plan`. Nothing else reads them.

use serde::{Deserialize, Serialize};

use super::load::OutOfRange;

/// `[plan]`. Prices are in the currency of `[budget.prices]`; the defaults are round numbers to be replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Hours in which all stages are to be done.
    pub hours: f64,
    /// Cores of a machine, as fast as those that the run was measured on.
    pub machine_cores: u32,
    /// Share of the cores' time that goes into the work, 0 to 1: the rest is waiting and starting.
    pub utilisation: f64,
    /// Price of one core for an hour, with its memory.
    pub core_hour: f64,
    /// Price of a gigabyte (10^9 bytes) stored for a month.
    pub storage_gb_month: f64,
    /// Months for which tables are stored.
    pub months: f64,
    /// Price of a thousand requests to the object store that write.
    pub put_1000: f64,
    /// Price of a thousand requests to the object store that read.
    pub get_1000: f64,
    /// Price of a gigabyte (10^9 bytes) received from sites; most clouds charge none.
    pub received_gb: f64,
    /// Triplets that a page gives; 0 = as in the run that is reckoned from.
    pub triplets_per_page: f64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            hours: 168.0,
            machine_cores: 32,
            utilisation: 0.7,
            core_hour: 0.05,
            storage_gb_month: 0.023,
            months: 3.0,
            put_1000: 0.005,
            get_1000: 0.0004,
            received_gb: 0.0,
            triplets_per_page: 0.0,
        }
    }
}

impl Plan {
    /// Refuses values that no estimate can be made with.
    pub(super) fn check(&self) -> Result<(), OutOfRange> {
        let positive = [("plan.hours", self.hours), ("plan.utilisation", self.utilisation)];
        for (key, value) in positive {
            if !(value > 0.0 && value <= 1e6) {
                return Err(OutOfRange { key, problem: "must be above 0" });
            }
        }
        if self.utilisation > 1.0 {
            return Err(OutOfRange { key: "plan.utilisation", problem: "must be 1 or less" });
        }
        if self.machine_cores == 0 {
            return Err(OutOfRange { key: "plan.machine_cores", problem: "must be 1 or more" });
        }
        let others = [
            ("plan.core_hour", self.core_hour),
            ("plan.storage_gb_month", self.storage_gb_month),
            ("plan.months", self.months),
            ("plan.put_1000", self.put_1000),
            ("plan.get_1000", self.get_1000),
            ("plan.received_gb", self.received_gb),
            ("plan.triplets_per_page", self.triplets_per_page),
        ];
        for (key, value) in others {
            if !(0.0..=1e9).contains(&value) {
                return Err(OutOfRange { key, problem: "must be 0 or more" });
            }
        }
        Ok(())
    }
}
