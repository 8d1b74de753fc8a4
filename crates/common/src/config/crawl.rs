//! `[crawl]`: how far a crawl goes, and what holds it back.

use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

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

/// Hosts that a crawl follows links to, seen from its seeds.
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
