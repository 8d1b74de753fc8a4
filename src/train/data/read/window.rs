//! A window with its narrow columns read and its rows arranged into batches.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{Array, RecordBatch, StringViewArray};
use sha2::{Digest, Sha256};

use super::all;
use crate::train::data::order::{Arrangement, Order, Window};
use crate::train::data::shard::{Block, texts};
use crate::train::data::{DataError, Dataset, LoadOptions};

/// A window, ready for its images to be read.
pub struct OpenWindow {
    first_step: u64,
    blocks: Vec<OpenBlock>,
    /// Block and row of the row group, of each row of the window.
    rows: Vec<(u32, u32)>,
    arrangement: Arrangement,
}

struct OpenBlock {
    block: Block,
    /// The row of the row group that the columns begin with.
    first: u32,
    columns: Narrow,
}

/// What a row says in words and ids.
pub struct Texts<'a> {
    pub triplet_id: &'a str,
    pub instruction: &'a str,
    pub query_cluster: u64,
    pub target_cluster: u64,
}

impl OpenWindow {
    /// Reads the narrow columns of a window. A row group that comes in several epochs of it is read
    /// once.
    pub async fn open(
        dataset: &Dataset,
        options: &LoadOptions,
        order: &Order,
        window: Window,
    ) -> Result<Self, DataError> {
        let wanted = wanted(&window);
        let blocks = blocks(dataset, options, &wanted).await?;
        let read = |(block, rows): (Block, Range<u32>)| async move {
            let all: Vec<u32> = rows.clone().collect();
            let batch = block.read(&block.columns().texts, &all).await?;
            let columns = Narrow::of(&batch)
                .ok_or_else(|| DataError::Stopped("a text column was read as another".into()))?;
            Ok(OpenBlock { block, first: rows.start, columns })
        };
        let reads = blocks.into_iter().zip(wanted.values().cloned()).map(read).collect();
        let blocks = all(reads, options.reads_at_once).await?;
        let numbers: BTreeMap<u32, u32> = wanted.keys().copied().zip(0..).collect();
        let rows = window.parts.iter().flat_map(|part| {
            let block = numbers[&part.group];
            part.rows.clone().map(move |row| (block, row))
        });
        let rows: Vec<(u32, u32)> = rows.collect();
        let page = |&(block, row): &(u32, u32)| blocks[block as usize].page(row);
        let pages: Option<Vec<u64>> =
            options.distinct_pages.then(|| rows.iter().map(page).collect());
        let arrangement = order.arrange(&window, pages.as_deref());
        Ok(Self { first_step: window.first_step, blocks, rows, arrangement })
    }

    /// The step of the first batch.
    pub fn first_step(&self) -> u64 {
        self.first_step
    }

    /// How many batches it has.
    pub fn batches(&self) -> usize {
        self.arrangement.batches.len()
    }

    /// The rows of the window that are this rank's in a batch.
    pub fn rank_rows(&self, options: &LoadOptions, batch: usize) -> &[u32] {
        let rows = &self.arrangement.batches[batch];
        let first = options.rank * options.rank_rows();
        let end = (first + options.rank_rows()).min(rows.len());
        rows.get(first..end).unwrap_or_default()
    }

    /// Rows of a batch whose page an earlier one has.
    pub fn shared_pages(&self, batch: usize) -> usize {
        self.arrangement.shared[batch]
    }

    /// The block of a row of the window, and its row there.
    pub fn locate(&self, row: u32) -> (u32, u32) {
        self.rows[row as usize]
    }

    /// A block, to read images from.
    pub fn block(&self, number: u32) -> &Block {
        &self.blocks[number as usize].block
    }

    /// What a row of the window says.
    pub fn texts(&self, row: u32) -> Texts<'_> {
        let (block, row) = self.locate(row);
        let block = &self.blocks[block as usize];
        block.columns.row((row - block.first) as usize)
    }
}

impl OpenBlock {
    fn page(&self, row: u32) -> u64 {
        self.columns.page((row - self.first) as usize)
    }
}

/// The rows that are wanted of each row group: from the first to the last.
fn wanted(window: &Window) -> BTreeMap<u32, Range<u32>> {
    let mut wanted: BTreeMap<u32, Range<u32>> = BTreeMap::new();
    for part in &window.parts {
        let rows = wanted.entry(part.group).or_insert(part.rows.clone());
        *rows = rows.start.min(part.rows.start)..rows.end.max(part.rows.end);
    }
    wanted
}

/// The row groups, in their order in the data set. That is an order of shards too.
async fn blocks(
    dataset: &Dataset,
    options: &LoadOptions,
    wanted: &BTreeMap<u32, Range<u32>>,
) -> Result<Vec<Block>, DataError> {
    let mut shards: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for &number in wanted.keys() {
        let group = &dataset.groups()[number as usize];
        shards.entry(group.shard).or_default().push(group.group);
    }
    let open = |(shard, groups): (u32, Vec<u32>)| {
        let ((path, size), objects) = (dataset.file(shard), dataset.location().objects.clone());
        async move { Block::open(objects, path, size, &groups).await }
    };
    let opened = all(shards.into_iter().map(open).collect(), options.reads_at_once).await?;
    Ok(opened.into_iter().flatten().collect())
}

/// Columns of some rows of a row group.
struct Narrow {
    triplet_id: StringViewArray,
    group_id: StringViewArray,
    instruction: StringViewArray,
    query_cluster_id: StringViewArray,
    target_cluster_id: StringViewArray,
}

impl Narrow {
    fn of(batch: &RecordBatch) -> Option<Self> {
        let column = |name| texts(batch, name).cloned();
        Some(Self {
            triplet_id: column("triplet_id")?,
            group_id: column("group_id")?,
            instruction: column("instruction")?,
            query_cluster_id: column("query_cluster_id")?,
            target_cluster_id: column("target_cluster_id")?,
        })
    }

    fn row(&self, row: usize) -> Texts<'_> {
        let triplet_id = text(&self.triplet_id, row);
        Texts {
            triplet_id,
            instruction: text(&self.instruction, row),
            query_cluster: key(text(&self.query_cluster_id, row), triplet_id, "query"),
            target_cluster: key(text(&self.target_cluster_id, row), triplet_id, "target"),
        }
    }

    fn page(&self, row: usize) -> u64 {
        key(text(&self.group_id, row), text(&self.triplet_id, row), "page")
    }
}

fn text(column: &StringViewArray, row: usize) -> &str {
    if column.is_null(row) { "" } else { column.value(row) }
}

/// The first 8 bytes of an id in hex, or of the hash of what is no such id. Without an id a row is
/// alone: two of them must not pass for one another.
fn key(id: &str, triplet_id: &str, role: &str) -> u64 {
    let hex = id.get(..16).filter(|_| id.len() == 64);
    if let Some(number) = hex.and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
        return number;
    }
    let text = if id.is_empty() { format!("{role} of {triplet_id}") } else { id.to_owned() };
    let digest = Sha256::digest(text);
    u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_by_its_first_bytes_and_no_id_is_alone() {
        let id = format!("00000000000000ff{}", "0".repeat(48));
        assert_eq!(key(&id, "t", "query"), 255);
        assert_eq!(key("cat", "t", "query"), key("cat", "u", "target"));
        assert_ne!(key("", "t", "query"), key("", "u", "query"));
        assert_ne!(key("", "t", "query"), key("", "t", "target"));
    }
}
