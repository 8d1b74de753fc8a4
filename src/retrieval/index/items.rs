//! What the images of an index are called and where they lie: lines of JSON, found by their number.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use magiclens_torch::map::{Mapped, map};
use serde::{Deserialize, Serialize};

use super::error::IndexError;

/// The lines.
const LINES: &str = "items.jsonl";
/// Where each begins.
const OFFSETS: &str = "items.offsets";
/// Bytes of an offset.
const OFFSET: usize = 8;

/// An image of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its name: the file's path in its folder, the image's id in shards, or its URL.
    pub id: String,
    /// Where its bytes are.
    pub place: Place,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What it shows, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
}

/// Where the bytes of an image are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In a file, relative to the index's root.
    File(PathBuf),
    /// In a file of the index itself.
    Stored(PathBuf),
    /// In a Parquet file, relative to the index's root.
    Parquet {
        /// The file.
        file: PathBuf,
        /// The struct column with `bytes`.
        column: String,
        /// The row, from 0.
        row: u64,
    },
}

/// Appends items.
pub struct Writer {
    lines: BufWriter<File>,
    offsets: BufWriter<File>,
    paths: [PathBuf; 2],
    end: u64,
}

impl Writer {
    /// Begins both files in a folder.
    pub fn create(folder: &Path) -> Result<Self, IndexError> {
        let paths = [LINES, OFFSETS].map(|name| folder.join(name));
        let create = |path: &Path| File::create(path).map_err(IndexError::file(path));
        let [lines, offsets] = [create(&paths[0])?, create(&paths[1])?].map(BufWriter::new);
        let mut writer = Self { lines, offsets, paths, end: 0 };
        writer.note()?;
        Ok(writer)
    }

    /// Appends one.
    pub fn push(&mut self, item: &Item) -> Result<(), IndexError> {
        let mut line = serde_json::to_vec(item).expect("an item is JSON");
        line.push(b'\n');
        self.lines.write_all(&line).map_err(IndexError::file(&self.paths[0]))?;
        self.end += line.len() as u64;
        self.note()
    }

    fn note(&mut self) -> Result<(), IndexError> {
        let end = self.end.to_le_bytes();
        self.offsets.write_all(&end).map_err(IndexError::file(&self.paths[1]))
    }

    /// Writes and syncs what is left.
    pub fn finish(self) -> Result<(), IndexError> {
        let Self { lines, offsets, paths, .. } = self;
        for (file, path) in [lines, offsets].into_iter().zip(paths) {
            let flushed = file.into_inner().map_err(std::io::IntoInnerError::into_error);
            flushed.and_then(|file| file.sync_all()).map_err(IndexError::file(path))?;
        }
        Ok(())
    }
}

/// The items of an index, mapped.
pub struct Items {
    lines: Mapped,
    offsets: Mapped,
    path: PathBuf,
}

impl Items {
    /// Maps both files.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let open = |name: &str| {
            let path = folder.join(name);
            File::open(&path).and_then(|file| map(&file)).map_err(IndexError::file(path))
        };
        let items = Self { lines: open(LINES)?, offsets: open(OFFSETS)?, path: folder.join(LINES) };
        let whole = items.offsets.len().is_multiple_of(OFFSET) && items.offsets.len() >= OFFSET;
        if !whole || items.offset(items.rows()) != items.lines.len() as u64 {
            return Err(IndexError::Damaged(items.path, format!("does not go with {OFFSETS}")));
        }
        Ok(items)
    }

    /// How many there are.
    pub fn rows(&self) -> u64 {
        (self.offsets.len() / OFFSET - 1) as u64
    }

    /// Reads one.
    pub fn get(&self, row: u64) -> Result<Item, IndexError> {
        if row >= self.rows() {
            return Err(IndexError::NoRow(row));
        }
        let (from, to) = (self.offset(row) as usize, self.offset(row + 1) as usize);
        let damaged = |problem: String| {
            IndexError::Damaged(self.path.clone(), format!("has a bad line {}: {problem}", row + 1))
        };
        let line = self.lines.get(from..to).ok_or_else(|| damaged("no such bytes".into()))?;
        serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))
    }

    fn offset(&self, row: u64) -> u64 {
        let at = row as usize * OFFSET;
        let bytes = self.offsets[at..at + OFFSET].try_into().expect("eight bytes");
        u64::from_le_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str) -> Item {
        Item { id: id.into(), place: Place::File(id.into()), url: None, caption: None }
    }

    fn written(ids: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(folder.path()).unwrap();
        ids.iter().for_each(|id| writer.push(&item(id)).unwrap());
        writer.finish().unwrap();
        folder
    }

    #[test]
    fn items_come_back_by_their_number() {
        let folder = written(&["a.png", "ü/\n.png", "c"]);
        let items = Items::open(folder.path()).unwrap();
        assert_eq!(items.rows(), 3);
        for (row, id) in ["a.png", "ü/\n.png", "c"].into_iter().enumerate() {
            assert_eq!(items.get(row as u64).unwrap(), item(id));
        }
        assert!(matches!(items.get(3), Err(IndexError::NoRow(3))));
        assert_eq!(Items::open(written(&[]).path()).unwrap().rows(), 0);
    }

    #[test]
    fn a_file_that_was_cut_is_noticed() {
        for (name, length) in [(LINES, 5), (OFFSETS, 9), (OFFSETS, 0), (OFFSETS, 8)] {
            let folder = written(&["a.png", "b.png"]);
            let file = File::options().write(true).open(folder.path().join(name)).unwrap();
            file.set_len(length).unwrap();
            let error = Items::open(folder.path()).err().expect(name).to_string();
            assert!(error.contains("items.jsonl"), "{error}");
        }
    }
}
