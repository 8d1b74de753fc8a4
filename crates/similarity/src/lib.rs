//! How alike two images look and how alike two texts read, by what needs no model, and by vectors of one;
//! and which images are near-duplicates.
#![forbid(unsafe_code)]

mod cosines;
mod duplicates;
mod hash_index;
mod lexical;
pub mod near;
mod tfidf;
mod vectors;

pub use cosines::CosineIndex;
pub use duplicates::{Seen, Tolerance, are_near_duplicates};
pub use hash_index::HashIndex;
pub use lexical::visual;
pub use tfidf::{DocumentFrequencies, Vector, cosine};
pub use vectors::dot;
