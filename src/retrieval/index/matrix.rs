//! Vectors on disk: float16, little-endian, row by row, mapped into memory. A machine of the other byte
//! order does not build this.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use half::f16;
use half::slice::HalfFloatSliceExt;
use magiclens_torch::map::{Mapped, map};

use super::error::IndexError;

#[cfg(target_endian = "big")]
compile_error!("indexes are read in place, and are little-endian");

/// A matrix that is open.
pub struct Matrix {
    content: Mapped,
    width: usize,
}

impl Matrix {
    /// Maps a file of rows of `width` numbers.
    pub fn open(path: &Path, width: usize) -> Result<Self, IndexError> {
        let content = File::open(path).and_then(|file| map(&file));
        let content = content.map_err(IndexError::file(path))?;
        let is_even = content.halves().is_some_and(|all| all.len().is_multiple_of(width));
        if !is_even {
            let problem = format!("has {} bytes, which are no vectors of {width}", content.len());
            return Err(IndexError::Damaged(path.to_owned(), problem));
        }
        Ok(Self { content, width })
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        (self.numbers().len() / self.width) as u64
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All numbers, row by row.
    pub fn numbers(&self) -> &[f16] {
        self.content.halves().expect("looked at when it was opened")
    }
}

/// Writes a matrix: rounds to float16 as it goes, and holds nothing back.
pub struct Writer {
    file: BufWriter<File>,
    path: PathBuf,
    width: usize,
}

impl Writer {
    /// Begins a file of rows of `width` numbers.
    pub fn create(path: &Path, width: usize) -> Result<Self, IndexError> {
        let file = File::create(path).map_err(IndexError::file(path))?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned(), width })
    }

    /// Appends rows.
    ///
    /// # Panics
    ///
    /// If the numbers make no whole rows.
    pub fn push(&mut self, rows: &[f32]) -> Result<(), IndexError> {
        assert!(rows.len().is_multiple_of(self.width), "half a row");
        let mut halves = vec![f16::ZERO; rows.len()];
        halves.convert_from_f32_slice(rows);
        let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        self.file.write_all(&bytes).map_err(IndexError::file(&self.path))
    }

    /// Writes and syncs what is left.
    pub fn finish(self) -> Result<(), IndexError> {
        let flushed = self.file.into_inner().map_err(std::io::IntoInnerError::into_error);
        flushed.and_then(|file| file.sync_all()).map_err(IndexError::file(self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_rounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors");
        let mut writer = Writer::create(&path, 3).unwrap();
        writer.push(&[1.0, -0.5, 0.1, 2.0, 65536.0, f32::NAN]).unwrap();
        writer.push(&[]).unwrap();
        writer.push(&[0.0, 1e-9, -1.0]).unwrap();
        writer.finish().unwrap();
        let matrix = Matrix::open(&path, 3).unwrap();
        assert_eq!((matrix.rows(), matrix.width()), (3, 3));
        let numbers: Vec<f32> = matrix.numbers().iter().map(|number| number.to_f32()).collect();
        assert_eq!(numbers[..2], [1.0, -0.5]);
        assert!((numbers[2] - 0.1).abs() < 5e-5 && numbers[4].is_infinite() && numbers[5].is_nan());
        assert_eq!(numbers[6..], [0.0, 0.0, -1.0]);
    }

    #[test]
    fn what_is_no_matrix_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors");
        for (length, is_good) in [(0, true), (12, true), (13, false), (14, false), (1, false)] {
            std::fs::write(&path, vec![0; length]).unwrap();
            assert_eq!(Matrix::open(&path, 3).is_ok(), is_good, "{length} bytes");
        }
        assert!(Matrix::open(&folder.path().join("none"), 3).is_err());
    }
}
