//! The one configuration of all stages, and where its values come from.
//!
//! From strong to weak: flag, `MAGICLENS_*` environment, the file given with `--config`, what the run
//! directory keeps, `pipeline.toml` of the working directory, default. Unknown keys are refused.
//! `pipeline.toml` in the repository lists every key at its default; a test holds the two together.

pub mod env;
mod keys;
mod layer;
mod load;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use layer::Origin;
pub use load::{ConfigError, Layers};

use load::OutOfRange;

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is run, and when it counts as failed.
    pub run: Run,
    /// Buffers and layout of the run directory.
    pub store: Store,
    /// Politeness, timeouts and caps of every request.
    pub http: Http,
    /// Stage 1, `collect`.
    pub crawl: Crawl,
    /// Stage 2, first half: which image URLs are worth a request.
    pub filter: Filter,
    /// Stage 2, second half: download, decode, store.
    pub fetch: Fetch,
}

/// `[run]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// Share of a stage's records that may fail before the exit code is 2.
    pub failure_budget: f64,
    /// CPU threads for parsing and decoding; 0 = one a core.
    pub cpu_threads: usize,
}

impl Default for Run {
    fn default() -> Self {
        Self { failure_budget: 0.5, cpu_threads: 0 }
    }
}

/// `[store]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Work in progress is committed in segments of at most this many bytes…
    pub segment_bytes: usize,
    /// …and at least this often, in seconds: what a lost machine can lose.
    pub segment_seconds: u64,
    /// Memory that DataFusion plans may use before they spill, in bytes.
    pub plan_memory_bytes: usize,
}

impl Default for Store {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, segment_seconds: 20, plan_memory_bytes: 128 << 20 }
    }
}

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
    /// Seconds spent on one host in one stage; the rest is rejected as `host_budget`.
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

/// `[crawl]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crawl {
    /// An e-mail address or URL for the people whose sites are visited; goes into the User-Agent.
    pub contact: String,
    /// How far links are followed from a seed.
    pub scope: Scope,
    /// Links followed from a seed to a page, at most.
    pub max_depth: u32,
    /// Pages asked for on one host, at most.
    pub max_pages_per_host: usize,
    /// Whether sitemaps are read for further URLs.
    pub sitemaps: bool,
    /// Sitemap files read for one host, at most.
    pub max_sitemaps_per_host: usize,
    /// Longest URL, in bytes.
    pub max_url_length: usize,
    /// How often one path segment may occur in a URL.
    pub max_path_repeats: usize,
    /// Cap on a page's body, encoded and decoded, in bytes.
    pub max_page_bytes: usize,
    /// Image candidates kept of one page.
    pub max_images_per_page: usize,
    /// Address ranges that are allowed although they are not public. Metadata addresses never are.
    pub allow_addresses: Vec<IpNet>,
    /// robots.txt tokens that must all be allowed, beside our own.
    pub robots_tokens: Vec<String>,
    /// Opt-outs that are honoured: noindex, noai, noimageai, noimageindex, tdmrep.
    pub opt_outs: Vec<OptOut>,
    /// Files of blocked hosts, one a line (UT1 format).
    pub block_hosts: Vec<PathBuf>,
    /// Parts of `pages`, by host hash; fixed at a run's first commit.
    pub partitions: u32,
}

impl Default for Crawl {
    fn default() -> Self {
        Self {
            contact: String::new(),
            scope: Scope::Host,
            max_depth: 20,
            max_pages_per_host: 10_000,
            sitemaps: true,
            max_sitemaps_per_host: 50,
            max_url_length: 2083,
            max_path_repeats: 3,
            max_page_bytes: 4 << 20,
            max_images_per_page: 500,
            allow_addresses: Vec::new(),
            robots_tokens: ["CCBot", "GPTBot", "Google-Extended"].map(String::from).to_vec(),
            opt_outs: OptOut::ALL.to_vec(),
            block_hosts: Vec::new(),
            partitions: 16,
        }
    }
}

