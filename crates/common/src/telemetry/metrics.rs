//! All metrics, each with its name, unit and help, and their text format.
//!
//! The text is OpenMetrics 1.0 (<https://prometheus.io/docs/specs/om/open_metrics_spec/>), which Prometheus
//! reads. Counters get the suffix `_total`, units are base units and end the name. Values are read when
//! they are asked for: nothing is counted here a second time.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// Kind of a metric: a counter only grows, a gauge may fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// One metric.
#[derive(Debug, PartialEq)]
pub struct Metric {
    name: &'static str,
    unit: Option<&'static str>,
    kind: Kind,
    help: &'static str,
}

/// A value of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Of which.
    pub metric: &'static Metric,
    /// Names and values of labels.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

macro_rules! metrics {
    ($($id:ident = $kind:ident $name:literal $($unit:literal)?, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $id: Metric =
                Metric { name: $name, unit: metrics!(@unit $($unit)?), kind: Kind::$kind, help: $help };
        )*

        /// All of them, in the order in which they are written.
        pub static ALL: &[&Metric] = &[$(&$id,)*];
    };
    (@unit $unit:literal) => { Some($unit) };
    (@unit) => { None };
}

metrics! {
    BUILD = Gauge "magiclens_build_info", "Version of the program; always 1";
    STAGE_RUNNING = Gauge "magiclens_stage_running", "Whether a stage runs now, 1 or 0";
    STAGE_KNOWN = Gauge "magiclens_stage_known_records", "Records that the running stage knows it has to work on";
    STAGE_DONE = Gauge "magiclens_stage_done_records", "Records that the running stage is done with, in this process";
    RECORDS = Counter "magiclens_records", "Committed records of the making of a table by outcome (in, out, rejected, failed), of all processes of a run";
    REJECTS = Counter "magiclens_rejects", "Records that were not passed on, by stage, table and reason, of all processes of a run";
    PENDING = Gauge "magiclens_pending_records", "Records of a table that are kept as work in progress and not committed yet";
    TABLE_BYTES = Gauge "magiclens_table_size" "bytes", "Bytes of a table's committed files";
    HTTP_REQUESTS = Counter "magiclens_http_requests", "Requests to sites by class of status (1xx to 5xx; none where no answer came), of this process; robots.txt, redirects and retries included";
    HTTP_IN_FLIGHT = Gauge "magiclens_http_in_flight_requests", "Requests to sites that wait for their answer";
    HTTP_RECEIVED = Counter "magiclens_http_received" "bytes", "Bytes of bodies from sites, as they came over the network, of this process";
    MODEL_CALLS = Counter "magiclens_model_calls", "Calls of models that were answered, by step, of all processes of a run";
    MODEL_TOKENS = Counter "magiclens_model_tokens", "Tokens that models read (in) and wrote (out), by step, of all processes of a run";
    MODEL_COST = Counter "magiclens_model_cost", "What models cost, in the currency of budget.prices, by step, of all processes of a run";
    QUEUE_DEPTH = Gauge "magiclens_queue_depth", "What waits in a queue or is in work: bodies for a core, hosts, tasks on cores";
    QUEUE_CAPACITY = Gauge "magiclens_queue_capacity", "How much fits into the same queue before others wait";
    PROCESS_CPU = Counter "process_cpu" "seconds", "User and system CPU time of this process";
    PROCESS_MEMORY = Gauge "process_resident_memory" "bytes", "Resident memory of this process";
}

impl Metric {
    /// A value with its labels.
    pub fn with<const N: usize>(
        &'static self,
        labels: [(&'static str, &str); N],
        value: f64,
    ) -> Sample {
        let labels = labels.map(|(name, value)| (name, value.to_owned()));
        Sample { metric: self, labels: labels.into(), value }
    }

    fn encode(&self, samples: &[&Sample], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let unit = self.unit.map(|unit| Unit::Other(unit.to_owned()));
        let (kind, help) = (self.kind.into(), self.help);
        let mut family = encoder.encode_descriptor(self.name, help, unit.as_ref(), kind)?;
        for sample in samples {
            let metric = family.encode_family(&sample.labels)?;
            match self.kind {
                Kind::Counter => ConstCounter::new(sample.value).encode(metric)?,
                Kind::Gauge => ConstGauge::new(sample.value).encode(metric)?,
            }
        }
        Ok(())
    }
}

impl From<Kind> for MetricType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter,
            Kind::Gauge => Self::Gauge,
        }
    }
}

/// The content type of [`exposition`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Values as text, each metric that has any with its help.
pub fn exposition(samples: Vec<Sample>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Samples(samples)));
    let mut out = String::new();
    text::encode(&mut out, &registry).expect("a string takes what is written to it");
    out
}

#[derive(Debug)]
struct Samples(Vec<Sample>);

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in ALL {
            let own: Vec<&Sample> = self.0.iter().filter(|s| s.metric == *metric).collect();
            if !own.is_empty() {
                metric.encode(&own, &mut encoder)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            let is_ours = ["magiclens_", "process_"].iter().any(|own| metric.name.starts_with(own));
            assert!(is_ours && !metric.name.ends_with("_total"), "{}", metric.name);
            assert!(metric.unit.is_none_or(|unit| ["bytes", "seconds"].contains(&unit)));
        }
    }

    #[test]
    fn values_are_written_by_metric_with_help_type_and_unit() {
        let samples = vec![
            HTTP_REQUESTS.with([("status", "2xx")], 3.0),
            PROCESS_CPU.with([], 1.5),
            HTTP_REQUESTS.with([("status", "a\"b")], 1.0),
        ];
        insta::assert_snapshot!(exposition(samples).replace("magiclens_", ""), @r#"
        # HELP http_requests Requests to sites by class of status (1xx to 5xx; none where no answer came), of this process; robots.txt, redirects and retries included
        # TYPE http_requests counter
        http_requests_total{status="2xx"} 3.0
        http_requests_total{status="a\"b"} 1.0
        # HELP process_cpu_seconds User and system CPU time of this process
        # TYPE process_cpu_seconds counter
        # UNIT process_cpu_seconds seconds
        process_cpu_seconds_total 1.5
        # EOF
        "#);
    }
}
