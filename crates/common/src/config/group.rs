//! `[group]`: near-duplicates, and the images and pages that are used.

use serde::{Deserialize, Serialize};

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
    /// Memory for finding near-duplicates, in bytes; rows are the same with any that is enough.
    pub memory_bytes: u64,
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
            memory_bytes: 4 << 30,
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
    /// Returns the keys that `image_clusters` depends on.
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

    /// Returns the keys that `occurrences` depends on.
    pub fn of_places(&self) -> GroupPlaceKeys {
        GroupPlaceKeys {
            boilerplate_share: self.boilerplate_share,
            boilerplate_min_pages: self.boilerplate_min_pages,
            min_images: self.min_images,
        }
    }
}
