//! What the loader delivers, and what it is made from.

use std::sync::Arc;

use arrow::buffer::Buffer;
use tokio::sync::OwnedSemaphorePermit;

/// This rank's rows of one batch, ready for the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The step it belongs to.
    pub step: u64,
    /// Rows in it, bad ones counted.
    pub rows: usize,
    /// `[2·rows + hard, 3, S, S]`: query images, target images, hard negatives. Give it back with
    /// [`Loader::recycle`](super::Loader::recycle), and the same few allocations serve all batches:
    /// memory at the same addresses can be pinned once.
    pub pixels: Vec<f32>,
    /// `[rows, length]`: token ids of the instructions, padded with 0 at the end.
    pub ids: Vec<i64>,
    /// Tokens of the longest instruction here; what is longer than the model takes was cut before.
    pub length: usize,
    /// The first 8 bytes of each row's `query_cluster_id`.
    pub query_cluster: Vec<i64>,
    /// The first 8 bytes of each row's `target_cluster_id`.
    pub target_cluster: Vec<i64>,
    /// False for a row with an image or text that could not be prepared. It keeps its place, so that
    /// ranks stay of equal size, with pixels 0 where the image is missing; it is to be neither row
    /// nor column of the loss.
    pub valid: Vec<bool>,
    /// The row of this batch that each hard negative belongs to, ascending; only valid rows.
    pub hard_row: Vec<i64>,
    /// Instructions that were cut to the model's context.
    pub cut_texts: usize,
    /// Each row's `triplet_id`.
    pub triplet_ids: Vec<String>,
    /// Rows of the whole batch, all ranks, whose page an earlier row has: 0 unless pages could not
    /// be kept apart. Not counted where they were not to be.
    pub shared_pages: usize,
    /// What could not be prepared, and why.
    pub failures: Vec<Failure>,
}

/// An image or text that could not be prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Row of this rank's batch.
    pub row: usize,
    /// Which part of the triplet.
    pub role: Role,
    /// What was wrong with it.
    pub problem: String,
}

/// A part of a triplet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The query image.
    Query,
    /// The target image.
    Target,
    /// The instruction.
    Instruction,
    /// A hard negative, by its number among the row's.
    HardNegative(usize),
}

impl Role {
    /// Tells the images of a row apart in their seeds.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Query => 0,
            Self::Target => 1,
            Self::Instruction => 2,
            Self::HardNegative(number) => 3 + number as u64,
        }
    }
}

/// A batch as it comes from the shards.
pub(super) struct Raw {
    pub step: u64,
    pub rows: Vec<RawRow>,
    pub shared_pages: usize,
    /// The share of the memory budget that these bytes have.
    pub permit: Arc<OwnedSemaphorePermit>,
}

/// A triplet as it comes from a shard.
pub(super) struct RawRow {
    /// Its row in the whole batch of all ranks.
    pub place: u64,
    pub triplet_id: String,
    pub instruction: String,
    pub query_cluster: i64,
    pub target_cluster: i64,
    pub query: Option<Buffer>,
    pub target: Option<Buffer>,
    pub hard: Vec<Buffer>,
}
