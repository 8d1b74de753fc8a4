//! Conversion of untrusted image bytes to the bytes that are stored, and to features.
//!
//! [`prepare`] names the format by content ([`format`]), reads the file's own account of itself
//! ([`container`]: size, orientation, rights), refuses what is too large, decodes ([`decode`]),
//! scales, turns upright, computes the features ([`features`]) and decides whether the original
//! bytes are kept or a JPEG is made ([`encode`]). It knows nothing of URLs, tables or the network.
//!
//! Nothing here can be made to hang: every decoder works on a slice in memory, in loops that are
//! bounded by the pixel cap (and, for progressive JPEG, a cap on scans). A thread cannot be killed,
//! so [`prepare_guarded`] gives up waiting after `fetch.decode_timeout_s` but the work runs on to
//! its bounded end.
#![forbid(unsafe_code)]

mod container;
mod decode;
mod encode;
mod error;
mod features;
mod format;
mod guard;
mod orient;
mod prepare;
mod resize;
mod rights;

pub use decode::{JPEG_DECODER, decode_rgb, decode_stored};
pub use error::ImageError;
pub use features::Features;
pub use format::Format;
pub use guard::prepare_guarded;
pub use prepare::{Prepared, prepare};

/// Upright 8-bit RGB pixels, row by row, without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width * height * 3` bytes.
    pub rgb: Vec<u8>,
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod samples;
