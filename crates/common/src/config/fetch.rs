//! `[filter]` and `[fetch]`: which image URLs are worth a request, and what becomes of the images.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
    /// Seconds of CPU that one image may take to decode and hash.
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
