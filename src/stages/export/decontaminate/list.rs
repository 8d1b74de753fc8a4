//! The hashes of a benchmark's images as a file: what `mine hash-images` writes, so that a benchmark can
//! be kept out by whoever does not have its images.

use std::collections::HashMap;
use std::path::Path;

use arrow::datatypes::{DataType, FieldRef};
use serde::{Deserialize, Serialize};

use crate::record::ImageId;
use crate::stages::context::StageError;
use crate::store::{Layout, Row, RowWriter, Store, StoreError, read_rows};
use crate::table::columns::{list, required, text};

/// One image of a benchmark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Its path in the benchmark's folder.
    pub file: String,
    /// sha256 of its bytes.
    pub image_id: ImageId,
    /// The whole image first, then parts of it that a crop may have left.
    pub views: Vec<View>,
    /// Its vector, of length 1; empty where it has none, as in every list that is passed on.
    pub embedding: Vec<f32>,
}

/// What an image, or a part of it, is found and compared by; see [`Features`](crate::imaging::Features).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// 64-bit DCT hash of the luma.
    pub phash: u64,
    /// 256-bit gradient hash of the luma.
    #[serde(with = "serde_bytes")]
    pub phash256: Vec<u8>,
    /// Mean RGB of an 8×8 grid, row by row.
    #[serde(with = "serde_bytes")]
    pub colour_layout: Vec<u8>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Row for Listed {
    fn fields() -> Vec<FieldRef> {
        let view = vec![
            required("phash", DataType::UInt64),
            required("phash256", DataType::FixedSizeBinary(32)),
            required("colour_layout", DataType::FixedSizeBinary(192)),
            required("width", DataType::UInt32),
            required("height", DataType::UInt32),
        ];
        vec![
            text("file"),
            text("image_id"),
            list("views", DataType::Struct(view.into())),
            list("embedding", DataType::Float32),
        ]
    }

    fn weight(&self) -> usize {
        self.file.len() + self.views.len() * 260 + self.embedding.len() * 4 + 64
    }

    fn metadata() -> HashMap<String, String> {
        HashMap::from([("magiclens".to_owned(), "hashes of images".to_owned())])
    }
}

/// Reads a list.
pub async fn read(path: &Path) -> Result<Vec<Listed>, StageError> {
    let (store, name) = beside(path)?;
    read_kept(&store, &name).await.map_err(|error| {
        let problem = format!("no list of `mine hash-images` ({error})");
        StageError::ConfigFile { key: "decontaminate.benchmarks", path: path.to_owned(), problem }
    })
}

/// Writes a list, in place of what was there.
pub async fn write(path: &Path, images: &[Listed]) -> Result<(), StageError> {
    let (store, name) = beside(path)?;
    Ok(keep(&store, &name, images).await?)
}

/// Reads a list that a run directory keeps.
pub async fn read_kept(store: &Store, path: &str) -> Result<Vec<Listed>, StoreError> {
    read_rows(store, path, 1024).await?.collect().await
}

/// Keeps a list in a run directory.
pub async fn keep(store: &Store, path: &str, images: &[Listed]) -> Result<(), StoreError> {
    let mut writer = RowWriter::create(store, path.to_owned(), Layout::Part)?;
    for image in images {
        writer.push(image.clone()).await?;
    }
    writer.close().await?;
    Ok(())
}

/// The folder of a file as a store, and the file's name there.
fn beside(path: &Path) -> Result<(Store, String), StoreError> {
    let refuse = || StoreError::corrupt(path.display().to_string(), "not the path of a file");
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(refuse)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_str().ok_or_else(refuse)?;
    Ok((Store::open(folder)?, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_comes_back_and_anything_else_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let view = View { phash256: vec![1; 32], colour_layout: vec![2; 192], ..View::default() };
        let image = |file: &str| Listed {
            file: file.into(),
            image_id: ImageId::of(file.as_bytes()),
            views: vec![view.clone(), View { phash: u64::MAX, ..view.clone() }],
            embedding: Vec::new(),
        };
        let path = folder.path().join("bench.parquet");
        let all = vec![image("a.jpg"), image("b/c.png")];
        write(&path, &all).await.unwrap();
        assert_eq!(read(&path).await.unwrap(), all);
        std::fs::write(&path, "nothing of the kind").unwrap();
        let error = read(&path).await.unwrap_err().to_string();
        assert!(error.contains("bench.parquet") && error.contains("mine hash-images"), "{error}");
    }
}
