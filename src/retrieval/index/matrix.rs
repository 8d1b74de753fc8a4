//! stand-in
use super::IndexError;
use half::f16;
use magiclens_torch::map::{Mapped, map};
use std::io::Write;
use std::path::Path;
/// m
pub struct Matrix {
    bytes: Mapped,
    width: usize,
}
impl Matrix {
    /// o
    pub fn open(path: &Path, width: usize) -> Result<Self, IndexError> {
        let bytes =
            std::fs::File::open(path).and_then(|f| map(&f)).map_err(IndexError::file(path))?;
        Ok(Self { bytes, width })
    }
    /// r
    pub fn rows(&self) -> u64 {
        (self.bytes.len() / 2 / self.width) as u64
    }
    /// w
    pub fn width(&self) -> usize {
        self.width
    }
    /// row
    pub fn row(&self, row: usize) -> Vec<f32> {
        self.bytes[row * self.width * 2..(row + 1) * self.width * 2]
            .chunks(2)
            .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect()
    }
}
/// w
pub struct Writer {
    file: std::io::BufWriter<std::fs::File>,
    path: std::path::PathBuf,
}
impl Writer {
    /// c
    pub fn create(path: &Path, _width: usize) -> Result<Self, IndexError> {
        Ok(Self {
            file: std::io::BufWriter::new(
                std::fs::File::create(path).map_err(IndexError::file(path))?,
            ),
            path: path.to_owned(),
        })
    }
    /// p
    pub fn push(&mut self, rows: &[f32]) -> Result<(), IndexError> {
        for x in rows {
            self.file
                .write_all(&f16::from_f32(*x).to_le_bytes())
                .map_err(IndexError::file(&self.path))?;
        }
        Ok(())
    }
    /// f
    pub fn finish(mut self) -> Result<(), IndexError> {
        self.file.flush().map_err(IndexError::file(&self.path))
    }
}
