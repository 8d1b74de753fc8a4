//! Checks of values: the range of each key, and rules between keys.

use super::{
    Config, DescribeProvider, History, InstructProvider, OutOfRange, Settings, Similarity,
};

impl Config {
    /// A cap on money holds only what has a price.
    fn check_prices(&self) -> Result<(), OutOfRange> {
        let steps = [
            (
                self.describe.provider != DescribeProvider::PageText,
                &self.describe.endpoint.model,
                "has no price for describe.endpoint.model, so budget.max_cost would not hold it",
            ),
            (
                self.pair.similarity == Similarity::Endpoint,
                &self.embed.endpoint.model,
                "has no price for embed.endpoint.model, so budget.max_cost would not hold it",
            ),
            (
                self.instruct.provider != InstructProvider::Template,
                &self.instruct.endpoint.model,
                "has no price for instruct.endpoint.model, so budget.max_cost would not hold it",
            ),
        ];
        for (asks, model, problem) in steps {
            if self.budget.max_cost > 0.0 && asks && !self.budget.prices.contains_key(model) {
                return Err(OutOfRange { key: "budget.prices", problem });
            }
        }
        Ok(())
    }
}

impl Settings for Config {
    const LISTED: &'static str = "`mine config`";
    const HISTORY: &'static History = &History::CURRENT;

    fn check(&self) -> Result<(), OutOfRange> {
        let at_least_one = [
            ("crawl.partitions", self.crawl.partitions as usize),
            ("filter.partitions", self.filter.partitions as usize),
            ("http.concurrency", self.http.concurrency),
            ("http.hosts_in_flight", self.http.hosts_in_flight),
            ("http.host_concurrency", self.http.host_concurrency),
            ("fetch.max_side", self.fetch.max_side as usize),
            ("crawl.max_pages_per_host", self.crawl.max_pages_per_host),
            ("group.min_images", self.group.min_images as usize),
            ("pair.max_pairs", self.pair.max_pairs),
            ("pair.window", self.pair.window),
            ("describe.endpoint.concurrency", self.describe.endpoint.concurrency),
            ("describe.endpoint.max_tokens", self.describe.endpoint.max_tokens as usize),
            ("describe.batch_requests", self.describe.batch_requests),
            ("describe.batch_bytes", self.describe.batch_bytes),
            ("embed.batch", self.embed.batch),
            ("embed.image_bytes", self.embed.image_bytes),
            ("embed.endpoint.concurrency", self.embed.endpoint.concurrency),
            ("instruct.endpoint.concurrency", self.instruct.endpoint.concurrency),
            ("instruct.endpoint.max_tokens", self.instruct.endpoint.max_tokens as usize),
            ("instruct.max_instructions", self.instruct.max_instructions),
            ("instruct.batch_requests", self.instruct.batch_requests),
            ("instruct.batch_bytes", self.instruct.batch_bytes),
            ("store.engine_deadline_s", usize::try_from(self.store.engine_deadline_s).unwrap_or(1)),
            ("store.engine_tries", self.store.engine_tries as usize),
            ("export.gather_bytes", self.export.gather_bytes),
            ("export.shard_bytes", usize::try_from(self.export.shard_bytes).unwrap_or(1)),
        ];
        for (key, value) in at_least_one {
            if value == 0 {
                return Err(OutOfRange { key, problem: "must be 1 or more" });
            }
        }
        let positive = [
            ("http.host_rate", self.http.host_rate),
            ("http.connect_timeout_s", self.http.connect_timeout_s),
            ("http.read_timeout_s", self.http.read_timeout_s),
            ("http.total_timeout_s", self.http.total_timeout_s),
            ("fetch.decode_timeout_s", self.fetch.decode_timeout_s),
            ("describe.endpoint.connect_timeout_s", self.describe.endpoint.connect_timeout_s),
            ("describe.endpoint.request_timeout_s", self.describe.endpoint.request_timeout_s),
            ("describe.endpoint.total_timeout_s", self.describe.endpoint.total_timeout_s),
            ("describe.endpoint.give_up_s", self.describe.endpoint.give_up_s),
            ("embed.endpoint.connect_timeout_s", self.embed.endpoint.connect_timeout_s),
            ("embed.endpoint.request_timeout_s", self.embed.endpoint.request_timeout_s),
            ("embed.endpoint.total_timeout_s", self.embed.endpoint.total_timeout_s),
            ("embed.endpoint.give_up_s", self.embed.endpoint.give_up_s),
            ("instruct.endpoint.connect_timeout_s", self.instruct.endpoint.connect_timeout_s),
            ("instruct.endpoint.request_timeout_s", self.instruct.endpoint.request_timeout_s),
            ("instruct.endpoint.total_timeout_s", self.instruct.endpoint.total_timeout_s),
            ("instruct.endpoint.give_up_s", self.instruct.endpoint.give_up_s),
        ];
        for (key, value) in positive {
            if !(value > 0.0 && value <= 1e6) {
                return Err(OutOfRange { key, problem: "must be above 0" });
            }
        }
        if !(1..=100).contains(&self.fetch.jpeg_quality) {
            let problem = "must be between 1 and 100";
            return Err(OutOfRange { key: "fetch.jpeg_quality", problem });
        }
        if self.group.hash_radius > 6 {
            return Err(OutOfRange { key: "group.hash_radius", problem: "must be 6 or less" });
        }
        self.decontaminate.check()?;
        self.plan.check()?;
        self.check_prices()?;
        let shares = [
            ("run.failure_budget", self.run.failure_budget),
            ("filter.boilerplate_share", self.filter.boilerplate_share),
            ("group.boilerplate_share", self.group.boilerplate_share),
            ("group.max_overlap", self.group.max_overlap),
            ("export.val_share", self.export.val_share),
            ("export.test_share", self.export.test_share),
            (
                "export.val_share + export.test_share",
                self.export.val_share + self.export.test_share,
            ),
        ];
        for (key, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return Err(OutOfRange { key, problem: "must be between 0 and 1" });
            }
        }
        self.pair.bounds(self.embed.images).check()
    }
}
