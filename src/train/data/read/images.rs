//! The images of this rank's rows in some batches of a window.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use arrow::buffer::Buffer;

use super::all;
use super::window::OpenWindow;
use crate::train::data::shard::{Block, images, list_images};
use crate::train::data::{DataError, LoadOptions};

/// A row's images; none where the shard has null.
pub struct RowImages {
    pub query: Option<Buffer>,
    pub target: Option<Buffer>,
    pub hard: Vec<Buffer>,
}

/// Images by block and row.
pub struct SpanImages(HashMap<(u32, u32), RowImages>);

impl SpanImages {
    /// Reads the images of this rank's rows in `batches`, each once.
    pub async fn read(
        open: &OpenWindow,
        options: &LoadOptions,
        batches: Range<usize>,
    ) -> Result<Self, DataError> {
        let mut wanted: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for &row in batches.flat_map(|batch| open.rank_rows(options, batch)) {
            let (block, row) = open.locate(row);
            wanted.entry(block).or_default().push(row);
        }
        let with_hard = options.hard_negatives > 0;
        let read = |(number, mut rows): (u32, Vec<u32>)| {
            rows.sort_unstable();
            rows.dedup();
            let block = open.block(number).clone();
            async move { Ok((number, of_block(&block, rows, with_hard).await?)) }
        };
        let reads = wanted.into_iter().map(read).collect();
        let read: Vec<(u32, Vec<(u32, RowImages)>)> = all(reads, options.reads_at_once).await?;
        let keyed = read.into_iter().flat_map(|(number, rows)| {
            rows.into_iter().map(move |(row, images)| ((number, row), images))
        });
        Ok(Self(keyed.collect()))
    }

    /// The images of a row that was wanted.
    pub fn of(&self, place: (u32, u32)) -> Result<&RowImages, DataError> {
        let images = self.0.get(&place);
        images.ok_or_else(|| DataError::Stopped(format!("row {place:?} was not read")))
    }
}

async fn of_block(
    block: &Block,
    rows: Vec<u32>,
    with_hard: bool,
) -> Result<Vec<(u32, RowImages)>, DataError> {
    let batch = block.read(&block.columns().images(with_hard), &rows).await?;
    let strange = || DataError::Stopped("an image column was read as another".into());
    let queries = images(&batch, "query_image").ok_or_else(strange)?;
    let targets = images(&batch, "target_image").ok_or_else(strange)?;
    let hard = match with_hard {
        true => list_images(&batch, "hard_negatives").ok_or_else(strange)?,
        false => vec![Vec::new(); rows.len()],
    };
    let images = queries.into_iter().zip(targets).zip(hard);
    let images = images.map(|((query, target), hard)| RowImages { query, target, hard });
    Ok(rows.into_iter().zip(images).collect())
}
