//! The arithmetic: what a finished run took, times how much more is wanted.
//!
//! A stage has a unit (a page, an image, a described image, a pair, an instruction, a triplet), and all
//! that it takes is proportional to how many it makes. Stages up to `group` work on all pages and images, so
//! their cost grows with the pages that a triplet takes; the cost of later stages grows with the triplets.
//! docs/cost.md has the formula.

use serde::Serialize;

use crate::config::{Plan as Prices, Price};

const GB: f64 = 1e9;

/// Usage and output of one stage of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Name of the stage.
    pub stage: &'static str,
    /// Unit of the output, in words.
    pub unit: &'static str,
    /// Number of units made.
    pub units: u64,
    /// True for a stage that works on pages and images before triplets are known.
    pub is_upstream: bool,
    /// CPU time in seconds; none where the run has not written it down.
    pub cpu_s: Option<f64>,
    /// The most resident memory in bytes.
    pub peak_bytes: u64,
    /// Requests to sites.
    pub requests: u64,
    /// Bytes received from sites.
    pub received_bytes: u64,
    /// Bytes of the tables it made, rejects included.
    pub stored_bytes: u64,
    /// Calls of a model.
    pub calls: u64,
    /// Tokens that the model read.
    pub tokens_in: u64,
    /// Tokens that the model wrote.
    pub tokens_out: u64,
    /// The model, and its price for a million tokens.
    pub model: Option<(String, Price)>,
}

/// A run as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Run {
    /// Pages that it collected.
    pub pages: u64,
    /// Triplets that it exported.
    pub triplets: u64,
    /// In order.
    pub stages: Vec<Measured>,
}

/// Estimate of one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stage {
    /// Name of the stage.
    pub stage: &'static str,
    /// Unit of the output, in words.
    pub unit: &'static str,
    /// Number of units to make.
    pub units: f64,
    /// Hours of one core; none where the run has not written them down.
    pub core_hours: Option<f64>,
    /// Requests to sites.
    pub requests: f64,
    /// Bytes received from sites.
    pub received_bytes: f64,
    /// Bytes of its tables.
    pub stored_bytes: f64,
    /// Calls of a model.
    pub calls: f64,
    /// Tokens that the model reads.
    pub tokens_in: f64,
    /// Tokens that the model writes.
    pub tokens_out: f64,
    /// Cost of the model.
    pub model_cost: f64,
}

/// Cost by purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Money {
    /// Cores.
    pub compute: f64,
    /// Bytes kept.
    pub storage: f64,
    /// Requests to the object store.
    pub store_requests: f64,
    /// Bytes received.
    pub received: f64,
    /// Models.
    pub models: f64,
    /// All of it.
    pub total: f64,
}

/// Estimate for a number of triplets.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Number of triplets wanted.
    pub target_triplets: f64,
    /// Triplets per page that the estimate assumes.
    pub triplets_per_page: f64,
    /// Pages to collect.
    pub pages: f64,
    /// In order.
    pub stages: Vec<Stage>,
    /// Hours of one core, all stages.
    pub core_hours: f64,
    /// Machines that do it within `plan.hours`.
    pub machines: u64,
    /// Hours that these take.
    pub hours: f64,
    /// Bytes that all tables take.
    pub stored_bytes: f64,
    /// Requests to sites.
    pub requests: f64,
    /// Hosts that must be asked at the same time, all the while, at `http.host_rate`.
    pub hosts_at_once: f64,
    /// Bits a second from sites, on average.
    pub received_bits_per_s: f64,
    /// Requests to the object store that write, and that read.
    pub store_requests: [f64; 2],
    /// In the currency of the prices.
    pub money: Money,
}

/// Values of the run's configuration that the estimate needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    /// Requests a second to one host.
    pub host_rate: f64,
    /// Bytes of a segment of work in progress.
    pub segment_bytes: u64,
}

/// Reads go in pieces of about this size.
const READ_BYTES: f64 = (8_u64 << 20) as f64;

/// Computes the estimate. The run must have at least one triplet.
pub fn estimate(run: &Run, target: f64, prices: &Prices, layout: Layout) -> Estimate {
    let growth = target / run.triplets as f64;
    let measured_yield = run.triplets as f64 / (run.pages as f64).max(1.0);
    let triplets_per_page =
        if prices.triplets_per_page > 0.0 { prices.triplets_per_page } else { measured_yield };
    let upstream = growth * measured_yield / triplets_per_page;
    let stages: Vec<Stage> = run
        .stages
        .iter()
        .map(|stage| stage.times(if stage.is_upstream { upstream } else { growth }))
        .collect();
    let sum = |of: fn(&Stage) -> f64| stages.iter().map(of).sum::<f64>();
    let core_hours = sum(|stage| stage.core_hours.unwrap_or(0.0));
    let (stored_bytes, received) = (sum(|s| s.stored_bytes), sum(|s| s.received_bytes));
    let requests = sum(|stage| stage.requests);
    let per_machine = f64::from(prices.machine_cores) * prices.utilisation;
    let machines = (core_hours / (per_machine * prices.hours)).ceil().max(1.0);
    // Written as a segment and again as a part; read by the stages after it.
    let writes = 2.0 * stored_bytes / (layout.segment_bytes as f64).max(1.0);
    let store_requests = [writes, 2.0 * stored_bytes / READ_BYTES];
    let mut money = Money {
        compute: core_hours / prices.utilisation * prices.core_hour,
        storage: stored_bytes / GB * prices.storage_gb_month * prices.months,
        store_requests: store_requests[0] / 1e3 * prices.put_1000
            + store_requests[1] / 1e3 * prices.get_1000,
        received: received / GB * prices.received_gb,
        models: sum(|stage| stage.model_cost),
        total: 0.0,
    };
    money.total =
        money.compute + money.storage + money.store_requests + money.received + money.models;
    let seconds = prices.hours * 3600.0;
    Estimate {
        target_triplets: target,
        triplets_per_page,
        pages: run.pages as f64 * upstream,
        core_hours,
        machines: machines as u64,
        hours: core_hours / (per_machine * machines),
        stored_bytes,
        requests,
        hosts_at_once: requests / seconds / layout.host_rate,
        received_bits_per_s: received * 8.0 / seconds,
        store_requests,
        money,
        stages,
    }
}

