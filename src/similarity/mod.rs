//! How alike two images look and how alike two texts read, by what needs no model, and by vectors of one.

mod lexical;
mod tfidf;
mod vectors;

pub use lexical::visual;
pub use tfidf::{DocumentFrequencies, Vector, cosine};
pub use vectors::dot;
