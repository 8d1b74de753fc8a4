//! An index: a folder with a vector for each image and where the image lies. Searched exactly.
//!
//! | file | what it holds |
//! |---|---|
//! | `index.json` | rows, width, and which model made the vectors; written last |
//! | `vectors.f16` | `[rows, width]` float16, little-endian |
//! | `items.jsonl` | an [`Item`] a line, in the order of the vectors |
//! | `items.offsets` | where each line begins: rows + 1 numbers of 64 bits, little-endian |
//! | `images/` | images that were downloaded for the index |
//!
//! [`build`] writes one from a [`source`]; opening maps the files and reads nothing but `index.json`.

pub mod build;
mod error;
mod header;
pub mod items;
pub mod matrix;
mod picture;
pub mod scan;
pub mod source;

use std::path::{Path, PathBuf};

pub use build::{Built, build};
pub use error::IndexError;
pub use header::Header;
pub use items::{Item, Place};
pub use picture::Pictures;
pub use scan::Hit;

use items::Items;
use matrix::Matrix;

use super::encoder::Encoder;

/// An index that is open.
pub struct Index {
    header: Header,
    matrix: Matrix,
    items: Items,
    pictures: Pictures,
}

impl Index {
    /// Opens an index, whatever its size, at once.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let header = Header::read(folder)?;
        let matrix = Matrix::open(&folder.join(header::VECTORS), header.width)?;
        let items = Items::open(folder)?;
        if (matrix.rows(), items.rows()) != (header.rows, header.rows) {
            let problem = format!(
                "has {} vectors and {} items where index.json says {}",
                matrix.rows(),
                items.rows(),
                header.rows
            );
            return Err(IndexError::Damaged(folder.to_owned(), problem));
        }
        let pictures = Pictures::new(folder, &header.root);
        Ok(Self { header, matrix, items, pictures })
    }

    /// What `index.json` says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Refuses a model whose vectors would mean something else.
    pub fn check(&self, encoder: &Encoder) -> Result<(), IndexError> {
        let (ours, theirs) = (&self.header, encoder.fingerprint());
        if ours.fingerprint != theirs {
            let (model, other) = (ours.model.clone(), encoder.weights().to_owned());
            return Err(IndexError::OtherModel { model, other });
        }
        if ours.preprocess != encoder.input().how {
            return Err(IndexError::OtherPreprocess(ours.preprocess));
        }
        Ok(())
    }

    /// The `k` nearest images of each query, the nearest first; equal ones in the order of the index.
    pub fn search(&self, queries: &[f32], k: usize) -> Vec<Vec<Hit>> {
        scan::top_k(&self.matrix, queries, k)
    }

    /// What is known of an image.
    pub fn item(&self, row: u64) -> Result<Item, IndexError> {
        self.items.get(row)
    }

    /// The bytes of an image's file.
    pub fn picture(&self, row: u64) -> Result<Vec<u8>, IndexError> {
        self.pictures.read(&self.item(row)?)
    }

    /// Where an image lies, for people.
    pub fn location(&self, item: &Item) -> PathBuf {
        self.pictures.location(item)
    }
}
