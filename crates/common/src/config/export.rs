//! `[export]`: splits, caps and shards.

use serde::{Deserialize, Serialize};

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

/// Form in which an export holds its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ExportImages {
    /// The files.
    Bytes,
    /// URLs and hashes: what may be published. `mine rehydrate` fetches the files.
    None,
}
