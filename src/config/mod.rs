//! The one configuration of all stages, and where its values come from.
//!
//! From strong to weak: flag, `MAGICLENS_*` environment, the file given with `--config`, what the run
//! directory keeps, `pipeline.toml` of the working directory, default. Unknown keys are refused.
//! `pipeline.toml` in the repository lists every key at its default; a test holds the two together.

mod decontaminate;
mod embed;
mod endpoint;
pub mod env;
mod input;
mod keys;
mod layer;
mod load;
mod pair;
mod plan;
mod slice;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use decontaminate::Decontaminate;
pub use embed::{Embed, EmbedEndpoint, EmbedImages};
pub use endpoint::{
    Budget, Describe, DescribeProvider, Endpoint, Instruct, InstructProvider, Price, ResponseFormat,
};
pub use input::{Archive, Tables};
pub use layer::Origin;
pub use load::{ConfigError, Layers, OutOfRange, Settings};
pub use pair::{Bound, Bounds, Direction, Pair, Similarity};
pub use plan::Plan;
pub use slice::slice;

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
    /// Stage 1, pages out of WARC files.
    pub archive: Archive,
    /// Stage 1, pages out of tables of images.
    pub tables: Tables,
    /// Stage 2, first half: which image URLs are worth a request.
    pub filter: Filter,
    /// Stage 2, second half: download, decode, store.
    pub fetch: Fetch,
    /// Stage 3, `group`.
    pub group: Group,
    /// Stage 4, `describe`.
    pub describe: Describe,
    /// Stage 4b, `embed`.
    pub embed: Embed,
    /// Stage 5, `pair`.
    pub pair: Pair,
    /// Stage 6, `instruct`.
    pub instruct: Instruct,
    /// Stage 7, images of benchmarks to keep out.
    pub decontaminate: Decontaminate,
    /// Stage 7, `export`.
    pub export: Export,
    /// What models may cost.
    pub budget: Budget,
    /// What `mine plan` reckons with.
    pub plan: Plan,
}

/// `[run]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// Share of a stage's records that may fail before the exit code is 2.
    pub failure_budget: f64,
    /// CPU threads for parsing and decoding; 0 = one a core.
    pub cpu_threads: usize,
    /// Seconds that a slice waits for others of which none is at work.
    pub slice_wait_s: u64,
}

impl Default for Run {
    fn default() -> Self {
        Self { failure_budget: 0.5, cpu_threads: 0, slice_wait_s: 300 }
    }
}

impl Run {
    /// CPU threads in force.
    pub fn threads(&self) -> usize {
        match self.cpu_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
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
    /// Folder for what grows by appending, where the run directory is in an object store; empty = the
    /// system's temporary folder.
    pub scratch: PathBuf,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            segment_seconds: 20,
            plan_memory_bytes: 384 << 20,
            scratch: PathBuf::new(),
        }
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
    /// Languages whose pages are used (ISO 639, such as `en`); all where none is named.
    pub languages: Vec<String>,
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
            languages: Vec::new(),
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

/// `[group]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// Images whose 64-bit perceptual hashes differ in at most so many bits are candidates for
    /// near-duplicates.
    pub hash_radius: u32,
    /// Bits of the 256-bit hash in which near-duplicates may differ.
    pub verify_bits: u32,
    /// Levels by which the mean colours of an 8×8 grid may differ in near-duplicates.
    pub verify_colour: u8,
    /// Factor between the aspect ratios of near-duplicates.
    pub verify_aspect: f64,
    /// Shorter side of an image, in pixels, at least.
    pub min_side: u32,
    /// Longer side of an image over its shorter one, at most.
    pub max_aspect: f64,
    /// Entropy of an image's luma in bits, at least: below lie images of nearly one colour.
    pub min_entropy: f64,
    /// Whether images of exactly the sizes that advertisements are sold in are rejected.
    pub reject_ad_sizes: bool,
    /// A cluster on more than this share of its site's pages is boilerplate.
    pub boilerplate_share: f64,
    /// Sites of fewer pages have no boilerplate.
    pub boilerplate_min_pages: u32,
    /// Images that a group has at least.
    pub min_images: u32,
    /// Of two groups with at least this share of images in common (Jaccard) one is kept.
    pub max_overlap: f64,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            hash_radius: 4,
            verify_bits: 20,
            verify_colour: 12,
            verify_aspect: 1.03,
            min_side: 128,
            max_aspect: 4.0,
            min_entropy: 1.0,
            reject_ad_sizes: true,
            boilerplate_share: 0.3,
            boilerplate_min_pages: 10,
            min_images: 2,
            max_overlap: 0.8,
        }
    }
}

/// The keys of `[group]` that decide over images on their own, each for the tables it decides over.
#[derive(Serialize)]
pub struct GroupImageKeys {
    hash_radius: u32,
    verify_bits: u32,
    verify_colour: u8,
    verify_aspect: f64,
    min_side: u32,
    max_aspect: f64,
    min_entropy: f64,
    reject_ad_sizes: bool,
}

/// The keys of `[group]` that decide over what counts on a page.
#[derive(Serialize)]
pub struct GroupPlaceKeys {
    boilerplate_share: f64,
    boilerplate_min_pages: u32,
    min_images: u32,
}

impl Group {
    /// What `image_clusters` depends on.
    pub fn of_images(&self) -> GroupImageKeys {
        GroupImageKeys {
            hash_radius: self.hash_radius,
            verify_bits: self.verify_bits,
            verify_colour: self.verify_colour,
            verify_aspect: self.verify_aspect,
            min_side: self.min_side,
            max_aspect: self.max_aspect,
            min_entropy: self.min_entropy,
            reject_ad_sizes: self.reject_ad_sizes,
        }
    }

    /// What `occurrences` depends on.
    pub fn of_places(&self) -> GroupPlaceKeys {
        GroupPlaceKeys {
            boilerplate_share: self.boilerplate_share,
            boilerplate_min_pages: self.boilerplate_min_pages,
            min_images: self.min_images,
        }
    }
}

/// `[export]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Export {
    /// Share of the domains whose triplets are for validation.
    pub val_share: f64,
    /// Share of the domains whose triplets are for the test.
    pub test_share: f64,
    /// Bytes of images in one shard, about.
    pub shard_bytes: u64,
    /// Triplets of one registrable domain, at most; 0 = no cap.
    pub max_per_domain: u64,
    /// Triplets with the same target cluster, at most; 0 = no cap.
    pub max_per_cluster: u64,
    /// Hard negatives of a triplet: other images of its page, at most.
    pub hard_negatives: usize,
    /// A hard negative is less similar to the target than this, visually.
    pub hard_negative_max_visual: f64,
    /// Whether shards hold the images, or only their URLs and hashes.
    pub images: ExportImages,
    /// Memory for the images that are gathered at once, in bytes.
    pub gather_bytes: usize,
}

impl Default for Export {
    fn default() -> Self {
        Self {
            val_share: 0.01,
            test_share: 0.01,
            shard_bytes: 512 << 20,
            max_per_domain: 0,
            max_per_cluster: 0,
            hard_negatives: 0,
            hard_negative_max_visual: 0.8,
            images: ExportImages::Bytes,
            gather_bytes: 64 << 20,
        }
    }
}

/// What an export has of its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ExportImages {
    /// The files.
    Bytes,
    /// URLs and hashes: what may be published. `mine rehydrate` fetches the files.
    None,
}

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