impl Measured {
    fn times(&self, by: f64) -> Stage {
        let (input, output) = (self.tokens_in as f64 * by, self.tokens_out as f64 * by);
        let cost = |price: Price| (input * price.input + output * price.output) / 1e6;
        Stage {
            stage: self.stage,
            unit: self.unit,
            units: self.units as f64 * by,
            core_hours: self.cpu_s.map(|seconds| seconds * by / 3600.0),
            requests: self.requests as f64 * by,
            received_bytes: self.received_bytes as f64 * by,
            stored_bytes: self.stored_bytes as f64 * by,
            calls: self.calls as f64 * by,
            tokens_in: input,
            tokens_out: output,
            model_cost: self.model.as_ref().map_or(0.0, |(_, price)| cost(*price)),
        }
    }
}

/// A number as people write it: `36.7M`, `500k`, `1.5B`, `42`.
pub fn number(text: &str) -> Option<f64> {
    let (digits, factor) = match text.trim().char_indices().last()? {
        (at, 'k' | 'K') => (&text.trim()[..at], 1e3),
        (at, 'm' | 'M') => (&text.trim()[..at], 1e6),
        (at, 'b' | 'B' | 'g' | 'G') => (&text.trim()[..at], 1e9),
        _ => (text.trim(), 1.0),
    };
    let value = digits.parse::<f64>().ok()? * factor;
    Some(value).filter(|value| value.is_finite() && *value >= 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        let price = Price { input: 2.0, output: 10.0 };
        let collect = Measured {
            stage: "collect",
            units: 100,
            is_upstream: true,
            cpu_s: Some(36.0),
            requests: 120,
            received_bytes: 1_000_000,
            stored_bytes: 2_000_000,
            ..Measured::default()
        };
        let describe = Measured {
            stage: "describe",
            units: 200,
            cpu_s: Some(7.2),
            stored_bytes: 1_000_000,
            calls: 200,
            tokens_in: 100_000,
            tokens_out: 10_000,
            model: Some(("m".into(), price)),
            ..Measured::default()
        };
        Run { pages: 100, triplets: 50, stages: vec![collect, describe] }
    }

    const LAYOUT: Layout = Layout { host_rate: 1.0, segment_bytes: 1_000_000 };

    fn prices() -> Prices {
        Prices {
            hours: 10.0,
            machine_cores: 4,
            utilisation: 0.5,
            core_hour: 0.1,
            storage_gb_month: 0.02,
            months: 2.0,
            received_gb: 1.0,
            ..Prices::default()
        }
    }

    #[track_caller]
    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} {expected}");
    }

    #[test]
    fn everything_grows_with_the_triplets() {
        let found = estimate(&run(), 50_000.0, &prices(), LAYOUT);
        near(found.pages, 100_000.0);
        near(found.triplets_per_page, 0.5);
        near(found.core_hours, 12.0);
        // 20 core-hours in 10 hours of one machine.
        assert_eq!(found.machines, 1);
        near(found.hours, 6.0);
        near(found.stored_bytes, 3e9);
        near(found.hosts_at_once, 120_000.0 / 36_000.0);
        near(found.received_bits_per_s, 8e9 / 36_000.0);
        near(found.money.compute, 12.0 / 0.5 * 0.1);
        near(found.money.storage, 3.0 * 0.02 * 2.0);
        near(found.money.received, 1.0);
        near(found.money.models, 200.0 + 100.0);
        near(found.store_requests[0], 6000.0);
    }

    #[test]
    fn a_lower_yield_costs_pages_and_no_models() {
        let prices = Prices { triplets_per_page: 0.05, ..prices() };
        let found = estimate(&run(), 50_000.0, &prices, LAYOUT);
        near(found.pages, 1_000_000.0);
        near(found.core_hours, 102.0);
        near(found.requests, 1_200_000.0);
        near(found.money.models, 300.0);
        assert_eq!(found.machines, 6);
    }

    #[test]
    fn numbers_have_the_letters_that_people_use() {
        for (text, value) in
            [("36.7M", 36_700_000.0), ("500k", 500_000.0), ("1.5B", 1.5e9), ("42", 42.0)]
        {
            near(number(text).unwrap(), value);
        }
        for text in ["", "M", "-3k", "many", "0", "inf"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
