//! Vectors by a CLIP checkpoint in this process. Computing needs libtorch: without feature `torch` there
//! is only a word about that.

#[cfg(not(feature = "torch"))]
mod disabled;
#[cfg(feature = "torch")]
mod enabled;
#[cfg(feature = "torch")]
mod repeats;

#[cfg(not(feature = "torch"))]
pub use disabled::{Clip, PartVectors};
#[cfg(feature = "torch")]
pub use enabled::{Clip, PartVectors};
