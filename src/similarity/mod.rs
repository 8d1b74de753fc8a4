//! How alike two images look and how alike two texts read, by what needs no model.

mod lexical;
mod tfidf;

pub use lexical::visual;
pub use tfidf::{DocumentFrequencies, Vector, cosine};
