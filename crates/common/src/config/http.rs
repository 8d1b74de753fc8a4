//! `[http]`: politeness, timeouts and caps of every request.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// `[http]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Requests in flight over all hosts.
    pub concurrency: usize,
    /// Hosts that are worked on at the same time.
    pub hosts_in_flight: usize,
    /// Requests a second to one host.
    pub host_rate: f64,
    /// Requests in flight to one host.
    pub host_concurrency: usize,
    /// Requests to one host in one stage; the rest is rejected as `host_budget`.
    pub host_max_requests: u64,
    /// Seconds of waiting for one host in one stage; the rest is rejected as `host_budget`.
    pub host_max_seconds: u64,
    /// Seconds to connect, TLS included.
    pub connect_timeout_s: f64,
    /// Seconds without a byte before a body counts as stalled.
    pub read_timeout_s: f64,
    /// Seconds for one request, all of the body included.
    pub total_timeout_s: f64,
    /// Redirects followed before giving up.
    pub max_redirects: usize,
    /// Further tries of what can succeed: timeouts, resets, 429, 5xx.
    pub retries: usize,
    /// Longest pause between tries, in seconds; a longer Retry-After gives up at once.
    pub max_backoff_s: f64,
    /// Fixed addresses for host names, as `curl --resolve`. The address rules still apply.
    pub resolve: BTreeMap<String, IpAddr>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            concurrency: 64,
            hosts_in_flight: 256,
            host_rate: 1.0,
            host_concurrency: 2,
            host_max_requests: 100_000,
            host_max_seconds: 86_400,
            connect_timeout_s: 10.0,
            read_timeout_s: 10.0,
            total_timeout_s: 60.0,
            max_redirects: 5,
            retries: 2,
            max_backoff_s: 60.0,
            resolve: BTreeMap::new(),
        }
    }
}
