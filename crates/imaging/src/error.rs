//! Errors of images, each with a reason of the closed list and a detail for the reject.

use std::time::Duration;

use magiclens_core::Reason;

/// Error that rejects an image. The text is the reject's detail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The content is not an image of any kind that is known here.
    #[error("{0}")]
    NotImage(String),
    /// An image, but of a format or variant that is not decoded.
    #[error("{0}")]
    Unsupported(String),
    /// More pixels than `fetch.max_pixels`.
    #[error("{width}×{height} pixels, more than fetch.max_pixels = {max}")]
    TooManyPixels {
        /// From the file's header.
        width: u32,
        /// From the file's header.
        height: u32,
        /// The cap.
        max: u64,
    },
    /// Decoding would allocate more than `fetch.max_decode_bytes`.
    #[error("decoding takes {needed} bytes, more than fetch.max_decode_bytes = {max}")]
    TooMuchMemory {
        /// Estimated from the header.
        needed: u64,
        /// The cap.
        max: u64,
    },
    /// A known format that does not decode.
    #[error("{0}")]
    Broken(String),
    /// The decoder panicked, with this message.
    #[error("decoder panicked: {0}")]
    Panicked(String),
    /// More CPU than `fetch.decode_timeout_s`.
    #[error("not decoded within {0:?}")]
    TimedOut(Duration),
}

impl ImageError {
    /// The reason under which the image is rejected or failed.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NotImage(_) => Reason::NotImage,
            Self::Unsupported(_) => Reason::UnsupportedFormat,
            Self::TooManyPixels { .. } | Self::TooMuchMemory { .. } => Reason::TooManyPixels,
            Self::Broken(_) => Reason::DecodeError,
            Self::Panicked(_) => Reason::DecodePanic,
            Self::TimedOut(_) => Reason::DecodeTimeout,
        }
    }

    /// Any error of a decoder for `format`, in one line: zune ends some of its own with an empty one.
    pub(super) fn broken(format: &str, error: impl std::fmt::Display) -> Self {
        let words = error.to_string();
        let words: Vec<&str> = words.split_whitespace().collect();
        Self::Broken(format!("{format}: {}", words.join(" ")))
    }
}

/// For `ok_or_else(bad_header("png"))`: the header itself ends too early or makes no sense.
pub(super) fn bad_header(format: &str) -> impl FnOnce() -> ImageError {
    move || ImageError::Broken(format!("{format}: no valid header"))
}
