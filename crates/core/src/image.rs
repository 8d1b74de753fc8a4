//! An image that was fetched, decoded and stored: a row of `images`.

use serde::{Deserialize, Serialize};

use super::ImageId;

/// The features, provenance and bytes of one image URL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// sha256 of the original bytes.
    pub image_id: ImageId,
    /// The URL as pages name it.
    pub url: String,
    /// The URL that answered, after redirects.
    pub final_url: String,
    /// Host of `url`, see [`super::host_key`].
    pub host: String,
    /// One page that shows it (the first by URL).
    pub page_url: String,
    /// How many pages show it.
    pub page_count: u32,
    /// Format of the original bytes: `jpeg`, `png`, `webp`, `gif` or `bmp`.
    pub format: String,
    /// Length of the original bytes.
    pub original_bytes: u64,
    /// Width in pixels, upright (EXIF orientation applied).
    pub width: u32,
    /// Height in pixels, upright.
    pub height: u32,
    /// Whether the bytes kept are the original ones.
    pub stored_as: StoredAs,
    /// Width of the bytes kept.
    pub stored_width: u32,
    /// Height of the bytes kept.
    pub stored_height: u32,
    /// Length of the bytes kept.
    pub stored_bytes: u32,
    /// 64-bit DCT hash of the luma: finds candidates, never decides.
    pub phash: u64,
    /// 256-bit gradient hash: verifies candidates.
    #[serde(with = "serde_bytes")]
    pub phash256: [u8; 32],
    /// Mean RGB of an 8×8 grid, row by row: verifies colour.
    #[serde(with = "serde_bytes")]
    pub colour_layout: Vec<u8>,
    /// Shannon entropy in bits of the 64-level luma histogram: flat images match anything.
    pub entropy: f32,
    /// Copyright or licence in the image's own metadata or its response headers.
    pub rights: Option<String>,
    /// Microseconds since the epoch, UTC.
    pub fetched_at: i64,
    /// JPEG, PNG, WebP or GIF bytes, upright, largest side at most `fetch.max_side`.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// What became of the original bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredAs {
    /// Kept untouched: small enough, upright, 8 bits, one frame.
    Original,
    /// Decoded, made upright, scaled down where needed and encoded again.
    Reencoded,
}

impl StoredAs {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Reencoded => "reencoded",
        }
    }
}