/// How far a crawl goes from its seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The seed's host and port.
    Host,
    /// Every host under the seed's registrable domain.
    Domain,
    /// URLs below the seed's folder.
    Prefix,
}

/// An opt-out that publishers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptOut {
    /// `noindex` (and `none`).
    Noindex,
    /// `noai`.
    Noai,
    /// `noimageai`.
    Noimageai,
    /// `noimageindex`.
    Noimageindex,
    /// TDM Reservation Protocol: header, meta, well-known file.
    Tdmrep,
}

impl OptOut {
    /// All of them, the default.
    pub const ALL: [Self; 5] =
        [Self::Noindex, Self::Noai, Self::Noimageai, Self::Noimageindex, Self::Tdmrep];
}

/// `[filter]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Whether the small ad list that comes with the tool is used.
    pub builtin_ad_rules: bool,
    /// Further lists in Adblock Plus syntax, such as EasyList.
    pub ad_lists: Vec<PathBuf>,
    /// A width or height hint below this rejects, in CSS pixels.
    pub min_side_hint: u32,
    /// An image URL on more than this share of its site's pages is boilerplate.
    pub boilerplate_share: f64,
    /// Sites of fewer pages have no boilerplate.
    pub boilerplate_min_pages: u32,
    /// A page left with fewer candidates has no image fetched for its sake.
    pub min_candidates: u32,
    /// Files of blocked image URLs, one a line.
    pub block_urls: Vec<PathBuf>,
    /// Parts of `fetch_list` and `images`, by host hash; fixed at a run's first commit.
    pub partitions: u32,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            builtin_ad_rules: true,
            ad_lists: Vec::new(),
            min_side_hint: 64,
            boilerplate_share: 0.3,
            boilerplate_min_pages: 10,
            min_candidates: 2,
            block_urls: Vec::new(),
            partitions: 16,
        }
    }
}

/// `[fetch]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fetch {
    /// Cap on an image's body, in bytes.
    pub max_image_bytes: usize,
    /// Cap on width × height before anything is decoded.
    pub max_pixels: u64,
    /// Cap on what a decoder may allocate, in bytes.
    pub max_decode_bytes: u64,
    /// Seconds one image may take to decode and hash.
    pub decode_timeout_s: f64,
    /// Largest side of the bytes kept; larger images are scaled down, smaller ones never up.
    pub max_side: u32,
    /// JPEG quality of what is encoded again, 1 to 100.
    pub jpeg_quality: u8,
    /// Files of blocked images by sha256, one hex digest a line.
    pub block_sha256: Vec<PathBuf>,
    /// Files of blocked images by 64-bit perceptual hash, one hex value a line (Hamming ≤ 3).
    pub block_phash: Vec<PathBuf>,
}

impl Default for Fetch {
    fn default() -> Self {
        Self {
            max_image_bytes: 20 << 20,
            max_pixels: 64_000_000,
            max_decode_bytes: 512 << 20,
            decode_timeout_s: 20.0,
            max_side: 512,
            jpeg_quality: 90,
            block_sha256: Vec::new(),
            block_phash: Vec::new(),
        }
    }
}

impl Config {
    /// Refuses values out of range, with the key and what would be right.
    fn check(&self) -> Result<(), OutOfRange> {
        let at_least_one = [
            ("crawl.partitions", self.crawl.partitions as usize),
            ("filter.partitions", self.filter.partitions as usize),
            ("http.concurrency", self.http.concurrency),
            ("http.hosts_in_flight", self.http.hosts_in_flight),
            ("http.host_concurrency", self.http.host_concurrency),
            ("fetch.max_side", self.fetch.max_side as usize),
            ("crawl.max_pages_per_host", self.crawl.max_pages_per_host),
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
        let shares = [
            ("run.failure_budget", self.run.failure_budget),
            ("filter.boilerplate_share", self.filter.boilerplate_share),
        ];
        for (key, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return Err(OutOfRange { key, problem: "must be between 0 and 1" });
            }
        }
        Ok(())
    }
}
